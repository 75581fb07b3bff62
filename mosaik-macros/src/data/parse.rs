//! Reads `#[data(…)]` and its item.

use proc_macro2::TokenStream;

use crate::{
    crate_path::CratePath,
    errors::Errors,
    options::{Key, Options, Spec},
    type_item::TypeItem,
};

const SPEC: Spec = Spec { attribute: "mosaik::data", intent: false, keys: &[Key::CRATE] };

pub(super) struct Input {
    pub(super) krate: CratePath,
    pub(super) item: TypeItem,
}

pub(super) fn parse(
    attribute: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> Option<Input> {
    let options = Options::read(attribute, &SPEC, errors);
    let krate = CratePath::new(options.crate_path());
    Some(Input { krate, item: TypeItem::read(item, SPEC.attribute, errors)? })
}
