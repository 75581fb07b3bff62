//! Writes a group's state out: the type as it was, its name, and how to join.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Generics, Ident, parse_quote};

use super::{
    super::options::{Quorum, Storage},
    model::Model,
};
use crate::generics::{folded, travelling};

pub(super) fn expand(model: &Model) -> TokenStream {
    let item = model.derives.apply(&model.item, &model.krate);
    let rest = model.sound.then(|| {
        let generics = bounded(model);
        let (state, join) = (state_impl(model, &generics), join(model, &generics));
        quote!(#state #join)
    });
    quote!(#item #rest)
}

/// Parameters travel in snapshots and in commands.
fn bounded(model: &Model) -> Generics {
    let private = model.krate.private();
    let mut generics = travelling(&model.item.input.generics, &private);
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(#private::core::marker::Sync));
        parameter.bounds.push(parse_quote!(#private::core::clone::Clone));
    }
    generics
}

/// What the other half, which sees the methods only, asks of this one.
fn state_impl(model: &Model, generics: &Generics) -> TokenStream {
    let (private, name) = (model.krate.private(), &model.item.input.ident);
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let (text, id) = (model.intent.text_tokens(&model.krate), model.intent.id_tokens(&model.krate));
    let id = folded(&model.item.input.generics, &private, id);
    let version = model.settings.version.as_ref().map_or_else(|| quote!(0), |n| quote!(#n));
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #private::groups::GroupStateStruct for #name #type_generics #bounds {
            const INTENT: &'static #private::str = #text;
            #[allow(clippy::cast_lossless, clippy::cast_sign_loss)]
            const ID: #private::UniqueId = #id;
            const VERSION: #private::u32 = #version;

            fn snapshot(
                &self,
            ) -> #private::core::result::Result<#private::Bytes, #private::EncodeError> {
                #private::groups::encode_state(self)
            }

            fn restore(
                bytes: &[#private::u8],
            ) -> #private::core::result::Result<Self, #private::DecodeError> {
                #private::groups::decode_state(bytes)
            }

            fn digest(
                &self,
            ) -> #private::core::result::Result<#private::Digest, #private::EncodeError> {
                #private::groups::digest_state(self)
            }
        }
    }
}

/// The constructors. `for<'lazy>` keeps a bound that some states do not meet from being checked
/// before anybody calls; the other one is not, so that a missing half is told where it is missing.
fn join(model: &Model, generics: &Generics) -> TokenStream {
    let (private, vis) = (model.krate.private(), &model.item.input.vis);
    let name = &model.item.input.ident;
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let [network, key, initial] = ["network", "key", "initial"].map(local);
    let settings = settings(model);
    quote! {
        #[automatically_derived]
        #[allow(dead_code, deprecated, private_interfaces, clippy::all, clippy::pedantic)]
        impl #impl_generics #name #type_generics #bounds {
            /// Joins the group of this state, and begins with its default if there is none yet.
            ///
            /// Members are those nodes of the network that hold the same key. The group is left
            /// when its last handle is dropped.
            #[must_use = "the group is left when its last handle is dropped"]
            #vis fn join(
                #network: &#private::Network,
                #key: impl #private::core::convert::Into<#private::groups::GroupKey>,
            ) -> <Self as #private::groups::GroupStateImplBlock>::Handle
            where
                Self: #private::groups::GroupStateImplBlock,
                for<'__lazy> Self: #private::core::default::Default,
            {
                Self::join_with(#network, #key, <Self as #private::core::default::Default>::default())
            }

            /// Joins the group of this state, and begins with `initial` if there is none yet.
            ///
            /// All members give the same value: who joins a group that exists takes over its state.
            #[must_use = "the group is left when its last handle is dropped"]
            #vis fn join_with(
                #network: &#private::Network,
                #key: impl #private::core::convert::Into<#private::groups::GroupKey>,
                #initial: Self,
            ) -> <Self as #private::groups::GroupStateImplBlock>::Handle
            where
                Self: #private::groups::GroupStateImplBlock,
            {
                <Self as #private::groups::GroupStateImplBlock>::open(
                    #network.groups().with_key(#key).with_state_machine(#initial) #settings .join(),
                )
            }
        }
    }
}

/// The calls on the builder.
fn settings(model: &Model) -> TokenStream {
    let private = model.krate.private();
    let settings = &model.settings;
    let quorum = match &settings.quorum {
        Quorum::Strict(count) => Some(quote! {
            .with_quorum(#private::groups::Quorum::Strict(#count))
        }),
        Quorum::Elastic => Some(quote! {
            .with_quorum(#private::groups::Quorum::Elastic)
            .on_rivals(#private::groups::OnRivals::KeepWinner)
        }),
        Quorum::Unknown => None,
    };
    let storage = settings.storage.as_ref().map(|storage| match storage {
        Storage::Memory => quote!(.with_storage(#private::groups::Storage::Memory)),
    });
    let (max_voters, snapshot_every) = (settings.max_voters.iter(), settings.snapshot_every.iter());
    let (consensus, require_ticket) = (settings.consensus.iter(), &settings.require_ticket);
    quote! {
        #quorum
        #storage
        #(.with_max_voters(#max_voters))*
        #(.with_consensus_config(#consensus))*
        #(.snapshot_every(#snapshot_every))*
        #(.require_ticket(#require_ticket))*
    }
}

/// A parameter that expressions of the user cannot see.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
