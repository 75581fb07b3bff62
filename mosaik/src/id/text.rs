//! Ids as text: parsing, printing, serde.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::UniqueId;

/// The bytes behind exactly 64 hexadecimal digits of either case.
pub(super) const fn from_hex(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let mut out = [0; 32];
    let mut i = 0;
    while i < 32 {
        let (Some(high), Some(low)) = (digit(text[2 * i]), digit(text[2 * i + 1])) else {
            return None;
        };
        out[i] = high << 4 | low;
        i += 1;
    }
    Some(out)
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}

impl From<&str> for UniqueId {
    /// 64 hexadecimal digits are the id itself, other text is hashed.
    fn from(text: &str) -> Self {
        match from_hex(text.as_bytes()) {
            Some(bytes) => Self::from_bytes(bytes),
            None => Self::hash(text.as_bytes()),
        }
    }
}

impl FromStr for UniqueId {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0.to_hex())
    }
}

impl fmt::Debug for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for UniqueId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.0.to_hex())
        } else {
            self.as_bytes().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for UniqueId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(HexVisitor)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self::from_bytes)
        }
    }
}

struct HexVisitor;

impl de::Visitor<'_> for HexVisitor {
    type Value = UniqueId;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id of 64 hexadecimal digits")
    }

    // Configuration files and the like are strict: a mistyped id must not silently become the hash
    // of the mistyped text.
    fn visit_str<E: de::Error>(self, text: &str) -> Result<UniqueId, E> {
        from_hex(text.as_bytes())
            .map(UniqueId::from_bytes)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}
