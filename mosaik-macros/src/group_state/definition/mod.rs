//! `#[group_state]` on a type: its name, what its group is like, and how to join it.

mod expand;
mod model;
mod parse;

use proc_macro2::TokenStream;

use crate::errors::Errors;

pub(super) fn expand(
    attribute: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> TokenStream {
    match parse::parse(attribute, item.clone(), errors) {
        Some(input) => expand::expand(&model::model(input, errors)),
        None => item,
    }
}
