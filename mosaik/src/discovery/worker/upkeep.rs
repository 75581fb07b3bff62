//! Keeping a place in the overlay: contacting whom sources find, and healing.

use std::time::Duration;

use iroh::EndpointAddr;
use tokio::time::Instant;

use super::{Command, Worker};
use crate::{
    discovery::{
        catalog::{Catalog, Effects},
        entry::SignedPeerEntry,
    },
    id::PeerId,
    random::Random,
};

/// Fewer neighbours than this are too few, if there are more peers.
const NEIGHBORS_MIN: usize = 3;
/// How many of those that sources find are contacted at once.
const FIRST_CONTACTS: usize = 2;
/// How often too few neighbours are noticed.
pub(super) const HEAL_INTERVAL: Duration = Duration::from_secs(5);
/// Healing and random syncs begin this short and double: while many nodes start at once, and after a node has lost
/// all its neighbours, the overlay is in flux.
const INTERVALS_FIRST: Duration = Duration::from_millis(250);
/// The part by which these intervals vary at random.
const INTERVALS_JITTER: f64 = 0.5;
/// The part by which the pauses vary at random after which purged peers are dialled.
const RETRIES_JITTER: f64 = 0.2;
/// Addresses from sources that are remembered.
const MAX_CANDIDATES: usize = 1024;

impl Worker {
    /// A source found a peer: it is dialled if more neighbours are needed, and remembered.
    pub(super) fn found(&mut self, address: EndpointAddr) {
        let peer = address.id;
        if peer == self.shared.me() {
            return;
        }
        if self.candidates.len() >= MAX_CANDIDATES && !self.candidates.contains_key(&peer) {
            self.candidates.pop_first();
        }
        self.candidates.insert(peer, address.clone());
        // The first neighbours lead to more.
        if self.overlay.neighbors().len() + self.contacting.len() < FIRST_CONTACTS {
            self.contact(address);
        }
    }

    fn contact(&mut self, address: EndpointAddr) {
        let peer = address.id;
        if self.overlay.neighbors().contains(&peer) || !self.contacting.insert(peer) {
            return;
        }
        let reach = self.reach.clone();
        self.tasks.spawn("discovery.contact", async move {
            if let Err(error) = reach.contact(address).await {
                tracing::debug!(%peer, %error, "a peer that was found was not reached");
                let _ = reach.commands.send(Command::Unreachable(peer)).await;
            }
        });
    }

    /// Finds more neighbours if there are too few. Each join moves several neighbours about, so
    /// while the overlay is in flux only a node that has none at all joins anew.
    pub(super) fn heal(&mut self, now: Instant) {
        let catalog = self.shared.catalog();
        let neighbors = self.overlay.neighbors().clone();
        let wanted = NEIGHBORS_MIN.min(catalog.signed_peers_count());
        if !neighbors.is_empty() && !self.healing.is_steady() {
            return;
        }
        if neighbors.len() < wanted {
            let missing = NEIGHBORS_MIN - neighbors.len();
            let is_stranger = |peer: &PeerId| !neighbors.contains(peer);
            let peers = self.random_peers(&catalog, missing, is_stranger);
            self.overlay.join(peers, now);
        }
        if neighbors.len() < NEIGHBORS_MIN {
            self.contact_candidate();
        }
    }

    /// Contacts one of those that sources have named and that are not in the catalog.
    pub(super) fn contact_candidate(&mut self) {
        let catalog = self.shared.catalog();
        let unknown = self.candidates.iter().filter(|(peer, _)| catalog.get(peer).is_none());
        let addresses: Vec<_> = unknown.map(|(_, address)| address.clone()).collect();
        if let Some(address) = addresses.get(self.random.below(addresses.len())) {
            self.contact(address.clone());
        }
    }

    /// Drops peers that were silent for too long; they may be behind a partition.
    pub(super) fn purge(&mut self, now: Instant) {
        let date = self.shared.now();
        let silent: Vec<_> = self.shared.change(|state, effects: &mut Effects| {
            state.purge(date, effects);
            let gone = effects.changes.iter().filter(|change| change.new.is_none());
            gone.filter_map(|change| Some(change.old.as_ref()?.address().clone())).collect()
        });
        silent.into_iter().for_each(|address| self.purged.add(address, now));
    }

    /// Dials peers that were purged and whose turn it is.
    pub(super) fn retry_purged(&mut self, now: Instant) {
        let catalog = self.shared.catalog();
        let is_back = |peer: &PeerId| catalog.get_signed(peer).is_some();
        let jitter = |pause| self.random.jittered(pause, RETRIES_JITTER);
        let due = self.purged.due(now, is_back, jitter);
        due.into_iter().for_each(|address| self.contact(address));
    }

    pub(super) fn random_peers(
        &self,
        catalog: &Catalog,
        count: usize,
        keep: impl Fn(&PeerId) -> bool,
    ) -> Vec<PeerId> {
        let peers = catalog.signed_peers().map(|entry: &SignedPeerEntry| *entry.id());
        let mut peers: Vec<_> = peers.filter(keep).collect();
        let count = count.min(peers.len());
        (0..count).map(|_| peers.swap_remove(self.random.below(peers.len()))).collect()
    }
}

/// Something that recurs at intervals that double up to a longest one, with jitter.
pub(super) struct Recurring {
    pub(super) at: Instant,
    next: Duration,
    longest: Duration,
}

impl Recurring {
    pub(super) fn new(now: Instant, longest: Duration) -> Self {
        Self { at: now + INTERVALS_FIRST, next: INTERVALS_FIRST * 2, longest }
    }

    pub(super) fn restart(&mut self, now: Instant) {
        *self = Self::new(now, self.longest);
    }

    /// Whether the intervals have reached their full length.
    pub(super) fn is_steady(&self) -> bool {
        self.next == self.longest
    }

    /// Whether it is due; if so, its next time is set.
    pub(super) fn is_due(&mut self, now: Instant, random: &Random) -> bool {
        if self.at > now {
            return false;
        }
        self.at = now + random.jittered(self.next, INTERVALS_JITTER);
        self.next = self.longest.min(self.next * 2);
        true
    }
}
