//! What machines whose state is a serde type encode it with.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::canonical;
use crate::{
    id::Digest,
    schema::{self, DecodeError, EncodeError},
};

/// Encodes a state: for [`StateMachine::snapshot`](super::StateMachine::snapshot).
pub fn encode_state<T: Serialize + ?Sized>(state: &T) -> Result<Bytes, EncodeError> {
    schema::encode(state)
}

/// Decodes a state that [`encode_state`] has encoded: for
/// [`StateMachine::restore`](super::StateMachine::restore).
pub fn decode_state<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    schema::decode(bytes)
}

/// The digest of a state: for [`StateMachine::digest`](super::StateMachine::digest).
///
/// The order in which a map tells its entries does not count, nor that of a field, element or
/// content of an `Option` whose type is called `HashSet`; the order of other sequences does. A
/// `HashSet` behind a type that serializes as if it were one (`#[serde(transparent)]`, `with = ...`)
/// is not recognised: such a machine needs a `digest` of its own.
///
/// ```
/// use std::collections::HashMap;
///
/// use mosaik::groups::digest_state;
///
/// let there: HashMap<_, _> = (0..100).map(|n| (n, n * n)).collect();
/// let back: HashMap<_, _> = (0..100).rev().map(|n| (n, n * n)).collect();
/// assert_eq!(digest_state(&there), digest_state(&back));
/// assert_ne!(digest_state(&[1, 2]), digest_state(&[2, 1]));
/// ```
pub fn digest_state<T: Serialize + ?Sized>(state: &T) -> Result<Digest, EncodeError> {
    canonical::encode(state).map(|bytes| Digest::hash(&bytes))
}
