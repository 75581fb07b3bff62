//! Writes a `#[stream]` item out.

use proc_macro2::TokenStream;
use quote::quote;

use super::model::Model;
use crate::{
    channel::{Channel, ChannelId},
    generics::folded,
    intent::Intent,
};

pub(super) fn expand(model: &Model) -> TokenStream {
    let item = match &model.derives {
        Some(derives) => derives.apply(&model.item, &model.channel.krate),
        None => model.item.tokens.clone(),
    };
    let rest = model.sound.then(|| {
        let datum = match &model.channel.id {
            ChannelId::OfSelf(intent) => Some(datum_impls(&model.channel, intent)),
            _ => None,
        };
        let channel = model.channel.expand();
        quote!(#datum #channel)
    });
    quote!(#item #rest)
}

/// `Identity` gives the id in const, folded over the parameters; `Datum` carries the type.
fn datum_impls(channel: &Channel, intent: &Intent) -> TokenStream {
    let (private, name) = (channel.krate.private(), &channel.name);
    let generics = channel.bounded();
    let (impl_generics, type_generics, bounds) = generics.split_for_impl();
    let (text, id) = (intent.text_tokens(&channel.krate), intent.id_tokens(&channel.krate));
    let id = folded(&channel.generics, &private, id);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #private::Identity for #name #type_generics #bounds {
            #[allow(clippy::cast_lossless, clippy::cast_sign_loss)]
            const TYPE_ID: #private::UniqueId = #id;
        }

        #[automatically_derived]
        #[allow(deprecated)]
        impl #impl_generics #private::Datum for #name #type_generics #bounds {
            type EncodeError = #private::EncodeError;
            type DecodeError = #private::DecodeError;

            fn derived_stream_id() -> #private::StreamId {
                <Self as #private::Identity>::TYPE_ID
            }

            fn intent() -> #private::std::borrow::Cow<'static, #private::str> {
                #private::std::borrow::Cow::Borrowed(#text)
            }

            fn encode(&self) -> #private::core::result::Result<#private::Bytes, Self::EncodeError> {
                #private::encode(self)
            }

            fn encode_into(
                &self,
                buf: &mut #private::BytesMut,
            ) -> #private::core::result::Result<(), Self::EncodeError> {
                #private::encode_into(self, buf)
            }

            fn decode(
                bytes: &[#private::u8],
            ) -> #private::core::result::Result<Self, Self::DecodeError> {
                #private::decode(bytes)
            }

            fn schema() -> #private::core::option::Option<
                #private::std::sync::Arc<#private::Schema>,
            > {
                #private::core::option::Option::Some(#private::schema_of::<Self>())
            }
        }
    }
}
