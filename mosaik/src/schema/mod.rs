//! What travels: which types, in which encoding, and what they look like on the wire.

mod codec;
mod datum;
mod decode;
mod difference;
mod encoded;
mod fingerprint;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod identity;
mod shape;
mod std_types;
mod trace;

#[cfg(test)]
mod tests;

pub(crate) use codec::decode_prefix;
pub use codec::{EncodeError, decode, encode, encode_into};
pub use datum::{Datum, Payload};
pub use decode::DecodeError;
pub use difference::Difference;
pub use encoded::Encoded;
pub use identity::Identity;
pub use shape::{Fingerprint, Schema};
pub use trace::schema_of;
