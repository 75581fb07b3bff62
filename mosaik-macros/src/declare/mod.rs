//! `declare::stream!`: streams declared apart from their types.

mod expand;
mod model;
mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use quote::quote;

use crate::errors::Errors;

/// Called by a `macro_rules!` macro of the runtime as `$crate, declaration`.
pub(crate) fn stream(tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let declaration = parse::parse(tokens, &mut errors);
    let expanded =
        declaration.map(|declaration| expand::expand(&model::model(declaration, &mut errors)));
    let errors = errors.into_tokens();
    quote!(#expanded #errors)
}
