//! `#[group_state]`: a type that is replicated, and the methods that become its commands and
//! queries.
//!
//! The attribute stands twice, on the type's `definition` and on the `methods` of one `impl` block.
//! Neither half sees the other: each implements a trait that the other requires, so that the
//! compiler, which sees both, tells of one that is missing.

mod definition;
mod methods;
mod options;
#[cfg(test)]
mod tests;

use proc_macro2::{TokenStream, TokenTree};
use quote::quote;
use syn::{
    Attribute, Token, Visibility,
    parse::{ParseStream, Parser},
};

use crate::errors::Errors;

pub(crate) fn group_state(attribute: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let expanded = match kind(&item) {
        Kind::Type => definition::expand(attribute, item, &mut errors),
        Kind::Methods => methods::expand(attribute, item, &mut errors),
        Kind::Other(word) => {
            errors.at(
                word,
                "`#[mosaik::group_state]` goes on a struct or an enum, and on its `impl` block",
            );
            item
        }
    };
    let errors = errors.into_tokens();
    quote!(#expanded #errors)
}

enum Kind {
    Type,
    Methods,
    /// The word at which a type or an `impl` block would say so.
    Other(Option<TokenTree>),
}

fn kind(item: &TokenStream) -> Kind {
    let keyword = |input: ParseStream| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        let is_type = input.peek(Token![struct]) || input.peek(Token![enum]);
        let is_methods = input.peek(Token![impl]) || input.peek(Token![unsafe]);
        let word = input.parse::<TokenTree>()?;
        input.parse::<TokenStream>()?;
        Ok(match (is_type, is_methods) {
            (true, _) => Kind::Type,
            (_, true) => Kind::Methods,
            _ => Kind::Other(Some(word)),
        })
    };
    keyword.parse2(item.clone()).unwrap_or_else(|_| Kind::Other(item.clone().into_iter().next()))
}
