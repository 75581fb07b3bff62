//! mosaik: a runtime for self-organizing distributed systems.

mod clock;
pub mod discovery;
mod fmt;
mod id;
mod many;
pub mod network;
pub mod primitives;
mod random;
mod schema;
mod tasks;
mod transport;

pub use bytes::{Bytes, BytesMut};
pub use futures;
pub use iroh;
pub use iroh::{SecretKey, Signature};

pub use id::{Digest, NetworkId, PeerId, StreamId, Tag, UniqueId};
pub use network::Network;
pub use schema::Datum;
