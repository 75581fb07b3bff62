//! What can be seen of a stream from outside: its channels, their state, their counters.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

use super::Criteria;
pub use super::when::{Conditions as ChannelConditions, When};
use crate::{
    discovery::PeerEntry,
    id::{PeerId, StreamId},
};

/// How far a channel has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Agreed upon; the way for the data is being opened.
    Connecting,
    /// Data flow.
    Connected,
    /// It is over.
    Terminated,
}

/// Counters of a channel or of a whole consumer.
///
/// Bytes are those of the encoded datums, without framing and encryption.
#[derive(Default)]
pub struct Stats {
    datums: AtomicU64,
    bytes: AtomicU64,
    since: OnceLock<Instant>,
}

impl Stats {
    pub(super) const fn new() -> Self {
        Self { datums: AtomicU64::new(0), bytes: AtomicU64::new(0), since: OnceLock::new() }
    }

    /// How many datums were sent or received.
    #[must_use]
    pub fn datums(&self) -> usize {
        usize::try_from(self.datums.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// How many bytes they had.
    #[must_use]
    pub fn bytes(&self) -> usize {
        usize::try_from(self.bytes.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// For how long it has been connected; `None` if it has not been yet.
    #[must_use]
    pub fn uptime(&self) -> Option<Duration> {
        self.since.get().map(Instant::elapsed)
    }

    pub(super) fn start(&self) {
        let _ = self.since.set(Instant::now());
    }

    /// Counts. Only one task may do so at a time (here: whoever holds the lock of what is counted),
    /// which spares two locked instructions a datum.
    #[inline]
    pub(super) fn count(&self, datums: usize, bytes: usize) {
        let add = |counter: &AtomicU64, more: usize| {
            counter.store(counter.load(Ordering::Relaxed) + more as u64, Ordering::Relaxed);
        };
        add(&self.datums, datums);
        add(&self.bytes, bytes);
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} datums, {} bytes", self.datums(), self.bytes())?;
        match self.uptime() {
            Some(uptime) => write!(f, " in {uptime:.1?}"),
            None => f.write_str(", not connected yet"),
        }
    }
}

impl fmt::Debug for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stats({self})")
    }
}

/// One channel, from one producer to one consumer. Cheap to clone; counters and state are live.
#[derive(Clone)]
pub struct ChannelInfo {
    channel: Arc<Channel>,
    peer: PeerEntry,
    state: watch::Receiver<State>,
}

/// What both ends know of a channel.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) stream: StreamId,
    pub(super) criteria: Criteria,
    pub(super) producer: PeerId,
    pub(super) consumer: PeerId,
    pub(super) stats: Stats,
}

impl ChannelInfo {
    /// A new channel in state [`State::Connecting`], and what changes that.
    pub(super) fn new(channel: Arc<Channel>, peer: PeerEntry) -> (Self, watch::Sender<State>) {
        let (sender, state) = watch::channel(State::Connecting);
        (Self { channel, peer, state }, sender)
    }

    pub(super) fn set_peer(&mut self, peer: PeerEntry) {
        self.peer = peer;
    }

    /// The stream.
    #[must_use]
    pub fn stream_id(&self) -> &StreamId {
        &self.channel.stream
    }

    /// What the consumer wants of it.
    #[must_use]
    pub fn criteria(&self) -> &Criteria {
        &self.channel.criteria
    }

    /// The sending end.
    #[must_use]
    pub fn producer_id(&self) -> &PeerId {
        &self.channel.producer
    }

    /// The receiving end.
    #[must_use]
    pub fn consumer_id(&self) -> &PeerId {
        &self.channel.consumer
    }

    /// The other end's entry, as it was when this was asked for.
    #[must_use]
    pub fn peer(&self) -> &PeerEntry {
        &self.peer
    }

    /// How far the channel has come, right now.
    #[must_use]
    pub fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Follows the state.
    #[must_use]
    pub fn state_watcher(&self) -> &watch::Receiver<State> {
        &self.state
    }

    /// What has gone through it so far.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.channel.stats
    }

    /// Whether data flow.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state() == State::Connected
    }

    /// Resolves when the channel is over; at once if it is. Cancel safe.
    pub fn disconnected(&self) -> impl Future<Output = ()> + Send + Sync + 'static + use<> {
        let mut state = self.state.clone();
        async move {
            // An error means that nobody can change it any more: it is over.
            let _ = state.wait_for(|state| *state == State::Terminated).await;
        }
    }
}

impl fmt::Debug for ChannelInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelInfo")
            .field("stream", &self.channel.stream)
            .field("producer", &self.channel.producer)
            .field("consumer", &self.channel.consumer)
            .field("state", &self.state())
            .field("stats", self.stats())
            .finish_non_exhaustive()
    }
}

/// The channels of one end at a moment, for whoever asks.
#[derive(Debug, Default)]
pub(super) struct Channels(arc_swap::ArcSwap<Vec<ChannelInfo>>);

/// The channels of all consumers of a node.
#[derive(Debug, Default)]
pub(super) struct Consumed(Mutex<Vec<Weak<Channels>>>);

impl Consumed {
    pub(super) fn add(&self, consumer: Weak<Channels>) {
        let mut consumers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        consumers.retain(|known| known.strong_count() > 0);
        consumers.push(consumer);
    }

    /// Those that are not over.
    pub(super) fn channels(&self) -> Vec<ChannelInfo> {
        let consumers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let consumers = consumers.iter().filter_map(Weak::upgrade);
        consumers.flat_map(|channels| channels.iter()).collect()
    }
}

impl Channels {
    pub(super) fn set(&self, channels: Vec<ChannelInfo>) {
        self.0.store(Arc::new(channels));
    }

    /// Those that are not over.
    pub(super) fn iter(&self) -> impl Iterator<Item = ChannelInfo> + use<> {
        let all = self.0.load_full();
        let live: Vec<_> =
            all.iter().filter(|info| info.state() != State::Terminated).cloned().collect();
        live.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn counters_add_up_and_time_runs_from_the_start() {
        let stats = Stats::new();
        assert_eq!(stats.uptime(), None);
        stats.count(2, 10);
        stats.start();
        stats.count(1, 5);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!((stats.datums(), stats.bytes()), (3, 15));
        assert_eq!(stats.uptime(), Some(Duration::from_secs(2)));
        assert_eq!(stats.to_string(), "3 datums, 15 bytes in 2.0s");
    }
}
