//! mosaik: a runtime for self-organizing distributed systems.

mod clock;
pub mod discovery;
mod fmt;
mod id;
mod many;
pub mod primitives;
mod random;
mod schema;
mod tasks;
mod transport;

pub use bytes::{Bytes, BytesMut};
pub use iroh;

pub use id::{Digest, NetworkId, PeerId, StreamId, Tag, UniqueId};
pub use schema::Datum;
