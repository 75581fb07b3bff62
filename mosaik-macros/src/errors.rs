//! All mistakes of one item, reported together.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::Error;

/// Collects errors while an item is read, so that one mistake does not hide the next.
#[derive(Default)]
pub(crate) struct Errors(Vec<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        self.0.push(error);
    }

    /// An error that points at `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Display) {
        self.0.push(Error::new_spanned(tokens, message));
    }

    /// An error that points at `span`.
    pub(crate) fn at_span(&mut self, span: Span, message: impl Display) {
        self.0.push(Error::new(span, message));
    }

    /// Hands these over to `other`.
    pub(crate) fn move_to(self, other: &mut Errors) {
        other.0.extend(self.0);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// One `compile_error!` for each.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.iter().map(Error::to_compile_error).collect()
    }
}
