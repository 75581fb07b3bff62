//! The receiving end of a stream.

mod budget;
mod builder;
mod config;
mod control;
mod events;
pub(super) mod position;
mod reader;
mod source;
mod subscription;
mod worker;

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

use futures::{Stream, channel::mpsc::unbounded as channel};
use tokio::sync::{broadcast, mpsc::error::TryRecvError};
use tokio_util::sync::DropGuard;

pub(super) use self::source::SourceEnd;
pub use self::{
    builder::{Builder, BySerde, Named, Unnamed},
    config::ConsumerConfig,
    events::{Delivery, Event, Gap},
};
use self::{
    events::Events,
    reader::Reader,
    source::Source,
    subscription::{Means, Refusals},
    worker::Worker,
};
use super::{
    codec::Codec,
    error::SubscribeError,
    meter::ConsumerMeter,
    status::{ChannelInfo, Channels, Stats, When},
    when::Roster,
};
use crate::{
    discovery::Discovery,
    id::{PeerId, StreamId},
    random::Random,
    schema::Schema,
    tasks::Tasks,
    telemetry::Meters,
    transport::Transport,
};

/// The receiving end of a stream: what all producers of it send that are eligible, each one's
/// datums in order.
///
/// It finds producers by itself, reaches them, and reaches them again. What is not received holds
/// the producers back: a consumer that is kept but not read makes them wait.
///
/// Clones share the subscriptions: each datum goes to one of them. The subscriptions end with the
/// last clone.
pub struct Consumer<D> {
    core: Arc<Core>,
    codec: Codec<D>,
    /// Where this handle waits.
    key: u64,
    _ends: Arc<DropGuard>,
}

/// What a consumer's handles, its worker and its subscriptions share.
#[derive(Debug)]
struct Core {
    config: ConsumerConfig,
    schema: Option<Arc<Schema>>,
    /// Tells this consumer from others on the same node.
    id: u64,
    reader: Mutex<Reader>,
    events: Arc<Events>,
    meter: Arc<ConsumerMeter>,
    roster: Roster,
    when: When,
    channels: Arc<Channels>,
    refusals: Mutex<Refusals>,
}

impl Core {
    fn new(config: ConsumerConfig, schema: Option<Arc<Schema>>, id: u64) -> Self {
        let roster = Roster::new();
        let online = (config.online_when)(roster.conditions());
        let when = When::new(roster.clone(), online);
        let events = Arc::new(Events::default());
        let meter = ConsumerMeter::new(config.stream_id);
        Self {
            config,
            schema,
            id,
            reader: Mutex::new(Reader::new(events.clone(), meter.clone())),
            events,
            meter,
            roster,
            when,
            channels: Arc::default(),
            refusals: Mutex::default(),
        }
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_source(&self, number: u64, source: Source) {
        self.meter.received.start();
        self.reader().add(number, source);
    }

    fn cut(&self, number: u64) {
        self.reader().cut(number);
    }

    fn refusals(&self) -> MutexGuard<'_, Refusals> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_refusal(&self, peer: PeerId, error: Option<SubscribeError>) {
        match error {
            Some(error) => self.refusals().insert(peer, error),
            None => self.refusals().remove(&peer),
        };
    }

    fn close(&self) {
        self.reader().close();
        self.channels.set(Vec::new());
        self.roster.close();
    }
}

impl<D> Consumer<D> {
    pub(super) fn open(
        config: ConsumerConfig,
        codec: Codec<D>,
        transport: Transport,
        discovery: Discovery,
        random: Random,
        tasks: &Tasks,
        telemetry: &Meters,
    ) -> Self {
        let tasks = tasks.child();
        let core = Arc::new(Core::new(config, codec.schema(), u64::from_le_bytes(random.bytes())));
        telemetry.add(core.meter.clone());
        // Each subscription has a few events under way at most. A channel of tokio would take
        // 1.5 KB before the first.
        let (reports, received) = channel();
        let means = Means { transport, discovery, random, reports, tasks: tasks.clone() };
        tracing::debug!(stream = %core.config.stream_id, intent = %codec.intent(), "consuming");
        let worker = Worker::new(core.clone(), means, tasks.clone(), received);
        tasks.spawn("streams.consumer", worker.run());
        let key = core.reader().new_key();
        Self { core, codec, key, _ends: Arc::new(tasks.cancel_on_drop()) }
    }

    /// The stream.
    #[must_use]
    pub fn stream_id(&self) -> &StreamId {
        &self.core.config.stream_id
    }

    /// Where its channels can be seen without keeping it.
    pub(super) fn channels(&self) -> Weak<Channels> {
        Arc::downgrade(&self.core.channels)
    }

    /// What can be waited for.
    #[must_use]
    pub fn when(&self) -> &When {
        &self.core.when
    }

    /// What the consumer was built with.
    #[must_use]
    pub fn config(&self) -> &ConsumerConfig {
        &self.core.config
    }

    /// Whether the condition of `online_when` is met; by default it always is, until the network
    /// is gone.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.when().is_online()
    }

    /// What was received so far, from all producers together.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.core.meter.received
    }

    /// The channels from the producers of this moment.
    pub fn producers(&self) -> impl Iterator<Item = ChannelInfo> + use<D> {
        self.core.channels.iter()
    }

    /// The producers that are known and eligible but not subscribed to at this moment, and why.
    pub fn refusals(&self) -> impl Iterator<Item = (PeerId, SubscribeError)> + use<D> {
        self.core.refusals().clone().into_iter()
    }

    /// What happens to the channels from now on: they come and go, and datums are missing that the
    /// producer did not keep. A listener that is 256 events behind is told so by the receiver.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.core.events.subscribe()
    }

    /// How many datums are known to be missing, from all producers together: the sum of the
    /// [gaps](Gap) so far.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.core.events.missed()
    }

    /// The next datum, with the producer that it is from, and whether another member of the share
    /// group was given it before. Otherwise as [`recv`](Consumer::recv).
    pub async fn recv_delivery(&mut self) -> Option<Delivery<D>> {
        let wrap = |datum, source: &Source, redelivered| Delivery {
            datum,
            producer: source.channel.producer,
            redelivered,
        };
        poll_fn(|cx| self.poll_with(Some((self.key, cx.waker())), wrap)).await
    }

    /// The next datum; `None` when the network is gone. Cancel safe: a cancelled call takes
    /// nothing.
    pub async fn recv(&mut self) -> Option<D> {
        poll_fn(|cx| self.poll_with(Some((self.key, cx.waker())), |datum, _, _| datum)).await
    }

    /// The next datum if one has arrived.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if none has, [`TryRecvError::Disconnected`] if none will: the
    /// network is gone.
    pub fn try_recv(&mut self) -> Result<D, TryRecvError> {
        match self.poll_with(None, |datum, _, _| datum) {
            Poll::Ready(Some(datum)) => Ok(datum),
            Poll::Ready(None) => Err(TryRecvError::Disconnected),
            Poll::Pending => Err(TryRecvError::Empty),
        }
    }

    #[inline]
    fn poll_with<T>(
        &self,
        waiter: Option<(u64, &Waker)>,
        wrap: impl FnOnce(D, &Source, bool) -> T,
    ) -> Poll<Option<T>> {
        self.core.reader().poll_next(waiter, self.codec.decode, &self.core.meter.received, wrap)
    }
}

/// Cancel safe: a dropped `next()` takes nothing. Ends when the network is gone.
impl<D> Stream for Consumer<D> {
    type Item = D;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<D>> {
        self.poll_with(Some((self.key, cx.waker())), |datum, _, _| datum)
    }
}

impl<D> Clone for Consumer<D> {
    /// Another handle to the same subscriptions: each datum goes to one of them.
    fn clone(&self) -> Self {
        let key = self.core.reader().new_key();
        Self { core: self.core.clone(), codec: self.codec, key, _ends: self._ends.clone() }
    }
}

impl<D> Drop for Consumer<D> {
    fn drop(&mut self) {
        self.core.reader().forget(self.key);
    }
}

impl<D> fmt::Debug for Consumer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("stream_id", self.stream_id())
            .field("is_online", &self.is_online())
            .field("producers", &self.producers().count())
            .field("stats", self.stats())
            .finish_non_exhaustive()
    }
}
