//! Keeping a place in the overlay: contacting whom sources find, and healing.

use std::time::Duration;

use iroh::EndpointAddr;
use tokio::time::Instant;

use super::{Command, SourceName, Worker};
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
/// With fewer neighbours than this, whom a source finds is contacted at once.
const FIRST_NEIGHBORS: usize = 2;
/// How often too few neighbours are noticed.
pub(super) const HEAL_INTERVAL: Duration = Duration::from_secs(5);
/// Healing and random syncs begin this short and double: while many nodes start at once, and after a node has lost
/// all its neighbours, the overlay is in flux.
const INTERVALS_FIRST: Duration = Duration::from_millis(250);
/// The part by which these intervals vary at random.
const INTERVALS_JITTER: f64 = 0.5;
/// The part by which the pauses vary at random after which purged peers are dialled.
const RETRIES_JITTER: f64 = 0.2;

impl Worker {
    /// A source found a peer: it is remembered, and dialled if more neighbours are needed.
    pub(super) fn found(&mut self, source: SourceName, address: EndpointAddr) {
        if address.id == self.shared.me() {
            return;
        }
        self.candidates.add(source, address.clone(), &self.random);
        // The first neighbours lead to more.
        if self.overlay.neighbors().len() + self.candidates.contacts(source) < FIRST_NEIGHBORS {
            self.contact(Some(source), address);
        }
    }

    /// Dials a peer, on a source's account if it was not known before.
    fn contact(&mut self, source: Option<SourceName>, address: EndpointAddr) {
        let peer = address.id;
        if self.overlay.neighbors().contains(&peer) || !self.candidates.begin(peer, source) {
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
            self.contact_candidates();
        }
    }

    /// Contacts one that is not in the catalog of those that each source has found.
    pub(super) fn contact_candidates(&mut self) {
        let catalog = self.shared.catalog();
        for source in self.candidates.sources() {
            let is_unknown = |peer: &PeerId| catalog.get(peer).is_none();
            if self.candidates.has_room(source)
                && let Some(address) = self.candidates.pick(source, is_unknown, &self.random)
            {
                self.contact(Some(source), address);
            }
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
        due.into_iter().for_each(|address| self.contact(None, address));
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
