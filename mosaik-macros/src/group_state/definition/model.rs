//! What a group's state is: checks and naming.

use super::{super::options::Settings, parse::Input};
use crate::{
    crate_path::CratePath, errors::Errors, intent::Intent, serde_attrs::Derives,
    type_item::TypeItem,
};

/// What to write above and below the type.
pub(super) struct Model {
    pub(super) krate: CratePath,
    pub(super) item: TypeItem,
    pub(super) derives: Derives,
    pub(super) intent: Intent,
    pub(super) settings: Settings,
    /// Whether the impls make sense: after a structural error they would only add noise.
    pub(super) sound: bool,
}

pub(super) fn model(input: Input, errors: &mut Errors) -> Model {
    let item = &input.item.input;
    for lifetime in item.generics.lifetimes() {
        errors.at(
            lifetime,
            "the state of a group cannot borrow: use owned types, for example `String` instead of \
             `&str`",
        );
    }
    Model {
        sound: item.generics.lifetimes().next().is_none(),
        derives: Derives::plan(item, input.settings.serde, &input.krate, errors),
        intent: Intent::of(input.intent.as_ref(), "intent", &item.ident, errors),
        krate: input.krate,
        item: input.item,
        settings: input.settings,
    }
}
