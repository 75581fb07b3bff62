//! Names: of variants, and those that methods cannot have.

use quote::format_ident;
use syn::{Ident, ext::IdentExt};

/// The methods of `Group`, to which handles dereference: a method of a handle would hide its
/// namesake.
pub(in super::super) const OF_GROUP: &[&str] = &[
    "backup",
    "bonds",
    "clone",
    "committed",
    "config",
    "events",
    "evict",
    "execute",
    "execute_many",
    "feed",
    "feed_many",
    "id",
    "is_leader",
    "key",
    "leader",
    "leave",
    "log_position",
    "members",
    "query",
    "read",
    "recover",
    "restore",
    "skip",
    "step_down",
    "transfer_to",
    "when",
    "while_leader",
];

/// What `#[group_state]` on the type defines.
pub(super) const OF_STATE: &[&str] = &["join", "join_with"];

/// `open_account` becomes `OpenAccount`.
pub(super) fn variant(method: &Ident) -> Ident {
    let name = method.unraw().to_string();
    let mut variant = String::with_capacity(name.len());
    for word in name.split('_') {
        let mut letters = word.chars();
        variant.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        variant.push_str(letters.as_str());
    }
    match variant.chars().next() {
        Some(first) if !first.is_ascii_digit() && variant != "Self" => {
            Ident::new(&variant, method.span())
        }
        _ => format_ident!("Method{variant}", span = method.span()),
    }
}
