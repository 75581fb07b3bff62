//! A datum inside a serde type.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{Datum, decode::one_level_deeper};

/// Carries a [`Datum`] inside a serde type as an opaque byte string, in the datum's own encoding.
///
/// With it a hand-written datum that is not serde's can be a field of a type that is. When it is
/// decoded it counts as a level of nesting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Encoded<T>(pub T);

impl<T> From<T> for Encoded<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Encoded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Encoded<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Datum> Serialize for Encoded<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0.encode().map_err(ser::Error::custom)?)
    }
}

impl<'de, T: Datum> Deserialize<'de> for Encoded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor(std::marker::PhantomData))
    }
}

struct BytesVisitor<T>(std::marker::PhantomData<fn() -> T>);

impl<'de, T: Datum> de::Visitor<'de> for BytesVisitor<T> {
    type Value = Encoded<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an encoded datum")
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Encoded<T>, E> {
        let decoded = one_level_deeper(|| T::decode(bytes)).map_err(E::custom)?;
        decoded.map(Encoded).map_err(E::custom)
    }

    /// Formats without byte strings, such as JSON, write a list of numbers.
    fn visit_seq<A: de::SeqAccess<'de>>(self, mut bytes: A) -> Result<Encoded<T>, A::Error> {
        let mut collected = Vec::new();
        while let Some(byte) = bytes.next_element()? {
            collected.push(byte);
        }
        self.visit_bytes(&collected)
    }
}
