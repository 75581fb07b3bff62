//! Peers that fell silent: they may be alive behind a partition, so their addresses are tried for
//! a while.

use std::{collections::BTreeMap, time::Duration};

use iroh::EndpointAddr;
use tokio::time::Instant;

use crate::id::PeerId;

/// How many of them are remembered.
const MAX_PEERS: usize = 256;
/// How long each is tried.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause before the first attempt; each later one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_secs(5);
/// The longest pause between attempts.
const PAUSE_LONGEST: Duration = Duration::from_secs(10 * 60);
/// The most that are dialled at once.
const MAX_DIALS: usize = 8;
/// How much later those are tried for which there was no room.
const NO_ROOM: Duration = Duration::from_secs(1);

/// The peers that were purged, and when each is to be tried.
#[derive(Debug, Default)]
pub(super) struct Purged {
    peers: BTreeMap<PeerId, Lost>,
}

#[derive(Debug)]
struct Lost {
    address: EndpointAddr,
    since: Instant,
    next: Instant,
    pause: Duration,
}

impl Purged {
    /// A peer was purged that was last at this address.
    pub(super) fn add(&mut self, address: EndpointAddr, now: Instant) {
        if self.peers.len() >= MAX_PEERS && !self.peers.contains_key(&address.id) {
            let oldest = self.peers.iter().min_by_key(|(_, lost)| lost.since).map(|(id, _)| *id);
            oldest.map(|id| self.peers.remove(&id));
        }
        let lost = Lost { since: now, next: now + PAUSE_FIRST, pause: PAUSE_FIRST, address };
        self.peers.insert(lost.address.id, lost);
    }

    /// When [`Purged::due`] has something to say.
    pub(super) fn next(&self) -> Option<Instant> {
        self.peers.values().map(|lost| lost.next).min()
    }

    /// Who is to be dialled now. Those who are back, by whatever way, are forgotten.
    pub(super) fn due(
        &mut self,
        now: Instant,
        is_back: impl Fn(&PeerId) -> bool,
        jitter: impl Fn(Duration) -> Duration,
    ) -> Vec<EndpointAddr> {
        if self.next().is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.peers.retain(|peer, lost| lost.since + KEPT > now && !is_back(peer));
        let mut due = Vec::new();
        for lost in self.peers.values_mut().filter(|lost| lost.next <= now) {
            if due.len() == MAX_DIALS {
                lost.next = now + jitter(NO_ROOM);
                continue;
            }
            lost.pause = PAUSE_LONGEST.min(lost.pause * 2);
            lost.next = now + jitter(lost.pause);
            due.push(lost.address.clone());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    fn address(seed: u16) -> EndpointAddr {
        let mut key = [1; 32];
        key[..2].copy_from_slice(&seed.to_le_bytes());
        SecretKey::from_bytes(&key).public().into()
    }

    fn due(purged: &mut Purged, now: Instant) -> usize {
        purged.due(now, |_| false, |pause| pause).len()
    }

    #[test]
    fn a_purged_peer_is_tried_ever_less_often_for_a_day() {
        let mut purged = Purged::default();
        let start = Instant::now();
        purged.add(address(1), start);
        assert_eq!(due(&mut purged, start), 0);
        let mut attempts = Vec::new();
        while let Some(at) = purged.next() {
            if due(&mut purged, at) > 0 {
                attempts.push((at - start).as_secs());
            }
        }
        assert_eq!(attempts[..4], [5, 15, 35, 75]);
        assert!(*attempts.last().unwrap() < KEPT.as_secs());
        assert!((140..160).contains(&attempts.len()), "{}", attempts.len());
    }

    #[test]
    fn who_is_back_is_forgotten() {
        let mut purged = Purged::default();
        let now = Instant::now();
        purged.add(address(1), now);
        let back = address(1).id;
        assert!(purged.due(now + PAUSE_FIRST, |peer| *peer == back, |pause| pause).is_empty());
        assert_eq!(purged.next(), None);
    }

    #[test]
    fn no_more_than_256_are_remembered_and_few_are_dialled_at_once() {
        let mut purged = Purged::default();
        let now = Instant::now();
        for seed in 0..300 {
            purged.add(address(seed), now + Duration::from_millis(seed.into()));
        }
        assert_eq!(purged.peers.len(), MAX_PEERS);
        assert!(!purged.peers.contains_key(&address(0).id), "the oldest gave way");
        let late = now + 2 * PAUSE_FIRST;
        assert_eq!(due(&mut purged, late), MAX_DIALS);
        assert_eq!(due(&mut purged, late), 0);
        assert_eq!(due(&mut purged, late + NO_ROOM), MAX_DIALS);
    }
}
