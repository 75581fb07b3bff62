//! mosaik: a runtime for self-organizing distributed systems.

mod clock;
#[cfg(feature = "macros")]
pub mod declare;
pub mod discovery;
mod fmt;
mod id;
#[cfg(feature = "macros")]
mod macros;
mod many;
pub mod network;
pub mod primitives;
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod private;
mod random;
#[cfg(feature = "macros")]
mod runtime;
mod schema;
pub mod streams;
mod tasks;
mod transport;

pub use bytes::{Bytes, BytesMut};
#[cfg(feature = "main")]
pub use clap;
pub use futures;
pub use iroh;
pub use iroh::{SecretKey, Signature};

pub use id::{Digest, NetworkId, PeerId, StreamId, Tag, UniqueId};
#[cfg(feature = "main")]
pub use mosaik_macros::main;
#[cfg(feature = "macros")]
pub use mosaik_macros::{data, network_test, stream};
pub use network::Network;
pub use schema::Datum;
pub use streams::{ConsumerOf, Criteria, ProducerOf, StreamConsumer, StreamProducer};
