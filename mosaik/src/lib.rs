//! mosaik: a runtime for self-organizing distributed systems.

mod clock;
#[cfg(feature = "macros")]
pub mod declare;
mod fmt;
mod id;
#[cfg(feature = "macros")]
mod macros;
pub mod primitives;
#[cfg(feature = "macros")]
#[doc(hidden)]
pub mod private;
mod random;
#[cfg(feature = "macros")]
mod runtime;
mod schema;
mod tasks;
mod transport;

pub use bytes::{Bytes, BytesMut};
#[cfg(feature = "main")]
pub use clap;

pub use id::{Digest, NetworkId, PeerId, StreamId, Tag, UniqueId};
#[cfg(feature = "main")]
pub use mosaik_macros::main;
#[cfg(feature = "macros")]
pub use mosaik_macros::{data, network_test, stream};
pub use schema::Datum;

mod stub;
pub use stub::{Network, discovery, streams};
pub use streams::{StreamProducer, StreamConsumer, ProducerOf, ConsumerOf, Criteria};
