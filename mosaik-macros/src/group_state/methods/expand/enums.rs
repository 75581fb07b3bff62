//! The types that travel: commands and queries, replies and answers.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use super::{
    super::model::{Argument, Kind, Method, Model},
    Names,
};

pub(super) fn expand(model: &Model, names: &Names) -> TokenStream {
    let state = &model.name;
    let doc = |what: &str| format!("The {what} of [`{state}`]; methods of its handle make them.");
    let results = |what: &str| format!("The {what} of [`{state}`].");
    let commands = of_kind(model, Kind::Command, asked);
    let queries = of_kind(model, Kind::Query, asked);
    let replies = of_kind(model, Kind::Command, result);
    let answers = of_kind(model, Kind::Query, result);
    let types = [
        item(model, &names.command, &doc("commands"), &commands),
        item(model, &names.reply, &results("replies to commands"), &replies),
        item(model, &names.query, &doc("queries"), &queries),
        item(model, &names.answer, &results("answers to queries"), &answers),
    ];
    types.into_iter().collect()
}

fn of_kind(
    model: &Model,
    kind: Kind,
    variant: impl Fn(&Method) -> TokenStream,
) -> Vec<(&Method, TokenStream)> {
    model.of_kind(kind).map(|method| (method, variant(method))).collect()
}

/// `Deposit { account: String, amount: u64 }`
fn asked(method: &Method) -> TokenStream {
    let Method { cfgs, docs, variant, arguments, .. } = method;
    let fields = arguments
        .iter()
        .map(|Argument { cfgs, docs, field, ty }| quote!(#(#cfgs)* #(#docs)* #field: #ty));
    quote!(#(#cfgs)* #(#docs)* #variant { #(#fields,)* })
}

/// `Deposit(u64)`
fn result(method: &Method) -> TokenStream {
    let Method { cfgs, docs, variant, output, .. } = method;
    quote!(#(#cfgs)* #(#docs)* #variant(#output))
}

fn item(
    model: &Model,
    name: &Ident,
    doc: &str,
    variants: &[(&Method, TokenStream)],
) -> TokenStream {
    let private = model.krate.private();
    let (serde, generics) = (model.krate.serde(), model.generics());
    let bounds = &generics.where_clause;
    let serde_bounds = serde_bounds(model);
    let unused = unused(model);
    let declared = variants.iter().map(|(_, variant)| variant);
    let debug = debug(model, name, variants);
    quote! {
        #[doc = #doc]
        #[derive(
            #private::core::clone::Clone,
            #private::serde::Serialize,
            #private::serde::Deserialize,
        )]
        #[serde(crate = #serde #serde_bounds)]
        #[allow(
            dead_code,
            deprecated,
            missing_docs,
            private_bounds,
            private_interfaces,
            unreachable_pub,
            rustdoc::broken_intra_doc_links,
            clippy::all,
            clippy::pedantic,
        )]
        pub enum #name #generics #bounds {
            #(#declared,)*
            #unused
        }

        #debug
    }
}

/// serde would infer bounds that contradict those of the user.
fn serde_bounds(model: &Model) -> Option<TokenStream> {
    let serde = model.krate.serde();
    let each = |bound: &str| {
        let types = model.generics().type_params();
        types.map(|ty| format!("{}: {serde}::{bound}", ty.ident)).collect::<Vec<_>>().join(", ")
    };
    let (serialize, deserialize) = (each("Serialize"), each("de::DeserializeOwned"));
    let any = model.generics().type_params().next().is_some();
    any.then(|| quote!(, bound(serialize = #serialize, deserialize = #deserialize)))
}

/// A variant that can never be, so that every parameter is used.
fn unused(model: &Model) -> Option<TokenStream> {
    let private = model.krate.private();
    let types = model.generics().type_params().map(|ty| &ty.ident).collect::<Vec<_>>();
    (!types.is_empty()).then(|| {
        quote! {
            #[doc(hidden)]
            #[serde(skip)]
            __Unused(
                #private::core::marker::PhantomData<fn() -> (#(#types,)*)>,
                #private::core::convert::Infallible,
            ),
        }
    })
}

/// Shows the method's name only: arguments need not be `Debug`, and may be secrets.
fn debug(model: &Model, name: &Ident, variants: &[(&Method, TokenStream)]) -> TokenStream {
    let private = model.krate.private();
    let (impl_generics, type_generics, bounds) = model.generics().split_for_impl();
    let arms = variants.iter().map(|(Method { cfgs, variant, .. }, _)| {
        let text = variant.to_string();
        quote!(#(#cfgs)* Self::#variant { .. } => #text,)
    });
    let unused = unused(model).map(|_| quote!(Self::__Unused(_, never) => match never {},));
    quote! {
        #[automatically_derived]
        #[allow(deprecated, unreachable_code, clippy::all, clippy::pedantic)]
        impl #impl_generics #private::core::fmt::Debug for #name #type_generics #bounds {
            fn fmt(
                &self,
                f: &mut #private::core::fmt::Formatter<'_>,
            ) -> #private::core::fmt::Result {
                f.write_str(match *self {
                    #(#arms)*
                    #unused
                })
            }
        }
    }
}
