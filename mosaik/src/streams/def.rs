//! Streams as values: a name and a type, from which ends can be opened on any network.

use std::{
    fmt,
    future::Future,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

use super::{consumer, producer};
use crate::{id::StreamId, network::Network, schema::Datum};

/// A stream of `T`, under its own name or another one.
pub struct StreamDef<T> {
    /// The name; `None` is the type's own.
    pub stream_id: Option<StreamId>,
    _datum: PhantomData<fn() -> T>,
}

/// The producing end of a stream of `T`.
pub struct ProducerDef<T> {
    /// The name; `None` is the type's own.
    pub stream_id: Option<StreamId>,
    _datum: PhantomData<fn() -> T>,
}

/// The consuming end of a stream of `T`.
pub struct ConsumerDef<T> {
    /// The name; `None` is the type's own.
    pub stream_id: Option<StreamId>,
    _datum: PhantomData<fn() -> T>,
}

impl<T> StreamDef<T> {
    /// The type's own stream.
    #[must_use]
    pub const fn new() -> Self {
        Self { stream_id: None, _datum: PhantomData }
    }

    /// The stream of this name.
    #[must_use]
    pub const fn with_stream_id(self, stream_id: StreamId) -> Self {
        Self { stream_id: Some(stream_id), _datum: PhantomData }
    }
}

impl<T> ProducerDef<T> {
    /// The producing end of the stream of this name, or of the type's own.
    #[must_use]
    pub const fn new(stream_id: Option<StreamId>) -> Self {
        Self { stream_id, _datum: PhantomData }
    }
}

impl<T: Datum> ProducerDef<T> {
    /// Begins to build the producer on a network.
    pub fn open<'s>(&self, network: &'s Network) -> producer::Builder<'s, T, producer::Named<T>> {
        producer::Builder::new(network.streams()).of_datum(self.stream_id)
    }
}

impl<T> ConsumerDef<T> {
    /// The consuming end of the stream of this name, or of the type's own.
    #[must_use]
    pub const fn new(stream_id: Option<StreamId>) -> Self {
        Self { stream_id, _datum: PhantomData }
    }
}

impl<T: Datum> ConsumerDef<T> {
    /// Begins to build the consumer on a network.
    pub fn open<'s>(&self, network: &'s Network) -> consumer::Builder<'s, T, consumer::Named<T>> {
        consumer::Builder::new(network.streams()).of_datum(self.stream_id)
    }
}

macro_rules! plain_value {
    ($($def:ident),*) => {$(
        impl<T> Copy for $def<T> {}

        impl<T> Clone for $def<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> PartialEq for $def<T> {
            fn eq(&self, other: &Self) -> bool {
                self.stream_id == other.stream_id
            }
        }

        impl<T> Eq for $def<T> {}

        impl<T> Hash for $def<T> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.stream_id.hash(state);
            }
        }

        impl<T> fmt::Debug for $def<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($def)).field("stream_id", &self.stream_id).finish()
            }
        }
    )*};
}

plain_value!(StreamDef, ProducerDef, ConsumerDef);

impl<T> Default for StreamDef<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A type whose stream can be produced by name of the type; `#[mosaik::stream]` implements it.
pub trait StreamProducer {
    /// The producing end.
    type Producer;

    /// Opens the producing end, or hands back the one that is open on this network already.
    fn producer(network: &Network) -> Self::Producer;

    /// Opens the producing end and waits until it is online.
    fn online_producer(
        network: &Network,
    ) -> impl Future<Output = Self::Producer> + Send + Sync + 'static;
}

/// A type whose stream can be consumed by name of the type; `#[mosaik::stream]` implements it.
pub trait StreamConsumer {
    /// The consuming end.
    type Consumer;

    /// Opens a consuming end.
    fn consumer(network: &Network) -> Self::Consumer;

    /// Opens a consuming end and waits until it is online.
    fn online_consumer(
        network: &Network,
    ) -> impl Future<Output = Self::Consumer> + Send + Sync + 'static;
}

/// The producer of a stream.
pub type ProducerOf<S> = <S as StreamProducer>::Producer;

/// The consumer of a stream.
pub type ConsumerOf<S> = <S as StreamConsumer>::Consumer;
