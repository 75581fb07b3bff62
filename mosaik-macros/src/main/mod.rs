//! `#[main]`: a program that is a node.

mod expand;
mod model;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

pub(crate) fn main(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let expanded = match parse::parse(attribute, item.clone(), &mut errors) {
        Some(input) => expand::expand(&model::model(input, &mut errors)),
        None => item,
    };
    let errors = errors.into_tokens();
    quote!(#expanded #errors)
}
