//! `#[group_state]` on an `impl` block: its public methods become commands and queries.

mod attrs;
mod expand;
mod model;
mod names;
mod parse;
mod travel;

use proc_macro2::TokenStream;

#[cfg(test)]
pub(super) use self::names::OF_GROUP;
use super::options;
use crate::errors::Errors;

pub(super) fn expand(
    attribute: TokenStream,
    item: TokenStream,
    errors: &mut Errors,
) -> TokenStream {
    let krate = options::of_methods(attribute, errors);
    let block = match parse::parse(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            errors.push(error);
            return item;
        }
    };
    match model::model(krate, block, errors) {
        Some(model) => expand::expand(&model),
        None => item,
    }
}
