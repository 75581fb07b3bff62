//! Who is connected to a consumer, as it changes.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use mosaik::{
    PeerId,
    discovery::PeerEntry,
    streams::{ChannelInfo, Consumer, When},
};

/// A peer's coming or going.
#[derive(Debug, Clone)]
pub enum Change {
    /// The peer is connected: data flow.
    Came(PeerEntry),
    /// The connection has ended: the peer has left, or cannot be reached.
    Left(PeerId),
}

/// Follows the producers of a stream.
pub struct Peers {
    when: When,
    channels: Box<dyn Fn() -> Vec<ChannelInfo> + Send>,
    connected: HashSet<PeerId>,
    ends: FuturesUnordered<BoxFuture<'static, PeerId>>,
    changes: VecDeque<Change>,
}

impl Peers {
    /// Follows those that this consumer hears.
    pub fn heard_by<D: 'static>(consumer: &Consumer<D>) -> Self {
        let consumer = consumer.clone();
        Self::new(consumer.when().clone(), move || consumer.producers().collect())
    }

    fn new(when: When, channels: impl Fn() -> Vec<ChannelInfo> + Send + 'static) -> Self {
        Self {
            when,
            channels: Box::new(channels),
            connected: HashSet::new(),
            ends: FuturesUnordered::new(),
            changes: VecDeque::new(),
        }
    }

    /// The next change; those that are connected at the start come first. Cancel safe.
    pub async fn next(&mut self) -> Change {
        loop {
            if let Some(change) = self.changes.pop_front() {
                return change;
            }
            let connected = self.connected.clone();
            let new = move |peer: &PeerEntry| !connected.contains(peer.id());
            tokio::select! {
                () = self.when.subscribed().with_predicate(new) => self.look(),
                Some(peer) = self.ends.next() => {
                    self.connected.remove(&peer);
                    self.changes.push_back(Change::Left(peer));
                }
            }
        }
    }

    /// Notes the channels that are not known yet.
    fn look(&mut self) {
        for channel in (self.channels)() {
            let peer = *channel.peer().id();
            if channel.is_connected() && self.connected.insert(peer) {
                self.ends.push(channel.disconnected().map(move |()| peer).boxed());
                self.changes.push_back(Change::Came(channel.peer().clone()));
            }
        }
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("connected", &self.connected).finish_non_exhaustive()
    }
}
