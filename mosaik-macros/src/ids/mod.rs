//! `unique_id!`, `id!`, `tag!`: ids hashed at compile time.

mod parse;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;

use crate::errors::Errors;

/// Called by `macro_rules!` macros of the runtime as `$crate, name, tokens`, which is how the path
/// of a renamed mosaik gets here.
pub(crate) fn id(tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    match parse::parse(tokens, &mut errors) {
        Some(input) => input.id.tokens(&input.krate),
        None => errors.into_tokens(),
    }
}
