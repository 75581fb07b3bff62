//! Producers that are not sought yet, because too many others are.

use std::collections::BTreeMap;

use crate::{discovery::PeerEntry, id::PeerId};

/// Those who were tried least come first, and of these who has waited longest.
type Turn = (u32, u64);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    order: BTreeMap<Turn, PeerEntry>,
    turns: BTreeMap<PeerId, Turn>,
    arrivals: u64,
}

impl Waiting {
    /// A producer has to wait, after it was tried so often in vain.
    pub(super) fn insert(&mut self, entry: PeerEntry, tried: u32) {
        self.remove(entry.id());
        let turn = (tried, self.arrivals);
        self.arrivals += 1;
        self.turns.insert(*entry.id(), turn);
        self.order.insert(turn, entry);
    }

    /// The entry of a producer has changed; false if it does not wait here. One that was started
    /// again counts as not tried.
    pub(super) fn update(&mut self, entry: &PeerEntry) -> bool {
        let Some(turn) = self.turns.get(entry.id()) else { return false };
        let Some(known) = self.order.get_mut(turn) else { return false };
        let is_restarted =
            entry.update_version().started_at() != known.update_version().started_at();
        *known = entry.clone();
        if is_restarted {
            self.insert(entry.clone(), 0);
        }
        true
    }

    /// Takes a producer out, with how often it was tried.
    pub(super) fn remove(&mut self, peer: &PeerId) -> Option<(PeerEntry, u32)> {
        let turn = self.turns.remove(peer)?;
        Some((self.order.remove(&turn)?, turn.0))
    }

    /// Takes out whose turn it is.
    pub(super) fn next(&mut self) -> Option<(PeerEntry, u32)> {
        let peer = *self.order.first_key_value()?.1.id();
        self.remove(&peer)
    }

    /// How often whoever is next was tried.
    pub(super) fn least_tried(&self) -> Option<u32> {
        self.order.first_key_value().map(|((tried, _), _)| *tried)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;
    use crate::discovery::PeerEntryVersion;

    fn entry(seed: u8, start: u64) -> PeerEntry {
        let peer = SecretKey::from_bytes(&[seed; 32]).public();
        PeerEntry::starting("network".into(), peer.into(), PeerEntryVersion::new(start, start))
    }

    #[test]
    fn who_was_tried_least_comes_first_and_then_who_has_waited_longest() {
        let mut waiting = Waiting::default();
        for (seed, tried) in [(1, 2), (2, 0), (3, 1), (4, 0), (5, 0)] {
            waiting.insert(entry(seed, 1), tried);
        }
        // One that has changed keeps its turn; one that was started again has a new one.
        assert!(waiting.update(&entry(2, 1)));
        assert!(waiting.update(&entry(1, 2)));
        assert!(!waiting.update(&entry(9, 1)));
        let removed = waiting.remove(entry(5, 1).id());
        assert_eq!(removed, Some((entry(5, 1), 0)));
        let order = std::iter::from_fn(|| waiting.next()).collect::<Vec<_>>();
        assert_eq!(order, [(entry(2, 1), 0), (entry(4, 1), 0), (entry(1, 2), 0), (entry(3, 1), 1)]);
        assert!(waiting.is_empty() && waiting.turns.is_empty());
    }
}
