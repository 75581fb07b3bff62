//! What discovery counts for whoever watches the node.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::{event::Event, shared::Shared};
use crate::telemetry::{self, Metered, Sample};

/// Counts since the node started, and the neighbours of the moment.
#[derive(Debug, Default)]
pub(super) struct Counts {
    neighbors: AtomicUsize,
    syncs: AtomicU64,
    discovered: AtomicU64,
    updated: AtomicU64,
    departed: AtomicU64,
}

impl Counts {
    /// So many neighbours there are now.
    pub(super) fn neighbors(&self, count: usize) {
        self.neighbors.store(count, Ordering::Relaxed);
    }

    /// A catalog sync was completed.
    pub(super) fn synced(&self) {
        self.syncs.fetch_add(1, Ordering::Relaxed);
    }

    /// Something about a peer was told to those who listen.
    pub(super) fn told(&self, event: &Event) {
        let counter = match event {
            Event::PeerDiscovered(_) => &self.discovered,
            Event::PeerUpdated(_) => &self.updated,
            Event::PeerDeparted(_) => &self.departed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// A node's discovery, to be sampled.
#[derive(Debug)]
pub(super) struct Meter(pub(super) Arc<Shared>);

impl Metered for Meter {
    fn sample(&self, sample: &mut Sample) {
        let Self(shared) = self;
        let counts = &shared.counts;
        let size = shared.catalog().peers_count() as u64;
        let neighbors = counts.neighbors.load(Ordering::Relaxed) as u64;
        sample.add(&telemetry::CATALOG_SIZE, size);
        sample.add(&telemetry::GOSSIP_NEIGHBORS, neighbors);
        for (metric, counter) in [
            (&telemetry::CATALOG_SYNCS, &counts.syncs),
            (&telemetry::PEERS_DISCOVERED, &counts.discovered),
            (&telemetry::PEERS_UPDATED, &counts.updated),
            (&telemetry::PEERS_DEPARTED, &counts.departed),
        ] {
            sample.add(metric, counter.load(Ordering::Relaxed));
        }
        for (reason, count) in shared.refusals().iter() {
            sample.of_reason(None, &telemetry::DISCOVERY_REFUSALS, format!("{reason:?}"), count);
        }
    }
}
