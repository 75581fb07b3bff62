//! Reads `$crate, name, "text"`.

use proc_macro2::{Span, TokenStream};
use syn::{
    Ident, LitStr, Path, Token,
    parse::{ParseStream, Parser},
};

use crate::{crate_path::CratePath, errors::Errors, intent::Id};

pub(super) struct Input {
    pub(super) krate: CratePath,
    pub(super) id: Id,
}

/// `None` after an error.
pub(super) fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<Input> {
    let front = |input: ParseStream| {
        let path = input.call(Path::parse_mod_style)?;
        input.parse::<Token![,]>()?;
        let name = input.parse::<Ident>()?;
        input.parse::<Token![,]>()?;
        Ok((path, name, input.parse::<TokenStream>()?))
    };
    let (path, name, rest) = front.parse2(tokens).map_err(|error| errors.push(error)).ok()?;
    let text = match syn::parse2::<LitStr>(rest.clone()) {
        Ok(text) => text,
        Err(_) => {
            let message = format!("`{name}!` takes one string literal: `{name}!(\"prices\")`");
            if rest.is_empty() {
                errors.at_span(Span::call_site(), message);
            } else {
                errors.at(rest, message);
            }
            return None;
        }
    };
    let what = if name == "tag" { "tag" } else { "id" };
    let id = Id::read(&text, what, errors)?;
    Some(Input { krate: CratePath::new(Some(&path)), id })
}
