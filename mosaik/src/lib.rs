//! A runtime for self-organizing distributed systems: annotate a type, run the binary on any
//! number of machines, and they find each other and exchange data.
//!
//! ```
//! use mosaik::{Network, futures::StreamExt};
//!
//! #[mosaik::stream("sensors.temperature")]
//! #[derive(Debug, Clone, PartialEq)]
//! pub struct Reading {
//!     pub sensor: u64,
//!     pub celsius: f64,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! // Usually on two machines; here in one program.
//! let here = Network::builder("crate-docs").offline().build().await?;
//! let there = Network::builder("crate-docs").offline().build().await?;
//!
//! let readings = Reading::producer(&here);
//! let mut received = Reading::consumer(&there);
//! readings.send(Reading { sensor: 1, celsius: 21.5 }).await?;
//! assert_eq!(received.next().await, Some(Reading { sensor: 1, celsius: 21.5 }));
//! # Ok(())
//! # }
//! ```
//!
//! - [`Network`] is a node's place in a network; everything is reached from it.
//! - [`discovery`] knows who else is there.
//! - [`streams`] carry typed data from producers to consumers, without loss.
//! - [`groups`] hold a state together, and elect a leader: `#[mosaik::group_state]` makes one of a
//!   struct and its methods.
//! - [`tickets`] say who may talk to whom.
//! - `#[mosaik::main]` makes a program of it, `#[mosaik::network_test]` a test; [`testing`] has
//!   faults for that.
//!
//! The chapters of the [`guide`] go into each.

mod clock;
#[cfg(feature = "macros")]
pub mod declare;
#[cfg(any(test, feature = "fuzzing"))]
mod decoder;
pub mod discovery;
#[cfg(any(test, feature = "faults"))]
mod faults;
mod fmt;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzzing;
pub mod groups;
#[cfg(any(doc, doctest))]
pub mod guide;
mod id;
#[cfg(feature = "macros")]
mod macros;
mod many;
pub mod network;
pub mod primitives;
#[doc(hidden)]
pub mod private;
mod random;
mod runtime;
mod schema;
pub mod streams;
mod tasks;
mod telemetry;
pub mod testing;
mod ticket;
pub mod tickets;
mod transport;

pub use bytes::{Bytes, BytesMut};
#[cfg(feature = "main")]
pub use clap;
pub use futures;
pub use iroh;
pub use iroh::{SecretKey, Signature};

pub use groups::{
    Consistency,
    Consistency::{Strong, Weak},
    Group, GroupKey,
};
pub use id::{Digest, GroupId, NetworkId, PeerId, StreamId, Tag, UniqueId};
#[cfg(feature = "main")]
pub use mosaik_macros::main;
#[cfg(feature = "macros")]
pub use mosaik_macros::{data, group_state, network_test, stream};
pub use network::Network;
pub use schema::Datum;
pub use streams::{ConsumerOf, Criteria, ProducerOf, StreamConsumer, StreamProducer};

/// The README's examples are run as tests.
#[cfg(all(doctest, feature = "main"))]
#[doc = include_str!("../../README.md")]
struct Readme;
