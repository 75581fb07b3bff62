//! `#[data]`: the serde derives, through mosaik's serde, for types that travel inside others.

mod model;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

pub(crate) fn data(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let expanded = match parse::parse(attribute, item.clone(), &mut errors) {
        Some(input) => {
            let model = model::model(input, &mut errors);
            model.derives.apply(&model.item, &model.krate)
        }
        None => item,
    };
    let errors = errors.into_tokens();
    quote!(#expanded #errors)
}
