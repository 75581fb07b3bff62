//! The state machine: every member calls the methods by it.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Ident, ext::IdentExt};

use super::{
    super::model::{Argument, Kind, Method, Model},
    Names, bounded,
};

pub(super) fn expand(model: &Model, names: &Names) -> TokenStream {
    let private = model.krate.private();
    let Names { command, query, reply, answer, .. } = names;
    let generics = bounded(model);
    let (impl_generics, _, bounds) = generics.split_for_impl();
    let (_, types, _) = model.generics().split_for_impl();
    let state = &model.block.self_ty;
    let [asked, context] = ["asked", "context"].map(local);
    let (apply, answers) = (
        calls(model, names, Kind::Command, &asked, &context),
        calls(model, names, Kind::Query, &asked, &context),
    );
    let other_half = quote!(<Self as #private::groups::GroupStateStruct>);
    quote! {
        #[automatically_derived]
        #[allow(deprecated, unreachable_code, unused_variables, clippy::all, clippy::pedantic)]
        impl #impl_generics #private::groups::StateMachine for #state #bounds {
            type Command = #command #types;
            type Response = #reply #types;
            type Query = #query #types;
            type QueryResult = #answer #types;

            fn signature(&self) -> #private::UniqueId {
                #other_half::ID
            }

            fn version(&self) -> #private::u32 {
                #other_half::VERSION
            }

            fn apply(
                &mut self,
                #asked: Self::Command,
                #context: &#private::groups::ApplyContext,
            ) -> Self::Response {
                #apply
            }

            fn query(&self, #asked: Self::Query) -> Self::QueryResult {
                #answers
            }

            fn snapshot(
                &self,
            ) -> #private::core::result::Result<#private::Bytes, #private::EncodeError> {
                #other_half::snapshot(self)
            }

            fn restore(
                bytes: &[#private::u8],
            ) -> #private::core::result::Result<Self, #private::DecodeError> {
                #other_half::restore(bytes)
            }

            fn digest(
                &self,
            ) -> #private::core::result::Result<#private::Digest, #private::EncodeError> {
                #other_half::digest(self)
            }
        }
    }
}

/// `match asked { LedgerCommand::Deposit { amount: amount_ } => LedgerReply::Deposit(…), … }`
fn calls(model: &Model, names: &Names, kind: Kind, asked: &Ident, context: &Ident) -> TokenStream {
    let (question, result) = names.pair(kind);
    let arms = model.of_kind(kind).map(|method| {
        let Method { cfgs, name, variant, arguments, .. } = method;
        let fields = arguments.iter().map(|Argument { cfgs, field, .. }| {
            let value = value(field);
            quote!(#(#cfgs)* #field: #value)
        });
        let values = arguments.iter().map(|Argument { cfgs, field, .. }| {
            let value = value(field);
            quote!(#(#cfgs)* #value)
        });
        let context = method.context.then_some(context);
        quote! {
            #(#cfgs)*
            #question::#variant { #(#fields,)* } => {
                #result::#variant(self.#name(#(#values,)* #context))
            }
        }
    });
    let any_types = model.generics().type_params().next().is_some();
    let unused = any_types.then(|| quote!(#question::__Unused(_, never) => match never {},));
    quote! {
        match #asked {
            #(#arms)*
            #unused
        }
    }
}

/// The variable that holds an argument, under a name that nothing of the user's can be.
fn value(field: &Ident) -> Ident {
    local(&format_ident!("{}_", field.unraw()).to_string())
}

fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
