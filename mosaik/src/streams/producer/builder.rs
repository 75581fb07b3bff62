//! Options of a producer, and under which name its type is streamed.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use tokio::sync::mpsc::UnboundedSender;

use super::{BuilderError, OnLag, Producer, ProducerConfig, Undelivered};
use crate::{
    discovery::PeerInfo,
    id::StreamId,
    schema::{Datum, Payload},
    streams::{ChannelConditions, Streams, codec::Codec},
    tickets::TicketValidator,
};

/// Builds a [`Producer`].
///
/// A type that has a stream name of its own (a [`Datum`]) can be built at once; any other type
/// with serde's traits after [`with_stream_id`](BySerde::with_stream_id).
#[must_use = "nothing is produced before `build`"]
pub struct Builder<'s, D, S = Unnamed> {
    options: BySerde<'s, D>,
    state: S,
}

/// State of a [`Builder`] whose stream has the name of its type, if that has one.
#[derive(Clone, Copy, Debug)]
pub struct Unnamed;

/// State of a [`Builder`] whose stream has a name: how to encode is settled with it.
#[derive(Debug)]
pub struct Named<D>(Codec<D>);

impl<D> Named<D> {
    pub(in crate::streams) fn new(codec: Codec<D>) -> Self {
        Self(codec)
    }

    pub(in crate::streams) fn codec(&self) -> Codec<D> {
        self.0
    }
}

/// What a [`Builder`] offers for types that have no stream name.
pub struct BySerde<'s, D> {
    streams: &'s Streams,
    config: ProducerConfig,
    undelivered: Option<UnboundedSender<D>>,
}

impl<'s, D> Builder<'s, D, Unnamed> {
    pub(in crate::streams) fn new(streams: &'s Streams) -> Self {
        // The id is set when the stream gets its name.
        let config = ProducerConfig::new(StreamId::zero(), streams.network_id());
        Self { options: BySerde { streams, config, undelivered: None }, state: Unnamed }
    }

    /// Builds the producer of the type's own stream, and announces it: consumers find it from now
    /// on.
    ///
    /// # Errors
    /// [`BuilderError::AlreadyExists`] with the producer of this stream, if there is one on this
    /// node; [`BuilderError::TypeMismatch`] if it is of another type;
    /// [`BuilderError::NotAnnounced`] if the node's entry has no room for it.
    pub fn build(self) -> Result<Producer<D>, BuilderError<D>>
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
        let config = ProducerConfig { stream_id: id.into(), ..self.config.clone() };
        let options =
            BySerde { streams: self.streams, config, undelivered: self.undelivered.clone() };
        Builder { options, state: Named::new(Codec::of_payload()) }
    }
}

impl<D> Builder<'_, D, Named<D>> {
    /// Names the stream differently.
    pub fn with_stream_id(mut self, id: impl Into<StreamId>) -> Self {
        self.options.config.stream_id = id.into();
        self
    }

    /// Builds the producer and announces the stream: consumers find it from now on.
    ///
    /// # Errors
    /// [`BuilderError::AlreadyExists`] with the producer of this stream, if there is one on this
    /// node; [`BuilderError::TypeMismatch`] if it is of another type;
    /// [`BuilderError::NotAnnounced`] if the node's entry has no room for it.
    pub fn build(self) -> Result<Producer<D>, BuilderError<D>>
    where
        D: Send + 'static,
    {
        let BySerde { streams, config, undelivered } = self.options;
        let codec = self.state.codec();
        let undelivered = undelivered.map(|sink| Undelivered::new(sink, codec));
        streams.open_producer(config, codec, undelivered)
    }
}

impl<D, S> Builder<'_, D, S> {
    /// Serves only consumers for which the predicate holds; several must all hold. Judged again
    /// whenever the consumer's entry changes: one that does not pass any more is cut.
    ///
    /// The round-trip time that a predicate sees is the connection's at that moment. That it
    /// changes is no occasion to judge a consumer again: one that is served and near a limit is not
    /// cut and admitted by turns.
    pub fn require<F>(mut self, predicate: F) -> Self
    where
        F: Fn(&PeerInfo) -> bool + Send + Sync + 'static,
    {
        self.options.config.require.push(Arc::new(predicate));
        self
    }

    /// Serves only consumers one of whose tickets this validator passes; several must all be
    /// passed. Judged again when the consumer's tickets change and at the moment they expire: one
    /// that does not pass any more is cut. Tickets that are replaced before they expire interrupt
    /// nothing.
    pub fn require_ticket(mut self, validator: impl TicketValidator) -> Self {
        self.options.config.ticket_validators.push(Arc::new(validator));
        self
    }

    /// When the producer is online. Default: at least one consumer is connected.
    ///
    /// While it is offline sends wait, and `try_send` fails.
    pub fn online_when<F>(mut self, condition: F) -> Self
    where
        F: Fn(ChannelConditions) -> ChannelConditions + Send + Sync + 'static,
    {
        self.options.config.online_when = Arc::new(condition);
        self
    }

    /// How many datums a consumer may be behind before [`on_lag`](Builder::on_lag) applies. Default
    /// 1,024; at least 1. Beside it 4 MiB of encoded datums are a bound.
    pub fn with_buffer_size(mut self, datums: usize) -> Self {
        self.options.config.buffer_size = datums;
        self
    }

    /// What becomes of a consumer that is further behind than
    /// [`with_buffer_size`](Builder::with_buffer_size). Default: the producer waits for it.
    pub fn on_lag(mut self, on_lag: OnLag) -> Self {
        self.options.config.on_lag = on_lag;
        self
    }

    /// The published form of [`on_lag`](Builder::on_lag): `true` is [`OnLag::Disconnect`], `false`
    /// [`OnLag::DropOldest`].
    pub fn disconnect_lagging(self, disconnect: bool) -> Self {
        self.on_lag(if disconnect { OnLag::Disconnect } else { OnLag::DropOldest })
    }

    /// How many of the last datums a late consumer gets first; at most 16 MiB of them. Default 0:
    /// it gets what is sent from then on. Only what was sent while the producer was online counts;
    /// see [`online_when`](Builder::online_when).
    pub fn retain(mut self, datums: usize) -> Self {
        self.options.config.retain = datums;
        self
    }

    /// For how long the place of a consumer is held whose connection broke, from when this side
    /// notices. Within it the consumer goes on where it was, with no gap and no duplicate. Default
    /// 10 s; zero holds nothing, `Duration::MAX` holds it for ever.
    ///
    /// While it is held it does not count as subscribed. Under [`OnLag::Block`] the producer waits
    /// for it when its window is full.
    pub fn with_resume_window(mut self, window: Duration) -> Self {
        self.options.config.resume_window = window;
        self
    }

    /// For how long at most, under [`OnLag::Block`], the producer waits for a consumer that makes
    /// no progress at all while data wait for it, or while what it has not confirmed holds the
    /// producer; then it is cut with [`TooSlow`](crate::transport::CloseReason::TooSlow). It comes
    /// back for what is sent from then on, and the producer does not wait for any consumer of that
    /// peer that comes, before one has taken something. Default 30 s; at least 100 ms.
    ///
    /// Once the last handle has been dropped it bounds, under every policy, how long a consumer may
    /// take nothing of what it was not sent yet.
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Self {
        self.options.config.stall_timeout = timeout;
        self
    }

    /// Where datums come out that no consumer got: those that the producer lets go of (because
    /// nobody is subscribed, because all skipped them, because the resume window of the last one
    /// passed, or because the producer ended) although no consumer's application has taken them.
    /// With [`retain`](Builder::retain) they come out when they are no longer retained.
    ///
    /// They are decoded from what was sent. A datum that a consumer took and whose acknowledgement
    /// was lost with the connection comes out too.
    pub fn with_undelivered_sink(mut self, sink: UnboundedSender<D>) -> Self {
        self.options.undelivered = Some(sink);
        self
    }

    /// How many consumers are served at once; others wait until one leaves. Default unlimited, but
    /// for 64 of each peer.
    pub fn with_max_consumers(mut self, consumers: usize) -> Self {
        self.options.config.max_consumers = consumers;
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
