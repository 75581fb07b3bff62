//! Reads the attribute of a type, and the type.

use proc_macro2::TokenStream;
use syn::LitStr;

use super::super::options::{self, ATTRIBUTE, Settings};
use crate::{crate_path::CratePath, errors::Errors, type_item::TypeItem};

pub(super) struct Input {
    pub(super) krate: CratePath,
    pub(super) intent: Option<LitStr>,
    pub(super) settings: Settings,
    pub(super) item: TypeItem,
}

pub(super) fn parse(
    attribute: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<Input> {
    let (options, settings) = options::of_definition(attribute, errors);
    Some(Input {
        krate: CratePath::new(options.crate_path()),
        intent: options.intent,
        settings,
        item: TypeItem::read(item, ATTRIBUTE, errors)?,
    })
}
