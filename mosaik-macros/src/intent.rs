//! Names and the ids they are hashed to.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Ident, LitStr, ext::IdentExt};

use crate::{crate_path::CratePath, errors::Errors};

/// The most bytes a name may have: what the runtime's `const` hash takes, too.
const LIMIT: usize = 1024;

/// What the id of an item is made of.
pub(crate) enum Intent {
    /// Written by the user; hashed here.
    Literal { text: LitStr, id: Id },
    /// `package::Type`; the package is known to the compiler only, so the runtime hashes it.
    Default { name: String },
}

impl Intent {
    /// What is given, or else the default for `name`; a refused one is reported and replaced by the
    /// default. `what` names it in messages: "intent", "id".
    pub(crate) fn of(
        given: Option<&LitStr>,
        what: &str,
        name: &Ident,
        errors: &mut Errors,
    ) -> Self {
        given
            .and_then(|text| {
                Some(Self::Literal { text: text.clone(), id: Id::read(text, what, errors)? })
            })
            .unwrap_or_else(|| Self::Default { name: name.unraw().to_string() })
    }

    /// The name as text, in const.
    pub(crate) fn text_tokens(&self, krate: &CratePath) -> TokenStream {
        let private = krate.private();
        match self {
            Self::Literal { text, .. } => quote!(#text),
            Self::Default { name } => quote! {
                #private::core::concat!(#private::core::env!("CARGO_PKG_NAME"), "::", #name)
            },
        }
    }

    /// The id, in const.
    pub(crate) fn id_tokens(&self, krate: &CratePath) -> TokenStream {
        match self {
            Self::Literal { id, .. } => id.tokens(krate),
            Self::Default { .. } => {
                let private = krate.private();
                let text = self.text_tokens(krate);
                quote!(#private::UniqueId::hash_str(#text))
            }
        }
    }
}

/// A 32-byte id as 64 hex digits.
pub(crate) struct Id(String);

impl Id {
    /// Checks and hashes; 64 hex digits are the id itself.
    pub(crate) fn read(text: &LitStr, what: &str, errors: &mut Errors) -> Option<Self> {
        let value = text.value();
        if value.is_empty() {
            errors.at(text, format!("the {what} is empty"));
            return None;
        }
        if value.len() > LIMIT {
            let len = value.len();
            errors.at(text, format!("the {what} has {len} bytes; the limit is {LIMIT}"));
            return None;
        }
        Some(Self::hash(&value))
    }

    fn hash(text: &str) -> Self {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Self(text.to_ascii_lowercase());
        }
        Self(blake3::hash(text.as_bytes()).to_hex().to_string())
    }

    pub(crate) fn tokens(&self, krate: &CratePath) -> TokenStream {
        let private = krate.private();
        let hex = &self.0;
        quote!(#private::UniqueId::from_hex_or_hash(#hex))
    }
}
