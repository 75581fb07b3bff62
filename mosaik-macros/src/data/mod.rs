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
    let input = parse::parse(attribute, item.clone(), &mut errors);
    let derives = input.map(|input| {
        let model = model::model(input, &mut errors);
        model.derives.tokens(&model.krate)
    });
    let errors = errors.into_tokens();
    quote!(#derives #item #errors)
}
