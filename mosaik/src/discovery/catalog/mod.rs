//! The catalog: everyone a node knows of.

mod exchange;
mod gate;
mod index;
mod known;
mod room;
mod rules;
mod state;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use imbl::{OrdMap, OrdSet};

pub(crate) use exchange::{RawPeerId, Summary, SyncItem, Want};
pub(crate) use index::{PeerDelta, PeerDeltas, PeerIndex};
pub(crate) use rules::Rules;
pub(crate) use state::{Change, Claim, Effects, Input, Merged, State};

use super::entry::{PeerEntry, SignedPeerEntry};
use crate::id::{NetworkId, PeerId};

/// Everyone a node knows of at one moment: an immutable snapshot, cheap to clone.
///
/// Peers that have departed, or gave no sign of life for `purge_after`, are not in it. Signed
/// entries come from the peers themselves; unsigned ones were
/// [inserted](super::Discovery::insert) on this node and are known to nobody else.
#[derive(Clone)]
pub struct Catalog(Arc<Content>);

struct Content {
    local: SignedPeerEntry,
    signed: OrdMap<PeerId, SignedPeerEntry>,
    unsigned: OrdMap<PeerId, PeerEntry>,
    slow: OrdSet<PeerId>,
}

impl Catalog {
    fn new(
        local: SignedPeerEntry,
        signed: OrdMap<PeerId, SignedPeerEntry>,
        unsigned: OrdMap<PeerId, PeerEntry>,
        slow: OrdSet<PeerId>,
    ) -> Self {
        Self(Arc::new(Content { local, signed, unsigned, slow }))
    }

    /// The id of the local node.
    pub fn local_id(&self) -> PeerId {
        *self.0.local.id()
    }

    /// The network that all entries belong to.
    pub fn network_id(&self) -> NetworkId {
        *self.0.local.network_id()
    }

    /// The entry of the local node.
    pub fn local(&self) -> &SignedPeerEntry {
        &self.0.local
    }

    /// All peers, without the local node, and without those known to be further away than
    /// `max_rtt`.
    pub fn peers(&self) -> impl DoubleEndedIterator<Item = &PeerEntry> {
        let peers = self.signed_peers().map(SignedPeerEntry::entry).chain(self.unsigned_peers());
        peers.filter(|entry| !self.0.slow.contains(entry.id()))
    }

    /// The peers whose entries are signed, without the local node.
    pub fn signed_peers(&self) -> impl DoubleEndedIterator<Item = &SignedPeerEntry> {
        self.0.signed.iter().map(|(_, entry)| entry)
    }

    /// The peers that were inserted by hand.
    pub fn unsigned_peers(&self) -> impl DoubleEndedIterator<Item = &PeerEntry> {
        self.0.unsigned.iter().map(|(_, entry)| entry)
    }

    /// The local node and all peers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &PeerEntry> {
        std::iter::once(self.local().entry()).chain(self.peers())
    }

    /// The local node and all peers whose entries are signed.
    pub fn iter_signed(&self) -> impl DoubleEndedIterator<Item = &SignedPeerEntry> {
        std::iter::once(self.local()).chain(self.signed_peers())
    }

    /// Whether a peer is known to be further away than `max_rtt`.
    pub(crate) fn is_too_far(&self, id: &PeerId) -> bool {
        self.0.slow.contains(id)
    }

    /// The entry of a peer or of the local node.
    pub fn get(&self, id: &PeerId) -> Option<&PeerEntry> {
        match self.get_signed(id) {
            Some(entry) => Some(entry.entry()),
            None => self.0.unsigned.get(id),
        }
    }

    /// The signed entry of a peer or of the local node.
    pub fn get_signed(&self, id: &PeerId) -> Option<&SignedPeerEntry> {
        if *id == self.local_id() { Some(self.local()) } else { self.0.signed.get(id) }
    }

    /// How many [`Catalog::peers`] there are.
    pub fn peers_count(&self) -> usize {
        self.signed_peers_count() + self.0.unsigned.len() - self.0.slow.len()
    }

    /// How many peers with signed entries there are, without the local node.
    pub fn signed_peers_count(&self) -> usize {
        self.0.signed.len()
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog")
            .field("local", &self.local_id())
            .field("signed", &self.0.signed.keys().collect::<Vec<_>>())
            .field("unsigned", &self.0.unsigned.keys().collect::<Vec<_>>())
            .finish()
    }
}
