//! The peers of one stream each, for those who only care about that stream.

mod peers;

use std::collections::{BTreeMap, BTreeSet};

use imbl::ordmap::DiffItem;
use tokio::sync::watch;

use self::peers::{Listed, Peers};
use super::{Catalog, Change};
use crate::{
    discovery::entry::PeerEntry,
    id::{PeerId, StreamId},
};

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
            let mut peers = Peers::default();
            producers.for_each(|entry| peers.insert(*entry.id(), Listed::new(entry.clone())));
            watch::Sender::new(peers)
        });
        StreamPeers { receiver: sender.subscribe(), seen: Peers::default(), begun: false }
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
                let measured = peers.get(&change.peer).map_or(0, |listed| listed.measured);
                let measured = measured.wrapping_add(u32::from(change.measured));
                match entry {
                    Some(entry) => {
                        let listed = Listed { entry: entry.clone(), measured };
                        peers.insert(change.peer, listed);
                    }
                    None => peers.remove(&change.peer),
                }
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
        let (before, after) = (self.seen.to_map(), now.to_map());
        let deltas = before
            .diff(&after)
            .map(|item| match item {
                DiffItem::Add(_, listed) => PeerDelta::Added(listed.entry.clone()),
                DiffItem::Update { new: (_, listed), .. } => {
                    PeerDelta::Updated(listed.entry.clone())
                }
                DiffItem::Remove(peer, _) => PeerDelta::Removed(*peer),
            })
            .collect();
        self.seen = now;
        deltas
    }
}
