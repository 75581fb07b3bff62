//! What one neighbour may deliver, and what has been verified already.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::Instant;

use super::frame::Inspected;
use crate::{discovery::refusal::Refusal, id::PeerId};

/// The time over which a neighbour's share is counted.
const WINDOW: Duration = Duration::from_secs(10);
/// Ids of announcements that a neighbour may offer in one window; the protocol keeps those that
/// it does not know without limit.
const MAX_OFFERS: usize = 1000;
/// Announcements that a neighbour may deliver in one window.
const MAX_ANNOUNCEMENTS: usize = 2000;
/// Other messages that a neighbour may send in one window; some make us dial a stranger.
const MAX_CONTROL: usize = 1000;

/// The shares of all neighbours.
#[derive(Debug, Default)]
pub(super) struct Shares {
    used: HashMap<PeerId, Used>,
}

#[derive(Debug)]
struct Used {
    since: Instant,
    offers: usize,
    announcements: usize,
    control: usize,
}

impl Shares {
    /// Takes a frame out of the share of the neighbour that delivered it.
    pub(super) fn take(
        &mut self,
        from: PeerId,
        frame: &Inspected,
        now: Instant,
    ) -> Result<(), Refusal> {
        let fresh = Used { since: now, offers: 0, announcements: 0, control: 0 };
        let used = self.used.entry(from).or_insert_with(|| fresh);
        if used.since + WINDOW <= now {
            *used = Used { since: now, offers: 0, announcements: 0, control: 0 };
        }
        let (count, amount, limit) = match frame {
            Inspected::Data { .. } => (&mut used.announcements, 1, MAX_ANNOUNCEMENTS),
            Inspected::Offers(offers) => (&mut used.offers, *offers, MAX_OFFERS),
            Inspected::Control => (&mut used.control, 1, MAX_CONTROL),
        };
        if *count + amount > limit {
            return Err(Refusal::Flooded);
        }
        *count += amount;
        Ok(())
    }

    /// Forgets neighbours that have sent nothing for a while. Who left is not forgotten at once:
    /// a share does not come back by leaving.
    pub(super) fn expire(&mut self, now: Instant) {
        self.used.retain(|_, used| used.since + WINDOW > now);
    }
}

/// Announcements verified not long ago, by their hash: they come by several neighbours.
#[derive(Debug)]
pub(super) struct Verified {
    young: HashSet<[u8; 32]>,
    old: HashSet<[u8; 32]>,
    turned: Instant,
}

impl Verified {
    /// Shorter than the 90 s for which the protocol knows an announcement again, so that nothing
    /// passes unverified that the protocol takes for new.
    const GENERATION: Duration = Duration::from_secs(40);
    const MAX_PER_GENERATION: usize = 8192;

    pub(super) fn new(now: Instant) -> Self {
        Self { young: HashSet::new(), old: HashSet::new(), turned: now }
    }

    pub(super) fn contains(&mut self, id: &[u8; 32], now: Instant) -> bool {
        self.turn(now);
        self.young.contains(id) || self.old.contains(id)
    }

    pub(super) fn insert(&mut self, id: [u8; 32], now: Instant) {
        self.turn(now);
        self.young.insert(id);
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.turned);
        if age >= Self::GENERATION || self.young.len() >= Self::MAX_PER_GENERATION {
            let young = std::mem::take(&mut self.young);
            self.old = if age >= 2 * Self::GENERATION { HashSet::new() } else { young };
            self.turned = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn a_neighbour_that_floods_is_stopped_and_others_are_not() {
        let (a, b) =
            (SecretKey::from_bytes(&[1; 32]).public(), SecretKey::from_bytes(&[2; 32]).public());
        let mut shares = Shares::default();
        let now = Instant::now();
        let offers = Inspected::Offers(MAX_OFFERS / 2);
        assert!(shares.take(a, &offers, now).is_ok());
        assert!(shares.take(a, &offers, now).is_ok());
        assert_eq!(shares.take(a, &Inspected::Offers(1), now), Err(Refusal::Flooded));
        assert!(shares.take(b, &offers, now).is_ok());
        assert!(shares.take(a, &Inspected::Control, now).is_ok());
        assert!(shares.take(a, &offers, now + WINDOW).is_ok());
        shares.expire(now + 3 * WINDOW);
        assert!(shares.used.is_empty());
    }

    #[test]
    fn what_was_verified_is_known_for_a_while() {
        let now = Instant::now();
        let mut verified = Verified::new(now);
        verified.insert([1; 32], now);
        assert!(verified.contains(&[1; 32], now + Verified::GENERATION));
        assert!(!verified.contains(&[1; 32], now + 3 * Verified::GENERATION));
    }
}
