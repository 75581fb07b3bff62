//! The small building blocks that every part shares: ids, encodings, formatting wrappers.

pub use bytes::{self, Bytes, BytesMut};

pub use crate::{
    fmt::{
        Abbreviated, FmtIter, Pretty, PrettyFmtExt, Redacted, RedactedFmtExt, Short, ShortFmtExt,
    },
    id::{Digest, Tag, UniqueId},
};
