//! Options of a consumer, and under which name its type is streamed.

use std::{fmt, marker::PhantomData, ops::Deref, sync::Arc};

use backon::BackoffBuilder;

use super::{Consumer, ConsumerConfig};
use crate::{
    discovery::PeerInfo,
    id::{StreamId, UniqueId},
    schema::{Datum, Payload},
    streams::{ChannelConditions, Criteria, Streams, codec::Codec, config},
    tickets::TicketValidator,
};

pub use crate::streams::producer::{Named, Unnamed};

/// Builds a [`Consumer`].
///
/// A type that has a stream name of its own (a [`Datum`]) can be built at once; any other type
/// with serde's traits after [`with_stream_id`](BySerde::with_stream_id).
#[must_use = "nothing is consumed before `build`"]
pub struct Builder<'s, D, S = Unnamed> {
    options: BySerde<'s, D>,
    state: S,
}

/// What a [`Builder`] offers for types that have no stream name.
pub struct BySerde<'s, D> {
    streams: &'s Streams,
    config: ConsumerConfig,
    _datum: PhantomData<fn() -> D>,
}

impl<'s, D> Builder<'s, D, Unnamed> {
    pub(in crate::streams) fn new(streams: &'s Streams) -> Self {
        // The id is set when the stream gets its name.
        let config = ConsumerConfig::new(StreamId::zero(), streams.config().backoff.clone());
        Self { options: BySerde { streams, config, _datum: PhantomData }, state: Unnamed }
    }

    /// Builds the consumer of the type's own stream: it subscribes to every producer that is
    /// eligible, now and later.
    pub fn build(self) -> Consumer<D>
    where
        D: Datum,
    {
        self.of_datum(None).build()
    }

    pub(in crate::streams) fn of_datum(self, id: Option<StreamId>) -> Builder<'s, D, Named<D>>
    where
        D: Datum,
    {
        let mut options = self.options;
        options.config.stream_id = id.unwrap_or_else(D::derived_stream_id);
        Builder { options, state: Named::new(Codec::of_datum()) }
    }
}

impl<'s, D: Datum> Builder<'s, D, Unnamed> {
    /// Names the stream. Default: the type's own name.
    pub fn with_stream_id(self, id: impl Into<StreamId>) -> Builder<'s, D, Named<D>> {
        self.of_datum(Some(id.into()))
    }
}

/// Reached by types without a stream name only: for the others the method above comes first.
impl<'s, D> Deref for Builder<'s, D, Unnamed> {
    type Target = BySerde<'s, D>;

    fn deref(&self) -> &Self::Target {
        &self.options
    }
}

impl<'s, D> BySerde<'s, D> {
    /// Names the stream of a type that has no name of its own.
    pub fn with_stream_id(&self, id: impl Into<StreamId>) -> Builder<'s, D, Named<D>>
    where
        D: Payload,
    {
        let config = ConsumerConfig { stream_id: id.into(), ..self.config.clone() };
        let options = BySerde { streams: self.streams, config, _datum: PhantomData };
        Builder { options, state: Named::new(Codec::of_payload()) }
    }
}

impl<D> Builder<'_, D, Named<D>> {
    /// Names the stream differently.
    pub fn with_stream_id(mut self, id: impl Into<StreamId>) -> Self {
        self.options.config.stream_id = id.into();
        self
    }

    /// Builds the consumer: it subscribes to every producer that is eligible, now and later.
    pub fn build(self) -> Consumer<D> {
        self.options.streams.open_consumer(self.options.config, self.state.codec())
    }
}

impl<D, S> Builder<'_, D, S> {
    /// Which datums are wanted. Default: all.
    pub fn with_criteria(mut self, criteria: Criteria) -> Self {
        self.options.config.criteria = criteria;
        self
    }

    /// Subscribes only to producers for which the predicate holds; several must all hold. Judged
    /// again whenever the producer's entry changes: one that does not pass any more is left.
    ///
    /// The round-trip time is measured before a producer is judged first; when it has changed
    /// noticeably the producer is judged again.
    pub fn require<F>(mut self, predicate: F) -> Self
    where
        F: Fn(&PeerInfo) -> bool + Send + Sync + 'static,
    {
        self.options.config.require.push(Arc::new(predicate));
        self
    }

    /// Subscribes only to producers one of whose tickets this validator passes; several must all be
    /// passed. Judged again when the producer's tickets change and at the moment they expire: one
    /// that does not pass any more is left. Tickets that are replaced before they expire interrupt
    /// nothing.
    pub fn require_ticket(mut self, validator: impl TicketValidator) -> Self {
        self.options.config.ticket_validators.push(Arc::new(validator));
        self
    }

    /// Makes the consumer a member of a share group: of all consumers that name the same group, on
    /// whatever nodes, exactly one gets each datum of a producer, the one that has most room.
    ///
    /// Delivery is at least once: what a member had not taken when its connection broke goes to
    /// another one at once, and is [marked](super::Delivery::redelivered); a member that was cut
    /// off may still read what had come to it, later than the other. Otherwise each member gets
    /// its part in order.
    pub fn in_group(mut self, group: impl Into<UniqueId>) -> Self {
        self.options.config.group = Some(group.into());
        self
    }

    /// The pauses between attempts to reach a producer; at most 30 s each, for as long as it is in
    /// the catalog. Default: that of the network, see [`Config`](crate::streams::Config).
    pub fn with_backoff<B>(mut self, backoff: B) -> Self
    where
        B: BackoffBuilder + Clone + 'static,
    {
        self.options.config.backoff = Some(config::factory(backoff));
        self
    }

    /// When the consumer is online. Default: at once, with or without a producer.
    pub fn online_when<F>(mut self, condition: F) -> Self
    where
        F: Fn(ChannelConditions) -> ChannelConditions + Send + Sync + 'static,
    {
        self.options.config.online_when = Arc::new(condition);
        self
    }
}

impl<D, S> fmt::Debug for Builder<'_, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("config", &self.options.config).finish_non_exhaustive()
    }
}

impl<D> fmt::Debug for BySerde<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BySerde").field("config", &self.config).finish_non_exhaustive()
    }
}
