//! What `#[data]` adds.

use super::parse::Input;
use crate::{crate_path::CratePath, errors::Errors, serde_attrs::Derives, type_item::TypeItem};

pub(super) struct Model {
    pub(super) krate: CratePath,
    pub(super) item: TypeItem,
    pub(super) derives: Derives,
}

pub(super) fn model(input: Input, errors: &mut Errors) -> Model {
    for lifetime in input.item.input.generics.lifetimes() {
        errors.at(
            lifetime,
            "what travels between nodes cannot borrow: use owned types, for example `String` \
             instead of `&str`",
        );
    }
    let derives = Derives::plan(&input.item.input, true, &input.krate, errors);
    Model { krate: input.krate, item: input.item, derives }
}
