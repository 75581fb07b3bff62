//! mosaik: a runtime for self-organizing distributed systems.

mod clock;
mod fmt;
mod id;
pub mod primitives;
mod random;
mod runtime;
mod schema;
mod tasks;
mod transport;

pub use bytes::{Bytes, BytesMut};

pub use id::{Digest, NetworkId, PeerId, StreamId, Tag, UniqueId};
