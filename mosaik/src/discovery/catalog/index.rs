//! The peers of one stream or group each, for those who only care about that one.

mod peers;

use std::collections::{BTreeMap, BTreeSet};

use imbl::ordmap::DiffItem;
use tokio::sync::watch;

use self::peers::{Listed, Peers};
use super::{Catalog, Change};
use crate::{
    discovery::entry::PeerEntry,
    id::{PeerId, UniqueId},
};

/// Who has each of the things of one kind that somebody asked about: who produces a stream, or
/// takes part in a group.
#[derive(Debug)]
pub(crate) struct PeerIndex {
    /// What an entry has of this kind.
    things: fn(&PeerEntry) -> &BTreeSet<UniqueId>,
    watched: BTreeMap<UniqueId, watch::Sender<Peers>>,
}

impl PeerIndex {
    /// Of the producers of streams.
    pub(crate) fn of_streams() -> Self {
        Self { things: PeerEntry::streams, watched: BTreeMap::new() }
    }

    /// Of the members of groups.
    pub(crate) fn of_groups() -> Self {
        Self { things: PeerEntry::groups, watched: BTreeMap::new() }
    }

    /// Follows the peers that have a thing, from this catalog on.
    pub(crate) fn subscribe(&mut self, thing: UniqueId, catalog: &Catalog) -> PeerDeltas {
        self.watched.retain(|_, sender| !sender.is_closed());
        let sender = self.watched.entry(thing).or_insert_with(|| {
            let having = catalog.peers().filter(|entry| (self.things)(entry).contains(&thing));
            let mut peers = Peers::default();
            having.for_each(|entry| peers.insert(*entry.id(), Listed::new(entry.clone())));
            watch::Sender::new(peers)
        });
        PeerDeltas { receiver: sender.subscribe(), seen: Peers::default(), begun: false }
    }

    pub(crate) fn apply(&mut self, change: &Change) {
        if self.watched.is_empty() {
            return;
        }
        let none = BTreeSet::new();
        let [old, new] = [&change.old, &change.new]
            .map(|entry| entry.as_ref().map_or(&none, |entry| (self.things)(entry)));
        for thing in old.union(new) {
            let Some(sender) = self.watched.get(thing) else { continue };
            let has_it = new.contains(thing) && !change.hidden;
            let entry = change.new.as_ref().filter(|_| has_it);
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

    /// The things that somebody follows.
    pub(crate) fn followed(&self) -> BTreeSet<UniqueId> {
        let followed = self.watched.iter().filter(|(_, sender)| !sender.is_closed());
        followed.map(|(thing, _)| *thing).collect()
    }

    /// Whether somebody follows a thing that the peer has.
    pub(crate) fn is_used(&self, entry: &PeerEntry) -> bool {
        let is_open = |sender: &watch::Sender<Peers>| !sender.is_closed();
        !self.watched.is_empty()
            && (self.things)(entry).iter().any(|thing| self.watched.get(thing).is_some_and(is_open))
    }
}

/// A change among the producers of a stream, or the members of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PeerDelta {
    /// A peer is one now.
    Added(PeerEntry),
    /// A peer that is one changed its entry, or the round-trip time to it changed.
    Updated(PeerEntry),
    /// A peer is none any more, or is gone.
    Removed(PeerId),
}

/// The producers of one stream, or the members of one group (never the local node), told as
/// changes.
///
/// A reader that comes late gets the sum of what it missed; nothing queues up.
#[derive(Debug)]
pub(crate) struct PeerDeltas {
    receiver: watch::Receiver<Peers>,
    seen: Peers,
    begun: bool,
}

impl PeerDeltas {
    /// Waits for changes: the first call answers at once with all peers known so far, even
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
