//! What macro expansions call. Not part of the API: it changes with the macros, whose version is
//! pinned to this crate's.

pub use ::{core, serde, std};
pub use core::primitive::{str, u8, u32, u128};

#[cfg(feature = "macros")]
pub use mosaik_macros::{__declare_stream, __id};

#[cfg(feature = "main")]
pub use crate::runtime::main;
pub use crate::runtime::testing;
pub use crate::{
    Bytes, BytesMut, Digest, Network, StreamId, UniqueId,
    schema::{
        Datum, DecodeError, EncodeError, Identity, Schema, decode, encode, encode_into, schema_of,
    },
    streams::{
        Consumer, Producer, StreamConsumer, StreamProducer,
        producer::{BuilderError, OnLag},
    },
};

/// For `#[group_state]`.
pub mod groups {
    pub use crate::groups::typed::*;
}
#[cfg(feature = "faults")]
pub use crate::faults::Fault as DeliberateFault;
#[cfg(feature = "fuzzing")]
pub use crate::{
    decoder::Decoder,
    fuzzing::{Mutator, decoders, thread_time},
};

/// The id that a const parameter adds to that of its type.
pub const fn const_id(value: u128) -> UniqueId {
    let mut bytes = [0; 32];
    let (_, low) = bytes.split_at_mut(16);
    low.copy_from_slice(&value.to_le_bytes());
    UniqueId::from_bytes(bytes)
}

/// The producer that was opened, or the one that was open already.
pub fn opened<D>(built: Result<Producer<D>, BuilderError<D>>) -> Producer<D> {
    Producer::opened(built)
}

/// Waits until a producer is online, and hands it over.
pub async fn online_producer<D: Send + 'static>(producer: Producer<D>) -> Producer<D> {
    producer.when().online().await;
    producer
}

/// Waits until a consumer is online, and hands it over.
pub async fn online_consumer<D: Send + 'static>(consumer: Consumer<D>) -> Consumer<D> {
    consumer.when().online().await;
    consumer
}
