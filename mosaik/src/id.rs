//! 32-byte ids: what networks, streams, tags and peers are told apart by.

mod const_hash;
mod convert;
mod text;

#[cfg(test)]
mod tests;

use std::{
    cmp::Ordering,
    hash::{Hash, Hasher},
    ops::Deref,
};

use crate::random::Random;

/// A 32-byte blake3 digest that names something: a network, a stream, a tag, an application's own
/// thing.
///
/// Text becomes an id by one rule everywhere (`From<&str>`, `FromStr`, the macros): exactly 64
/// hexadecimal digits, of either case, are the id itself; any other text is hashed.
///
/// ```
/// use mosaik::UniqueId;
///
/// let prices: UniqueId = "prices".into();
/// assert_eq!(prices, UniqueId::hash(b"prices"));
/// assert_eq!(UniqueId::from(prices.to_string().as_str()), prices);
/// ```
///
/// It prints as 64 lower-case hexadecimal digits ([`Short`](crate::primitives::Short) gives the
/// first ten). Under serde it is that text in formats for people, where nothing but 64 digits is
/// accepted, and 32 raw bytes in binary ones.
#[derive(Clone, Copy)]
pub struct UniqueId(blake3::Hash);

/// Another name of [`UniqueId`], used where the digest of some bytes is meant.
pub type Digest = UniqueId;

/// A label that a node announces and others filter by.
pub type Tag = UniqueId;

/// Names a network; nodes of different networks never talk to each other.
pub type NetworkId = Digest;

/// Names a stream; producers and consumers of one id meet.
pub type StreamId = Digest;

/// Names a consensus group: its key and the name of its state machine.
pub type GroupId = Digest;

/// A node's Ed25519 public key, which is also its address on the network.
pub type PeerId = iroh::EndpointId;

impl UniqueId {
    /// The id of 32 zero bytes.
    pub const fn zero() -> Self {
        Self::from_bytes([0; 32])
    }

    /// The id that consists of these bytes; nothing is hashed.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(blake3::Hash::from_bytes(bytes))
    }

    /// The 32 bytes of the id.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The number of bytes of an id: always 32.
    #[expect(clippy::len_without_is_empty, reason = "an id is never empty")]
    pub const fn len(&self) -> usize {
        32
    }

    /// The blake3 digest of `bytes`.
    pub fn hash(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }

    /// The blake3 digest of `text`, which constants can be made of: `hash_str(t)` equals
    /// `hash(t.as_bytes())`.
    ///
    /// # Panics
    /// On text of more than 1,024 bytes; in a constant this is a compile error. Text of unknown
    /// length is for [`UniqueId::hash`].
    pub const fn hash_str(text: &str) -> Self {
        Self::from_bytes(const_hash::blake3(text.as_bytes()))
    }

    /// The id that `text` stands for, which constants can be made of: 64 hexadecimal digits are the
    /// id itself, other text is hashed. The same rule as `From<&str>`.
    ///
    /// # Panics
    /// On text of more than 1,024 bytes; in a constant this is a compile error.
    pub const fn from_hex_or_hash(text: &str) -> Self {
        match text::from_hex(text.as_bytes()) {
            Some(bytes) => Self::from_bytes(bytes),
            None => Self::hash_str(text),
        }
    }

    /// Folds other ids into this one, in order: each step is `blake3(id ‖ part)`.
    ///
    /// This is how the id of a generic type follows from those of its parameters, in a constant.
    pub const fn fold(self, parts: &[Self]) -> Self {
        let mut id = *self.as_bytes();
        let mut next = 0;
        while next < parts.len() {
            let mut joined = [0; 64];
            let (head, tail) = joined.split_at_mut(32);
            head.copy_from_slice(&id);
            tail.copy_from_slice(parts[next].as_bytes());
            id = const_hash::blake3(&joined);
            next += 1;
        }
        Self::from_bytes(id)
    }

    /// The digest of everything that `hasher` has been given so far.
    pub fn from_hasher(hasher: &blake3::Hasher) -> Self {
        Self(hasher.finalize())
    }

    /// The digest of the parts one after the other. Where one part ends and the next begins does
    /// not count: `["ab", "c"]` and `["a", "bc"]` have the same digest.
    pub fn from_parts(parts: &[impl AsRef<[u8]>]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(part.as_ref());
        }
        Self::from_hasher(&hasher)
    }

    /// 32 bytes from the operating system's randomness.
    pub fn random() -> Self {
        Self::from_bytes(Random::from_system().bytes())
    }

    /// An id that follows from this one and `info`: `blake3(self ‖ info)`.
    #[must_use]
    pub fn derive(&self, info: impl AsRef<[u8]>) -> Self {
        Self::from_parts(&[self.as_bytes().as_slice(), info.as_ref()])
    }

    /// The digest of this id's bytes.
    #[must_use]
    pub fn hashed(&self) -> Self {
        Self::hash(self.as_bytes())
    }
}

impl PartialEq for UniqueId {
    fn eq(&self, other: &Self) -> bool {
        // Ids are public, so the constant-time comparison of `blake3::Hash` would be wasted.
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for UniqueId {}

impl PartialEq<&Self> for UniqueId {
    fn eq(&self, other: &&Self) -> bool {
        self == *other
    }
}

impl PartialEq<UniqueId> for &UniqueId {
    fn eq(&self, other: &UniqueId) -> bool {
        *self == other
    }
}

impl Ord for UniqueId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialOrd for UniqueId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for UniqueId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl AsRef<[u8]> for UniqueId {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Deref for UniqueId {
    type Target = blake3::Hash;

    fn deref(&self) -> &blake3::Hash {
        &self.0
    }
}
