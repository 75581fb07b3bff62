//! Writes a declaration out: a type without values, and the ends of its stream.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::GenericParam;

use super::model::Model;

pub(super) fn expand(model: &Model) -> TokenStream {
    let Model { attrs, channel } = model;
    let (vis, name, generics) = (&channel.vis, &channel.name, &channel.generics);
    let private = channel.krate.private();
    // A parameter has to be mentioned; constants need not be.
    let mentioned = generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Lifetime(lifetime) => {
            let lifetime = &lifetime.lifetime;
            Some(quote!(&#lifetime ()))
        }
        GenericParam::Type(ty) => Some(ty.ident.to_token_stream()),
        GenericParam::Const(_) => None,
    });
    let fields = (!generics.params.is_empty())
        .then(|| quote!((#private::core::marker::PhantomData<fn() -> (#(#mentioned,)*)>)));
    let channel = channel.expand();
    quote! {
        #(#attrs)*
        #[allow(non_camel_case_types, missing_debug_implementations, missing_copy_implementations)]
        #vis struct #name #generics #fields;
        #channel
    }
}
