//! Where expansions find the runtime.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Path, parse_quote};

/// The path of the mosaik crate: `::mosaik`, unless `crate = ::path` says otherwise.
pub(crate) struct CratePath(Path);

impl CratePath {
    pub(crate) fn new(given: Option<&Path>) -> Self {
        Self(given.cloned().unwrap_or_else(|| parse_quote!(::mosaik)))
    }

    /// The module through which expansions name everything.
    pub(crate) fn private(&self) -> TokenStream {
        let krate = &self.0;
        quote!(#krate::private)
    }

    /// The value of `#[serde(crate = "…")]`.
    pub(crate) fn serde(&self) -> String {
        format!("{}::private::serde", self.0.to_token_stream().to_string().replace(' ', ""))
    }

    /// `$crate` of a `macro_rules!` macro: a path that cannot be written as text, as serde wants.
    pub(crate) fn is_dollar_crate(&self) -> bool {
        self.0.segments.first().is_some_and(|first| first.ident == "$crate")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}
