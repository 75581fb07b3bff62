//! Typed publish and subscribe: producers announce a stream, consumers find and follow it.
//!
//! A stream is known by an id, which comes from the name in `#[mosaik::stream("some.name")]` or is
//! given to a builder. Every consumer gets every datum of every producer, in the order of each
//! producer, at the speed of the slowest: see [`Producer`] for backpressure.
//!
//! A producer is online when somebody is subscribed:
//!
//! ```
//! # use mosaik::{Network, futures::StreamExt};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! # let network = Network::builder("docs-online").offline().build().await?;
//! # let other = Network::builder("docs-online").offline().build().await?;
//! # let mut consumer = other.streams().consume::<String>();
//! let producer = network.streams().produce::<String>();
//! producer.when().online().await;
//! producer.send("hello, world".to_string()).await?;            // futures::SinkExt
//! # assert_eq!(consumer.next().await.as_deref(), Some("hello, world"));
//! # Ok(())
//! # }
//! ```
//!
//! From one node to another:
//!
//! ```
//! # use mosaik::{Network, futures::{SinkExt, StreamExt}};
//! # #[mosaik::stream]
//! # #[derive(Debug, PartialEq)]
//! # struct SensorReading { temp: f64 }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! # let n0 = Network::builder("docs-readings").offline().build().await?;
//! # let n1 = Network::builder("docs-readings").offline().build().await?;
//! let mut producer = n0.streams().produce::<SensorReading>();
//! let mut consumer = n1.streams().consume::<SensorReading>();
//! producer.when().subscribed().minimum_of(1).await;
//! SinkExt::send(&mut producer, SensorReading { temp: 21.5 }).await?;    // or producer.send(..)
//! let reading = consumer.next().await.unwrap();
//! # assert_eq!(reading, SensorReading { temp: 21.5 });
//! # Ok(())
//! # }
//! ```

mod codec;
mod config;
pub mod consumer;
mod criteria;
mod def;
mod eligible;
mod error;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod meter;
pub mod producer;
mod protocol;
mod registry;
mod serve;
pub mod status;
#[cfg(test)]
mod tests;
mod waiters;
mod when;

use std::{fmt, sync::Arc};

/// The crate of backoffs that [`ConfigBuilder::with_backoff`] takes.
pub use backon as backoff;

use self::{
    codec::Codec,
    consumer::ConsumerConfig,
    producer::{ProducerConfig, Undelivered},
    registry::Registry,
    status::Consumed,
};
pub use self::{
    codec::CodecError,
    config::{BackoffFactory, Config, ConfigBuilder, ConfigBuilderError},
    consumer::Consumer,
    criteria::Criteria,
    def::{
        ConsumerDef, ConsumerOf, ProducerDef, ProducerOf, StreamConsumer, StreamDef, StreamProducer,
    },
    error::SubscribeError,
    producer::Producer,
    status::{ChannelConditions, ChannelInfo, State, Stats, When},
};
pub use crate::schema::Difference as SchemaDifference;
use crate::{
    discovery::Discovery,
    id::{NetworkId, PeerId, StreamId},
    random::Random,
    schema::Datum,
    tasks::Tasks,
    telemetry::Meters,
    transport::{StreamKind, Transport},
};

/// What streams are made of.
#[derive(Debug)]
pub(crate) struct StreamsParts {
    /// Not yet listening: the handler of subscriptions is set here.
    pub(crate) transport: Transport,
    pub(crate) discovery: Discovery,
    /// Cancelled before the connections are closed.
    pub(crate) tasks: Tasks,
    pub(crate) random: Random,
    pub(crate) config: Config,
    pub(crate) local: PeerId,
    pub(crate) network_id: NetworkId,
    pub(crate) telemetry: Meters,
}

/// The streams of a node: where producers and consumers are opened. Cheap to clone.
///
/// It is handed out by the network; what is opened lives until its last handle is dropped, or the
/// network is.
#[derive(Clone)]
pub struct Streams(Arc<Inner>);

struct Inner {
    transport: Transport,
    discovery: Discovery,
    tasks: Tasks,
    random: Random,
    config: Config,
    network_id: NetworkId,
    registry: Arc<Registry>,
    consumed: Consumed,
    telemetry: Meters,
}

impl Streams {
    /// Begins to answer subscriptions.
    pub(crate) fn start(parts: StreamsParts) -> Self {
        let StreamsParts { transport, discovery, tasks, random, config, local, .. } = parts;
        let (network_id, telemetry) = (parts.network_id, parts.telemetry);
        let (found, of) = (discovery.clone(), random.clone());
        let registry = Arc::new(Registry::new(found, local, of, tasks.clone(), telemetry.clone()));
        // The transport keeps its handlers for good: they must not hold what holds the transport.
        let known = Arc::downgrade(&registry);
        transport.serve(StreamKind::Subscribe, move |link, send, recv| {
            serve::answer(known.clone(), link, send, recv)
        });
        Self(Arc::new(Inner {
            transport,
            discovery,
            tasks,
            random,
            config,
            network_id,
            registry,
            consumed: Consumed::default(),
            telemetry,
        }))
    }

    /// Produces the stream of a type. If this node does so already, the producer is the same one;
    /// see [`Streams::producer`] for options and errors.
    ///
    /// If the stream is produced here with another type, the error is logged and all sends fail
    /// with [`SendError::Closed`](producer::SendError::Closed).
    #[must_use]
    pub fn produce<D: Datum>(&self) -> Producer<D> {
        Producer::opened(self.producer::<D>().build())
    }

    /// Begins to build a producer, with options.
    pub fn producer<D>(&self) -> producer::Builder<'_, D> {
        producer::Builder::new(self)
    }

    /// Begins to build the producer of a stream that was defined elsewhere.
    pub fn producer_of<D: Datum>(
        &self,
        stream: StreamDef<D>,
    ) -> producer::Builder<'_, D, producer::Named<D>> {
        producer::Builder::new(self).of_datum(stream.stream_id)
    }

    /// Consumes the stream of a type; see [`Streams::consumer`] for options.
    #[must_use]
    pub fn consume<D: Datum>(&self) -> Consumer<D> {
        self.consumer::<D>().build()
    }

    /// Begins to build a consumer, with options.
    pub fn consumer<D>(&self) -> consumer::Builder<'_, D> {
        consumer::Builder::new(self)
    }

    /// Begins to build the consumer of a stream that was defined elsewhere.
    pub fn consumer_of<D: Datum>(
        &self,
        stream: StreamDef<D>,
    ) -> consumer::Builder<'_, D, consumer::Named<D>> {
        consumer::Builder::new(self).of_datum(stream.stream_id)
    }

    /// Who consumes what is produced here.
    pub(crate) fn consumers_of_all(&self) -> Vec<(StreamId, PeerId)> {
        self.0.registry.consumers()
    }

    /// From whom what is consumed here comes.
    pub(crate) fn producers_of_all(&self) -> Vec<(StreamId, PeerId)> {
        let channels = self.0.consumed.channels().into_iter();
        channels.map(|channel| (*channel.stream_id(), *channel.producer_id())).collect()
    }

    fn network_id(&self) -> NetworkId {
        self.0.network_id
    }

    fn config(&self) -> &Config {
        &self.0.config
    }

    fn open_producer<D: 'static>(
        &self,
        config: ProducerConfig,
        codec: Codec<D>,
        undelivered: Option<Undelivered>,
    ) -> Result<Producer<D>, producer::BuilderError<D>> {
        self.0.registry.open(config, codec, undelivered)
    }

    fn open_consumer<D>(&self, config: ConsumerConfig, codec: Codec<D>) -> Consumer<D> {
        let inner = &self.0;
        let consumer = Consumer::open(
            config,
            codec,
            inner.transport.clone(),
            inner.discovery.clone(),
            inner.random.clone(),
            &inner.tasks,
            &inner.telemetry,
        );
        inner.consumed.add(consumer.channels());
        consumer
    }
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("registry", &self.0.registry).finish_non_exhaustive()
    }
}
