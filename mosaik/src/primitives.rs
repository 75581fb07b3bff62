//! The small building blocks that every part shares: ids, encodings, formatting wrappers.

pub use bytes::{self, Bytes, BytesMut};

pub use crate::{
    fmt::{
        Abbreviated, FmtIter, Pretty, PrettyFmtExt, Redacted, RedactedFmtExt, Short, ShortFmtExt,
    },
    id::{Digest, Tag, UniqueId},
    schema::{Datum, Encoded},
};

/// What can travel, and what it looks like on the wire.
pub mod datum {
    pub use crate::schema::{Datum, Encoded, Fingerprint, Identity, Payload, Schema, schema_of};
}

/// Values to bytes and back: the format of the `postcard` crate, read within limits.
pub mod encoding {
    pub use crate::schema::{
        DecodeError, EncodeError, decode, encode, encode as try_serialize, encode_into,
    };

    /// Decodes a value; the same as [`decode`], for whatever can be seen as bytes.
    pub fn deserialize<T: serde::de::DeserializeOwned>(
        bytes: impl AsRef<[u8]>,
    ) -> Result<T, DecodeError> {
        decode(bytes.as_ref())
    }
}
