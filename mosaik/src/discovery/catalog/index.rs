//! The peers of one stream each, for those who only care about that stream.

use std::collections::{BTreeMap, BTreeSet};

use imbl::{OrdMap, ordmap::DiffItem};
use tokio::sync::watch;

use super::{Catalog, Change};
use crate::{
    discovery::entry::PeerEntry,
    id::{PeerId, StreamId},
};

/// With how often something was measured of each.
type Peers = OrdMap<PeerId, (Listed, u32)>;

/// An entry that has changed when the body of a ticket has come, too.
#[derive(Clone, Debug)]
struct Listed(PeerEntry);

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.0.shows_the_same_as(&other.0)
    }
}

/// Who produces each of the streams that somebody asked about.
#[derive(Debug, Default)]
pub(crate) struct StreamIndex {
    watched: BTreeMap<StreamId, watch::Sender<Peers>>,
}

impl StreamIndex {
    /// Follows the producers of a stream from this catalog on.
    pub(crate) fn subscribe(&mut self, stream: StreamId, catalog: &Catalog) -> StreamPeers {
        self.watched.retain(|_, sender| !sender.is_closed());
        let sender = self.watched.entry(stream).or_insert_with(|| {
            let producers = catalog.peers().filter(|entry| entry.streams().contains(&stream));
            let peers = producers.map(|entry| (*entry.id(), (Listed(entry.clone()), 0)));
            watch::Sender::new(peers.collect())
        });
        StreamPeers { receiver: sender.subscribe(), seen: OrdMap::new(), begun: false }
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        if self.watched.is_empty() {
            return;
        }
        let streams = |entry: &Option<PeerEntry>| {
            entry.as_ref().map(|entry| entry.streams().clone()).unwrap_or_default()
        };
        let (old, new) = (streams(&change.old), streams(&change.new));
        for stream in old.union(&new) {
            let Some(sender) = self.watched.get(stream) else { continue };
            let is_producer = new.contains(stream) && !change.hidden;
            let entry = change.new.as_ref().filter(|_| is_producer);
            sender.send_modify(|peers| {
                let count = peers.get(&change.peer).map_or(0, |(_, count)| *count);
                let count = count.wrapping_add(u32::from(change.measured));
                match entry {
                    Some(entry) => peers.insert(change.peer, (Listed(entry.clone()), count)),
                    None => peers.remove(&change.peer),
                };
            });
        }
    }

    /// The streams that somebody follows.
    pub(crate) fn followed(&self) -> BTreeSet<StreamId> {
        let followed = self.watched.iter().filter(|(_, sender)| !sender.is_closed());
        followed.map(|(stream, _)| *stream).collect()
    }

    /// Whether somebody follows a stream that the peer produces.
    pub(crate) fn is_used(&self, entry: &PeerEntry) -> bool {
        let is_open = |sender: &watch::Sender<Peers>| !sender.is_closed();
        !self.watched.is_empty()
            && entry.streams().iter().any(|stream| self.watched.get(stream).is_some_and(is_open))
    }
}

/// A change among the producers of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PeerDelta {
    /// A peer produces the stream now.
    Added(PeerEntry),
    /// A peer that produces the stream changed its entry, or the round-trip time to it changed.
    Updated(PeerEntry),
    /// A peer does not produce the stream any more, or is gone.
    Removed(PeerId),
}

/// The producers of one stream (never the local node), told as changes.
///
/// A reader that comes late gets the sum of what it missed; nothing queues up.
#[derive(Debug)]
pub(crate) struct StreamPeers {
    receiver: watch::Receiver<Peers>,
    seen: Peers,
    begun: bool,
}

impl StreamPeers {
    /// Waits for changes: the first call answers at once with all producers known so far, even
    /// if there are none. `None` once the node has shut down. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Vec<PeerDelta>> {
        loop {
            if self.begun {
                self.receiver.changed().await.ok()?;
            }
            let first = !std::mem::replace(&mut self.begun, true);
            let deltas = self.catch_up();
            if first || !deltas.is_empty() {
                return Some(deltas);
            }
        }
    }

    fn catch_up(&mut self) -> Vec<PeerDelta> {
        let now = self.receiver.borrow_and_update().clone();
        let deltas = self
            .seen
            .diff(&now)
            .map(|item| match item {
                DiffItem::Add(_, (Listed(entry), _)) => PeerDelta::Added(entry.clone()),
                DiffItem::Update { new: (_, (Listed(entry), _)), .. } => {
                    PeerDelta::Updated(entry.clone())
                }
                DiffItem::Remove(peer, _) => PeerDelta::Removed(*peer),
            })
            .collect();
        self.seen = now;
        deltas
    }
}
