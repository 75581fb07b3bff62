//! Parameters of types whose values travel.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Generics, parse_quote};

/// The parameters with all bounds that impls need: those that travel must be named and carried
/// like the type itself.
pub(crate) fn travelling(generics: &Generics, private: &TokenStream) -> Generics {
    let mut generics = generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(#private::Identity));
        parameter.bounds.push(parse_quote!(#private::serde::Serialize));
        parameter.bounds.push(parse_quote!(#private::serde::de::DeserializeOwned));
        parameter.bounds.push(parse_quote!(#private::core::marker::Send));
        parameter.bounds.push(parse_quote!('static));
    }
    generics
}

/// The id of a generic type is that of its name with those of its parameters.
pub(crate) fn folded(generics: &Generics, private: &TokenStream, id: TokenStream) -> TokenStream {
    if generics.params.is_empty() {
        return id;
    }
    let types = generics.type_params().map(|parameter| &parameter.ident);
    let consts = generics.const_params().map(|parameter| &parameter.ident);
    quote! {
        #id.fold(&[
            #(<#types as #private::Identity>::TYPE_ID,)*
            #(#private::const_id(#consts as #private::u128),)*
        ])
    }
}
