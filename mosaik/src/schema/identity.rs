//! Ids of types, for generic streams.

use crate::id::UniqueId;

/// A type whose id is the same in every program, so that it may be a parameter of a generic stream.
///
/// Standard types and `#[mosaik::stream]` types have one. The id of a generic type follows from
/// its own name and the ids of its parameters, in order ([`UniqueId::fold`]).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no stable identity",
    label = "neither a stream nor a std type",
    note = "type parameters of a generic stream must be streams or std types; if `{Self}` is yours, put `#[mosaik::stream]` on it"
)]
pub trait Identity {
    /// The id of the type.
    const TYPE_ID: UniqueId;
}
