//! What a `#[stream]` item is: checks and naming.

use syn::{Data, Fields};

use super::parse::{Datum, Input};
use crate::{
    channel::{Channel, ChannelId},
    errors::Errors,
    intent::Intent,
    serde_attrs::Derives,
    type_item::TypeItem,
};

/// What to write above and below the item.
pub(super) struct Model {
    pub(super) item: TypeItem,
    pub(super) derives: Option<Derives>,
    pub(super) channel: Channel,
    /// Whether the impls make sense: after a structural error they would only add noise.
    pub(super) sound: bool,
}

pub(super) fn model(input: Input, errors: &mut Errors) -> Model {
    let item = &input.item.input;
    let name = item.ident.clone();
    let sound = item.generics.lifetimes().next().is_none();
    for lifetime in item.generics.lifetimes() {
        errors.at(
            lifetime,
            "a stream type cannot borrow: use owned types, for example `String` instead of `&str`",
        );
    }
    let datum = input.datum.filter(|datum| is_bare(datum, &input.item, errors));
    let derives = datum.is_none().then(|| Derives::plan(item, input.serde, &input.krate, errors));
    let intent = Intent::of(input.intent.as_ref(), "intent", &name, errors);
    let channel = Channel {
        vis: item.vis.clone(),
        name,
        generics: item.generics.clone(),
        carries_parameters: true,
        id: if datum.is_some() { ChannelId::Named(intent) } else { ChannelId::OfSelf(intent) },
        datum: datum.map(|datum| datum.ty),
        producer: Some(input.producer),
        consumer: Some(input.consumer),
        constructors: input.constructors,
        krate: input.krate,
    };
    Model { item: input.item, derives, channel, sound }
}

/// A second name for a type is declared on a struct that holds nothing.
fn is_bare(datum: &Datum, item: &TypeItem, errors: &mut Errors) -> bool {
    let unit =
        matches!(&item.input.data, Data::Struct(data) if matches!(data.fields, Fields::Unit));
    if unit && item.input.generics.params.is_empty() {
        return true;
    }
    let name = &item.input.ident;
    errors.at_span(
        datum.key,
        format!("`datum` goes on a unit struct without parameters: `struct {name};`"),
    );
    false
}
