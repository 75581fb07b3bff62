//! Structs and enums as attributes see them.

use proc_macro2::TokenStream;
use syn::{
    Attribute, DeriveInput, Token, Type, Visibility,
    parse::{ParseStream, Parser},
    visit_mut::{VisitMut, visit_type_mut},
};

use crate::errors::Errors;

/// A struct or an enum, with the tokens it was written as.
pub(crate) struct TypeItem {
    /// What passes through to the compiler: the user's own tokens.
    pub(crate) tokens: TokenStream,
    pub(crate) input: DeriveInput,
}

impl TypeItem {
    /// `None` after an error: the item then passes through as it is.
    pub(crate) fn read(tokens: TokenStream, attribute: &str, errors: &mut Errors) -> Option<Self> {
        if let Some(keyword) = other_keyword(&tokens) {
            errors.at(keyword, format!("`#[{attribute}]` goes on a struct or an enum"));
            return None;
        }
        match syn::parse2::<DeriveInput>(tokens.clone()) {
            Ok(mut input) => {
                Ungroup.visit_derive_input_mut(&mut input);
                Some(Self { tokens, input })
            }
            Err(error) => {
                errors.push(error);
                None
            }
        }
    }
}

/// The word at which a struct or an enum would say so, if it says something else.
fn other_keyword(tokens: &TokenStream) -> Option<proc_macro2::TokenTree> {
    let keyword = |input: ParseStream| {
        input.call(Attribute::parse_outer)?;
        input.parse::<Visibility>()?;
        let is_type = input.peek(Token![struct]) || input.peek(Token![enum]);
        let word = input.parse::<proc_macro2::TokenTree>()?;
        input.parse::<TokenStream>()?;
        Ok((!is_type).then_some(word))
    };
    keyword.parse2(tokens.clone()).ok().flatten()
}

/// `$t:ty` of a `macro_rules!` macro arrives inside an invisible group, which hides what it is.
pub(crate) struct Ungroup;

impl VisitMut for Ungroup {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        while let Type::Group(group) = ty {
            *ty = (*group.elem).clone();
        }
        visit_type_mut(self, ty);
    }
}
