//! `#[stream]`: a type that is published and subscribed to under a name.

mod expand;
mod model;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

pub(crate) fn stream(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let expanded = match parse::parse(attribute, item.clone(), &mut errors) {
        Some(input) => expand::expand(&model::model(input, &mut errors)),
        None => item,
    };
    let errors = errors.into_tokens();
    quote!(#expanded #errors)
}
