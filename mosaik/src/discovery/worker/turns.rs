//! Whose sync is answered when: each peer's one after the other and about one in a second, and few
//! of all peers at once. The others wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::syncs::PAUSE;
use crate::id::PeerId;

/// How many syncs that peers began are answered at once.
const MAX_AT_ONCE: usize = 8;
/// How many syncs with one peer may follow each other before it has to wait.
const BURST: u32 = 4;
/// The longest time that a sync waits to be answered.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// For each moment that is spent on what peers sent in their syncs, so many are left to others.
const REST: u32 = 3;

/// The turns of all peers.
#[derive(Debug)]
pub(in crate::discovery) struct Turns {
    /// Whoever has it merges a page.
    merging: Semaphore,
    slots: Arc<Semaphore>,
    peers: Mutex<HashMap<PeerId, Share>>,
}

/// What a sync holds while it is answered.
#[derive(Debug)]
pub(super) struct Turn {
    _of_peer: OwnedSemaphorePermit,
    _slot: OwnedSemaphorePermit,
}

/// One peer's share.
#[derive(Debug)]
struct Share {
    one: Arc<Semaphore>,
    /// When all that it has had is paid for.
    paid_at: Instant,
}

impl Turns {
    pub(in crate::discovery) fn new() -> Self {
        let slots = Arc::new(Semaphore::new(MAX_AT_ONCE));
        Self { merging: Semaphore::new(1), slots, peers: Mutex::default() }
    }

    /// Merges a page of what a peer sent, when all that came before it are merged: verifying what
    /// peers send takes at most a quarter of one core, however many send.
    pub(in crate::discovery) async fn merge<T>(&self, merge: impl FnOnce() -> T) -> T {
        // The semaphore is never closed.
        let _one = self.merging.acquire().await.ok();
        let begun = Instant::now();
        let merged = merge();
        sleep(begun.elapsed() * REST).await;
        merged
    }

    /// Waits for a peer's turn; `None` if that takes too long. Cancel safe.
    pub(super) async fn turn(&self, peer: PeerId) -> Option<Turn> {
        let turn = async {
            // The semaphores are never closed.
            let of_peer = self.with(|peers| share(peers, peer).one.clone());
            let of_peer = of_peer.acquire_owned().await.ok()?;
            sleep_until(self.with(|peers| pay(peers, peer, Instant::now()))).await;
            let slot = self.slots.clone().acquire_owned().await.ok()?;
            Some(Turn { _of_peer: of_peer, _slot: slot })
        };
        timeout(MAX_WAIT, turn).await.ok().flatten()
    }

    fn with<T>(&self, f: impl FnOnce(&mut HashMap<PeerId, Share>) -> T) -> T {
        f(&mut self.peers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn share(peers: &mut HashMap<PeerId, Share>, peer: PeerId) -> &Share {
    let now = Instant::now();
    // Those that have nothing under way and nothing to pay are as if they had never come.
    peers.retain(|_, share| share.paid_at > now || Arc::strong_count(&share.one) > 1);
    let new = || Share { one: Arc::new(Semaphore::new(1)), paid_at: now };
    peers.entry(peer).or_insert_with(new)
}

/// Takes one sync off a peer's share; says when it may begin.
fn pay(peers: &mut HashMap<PeerId, Share>, peer: PeerId, now: Instant) -> Instant {
    let Some(share) = peers.get_mut(&peer) else { return now };
    share.paid_at = share.paid_at.max(now) + PAUSE;
    share.paid_at.checked_sub(PAUSE * BURST).map_or(now, |at| at.max(now))
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, future::join_all};
    use iroh::SecretKey;

    use super::*;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_bytes(&[seed; 32]).public()
    }

    #[tokio::test(start_paused = true)]
    async fn pages_are_merged_one_after_the_other_and_others_get_most_of_the_time() {
        let (turns, begun) = (Turns::new(), Instant::now());
        let spend = || {
            let _ = tokio::time::advance(Duration::from_millis(10)).now_or_never();
        };
        join_all([turns.merge(spend), turns.merge(spend)]).await;
        assert_eq!(begun.elapsed().as_millis(), 2 * 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_gets_a_few_turns_at_once_and_then_one_in_a_second() {
        let (turns, begun) = (Turns::new(), Instant::now());
        let mut ends = Vec::new();
        for _ in 0..BURST + 3 {
            drop(turns.turn(peer(1)).await);
            ends.push(begun.elapsed().as_secs());
        }
        assert_eq!(ends, [0, 0, 0, 0, 1, 2, 3]);
        drop(turns.turn(peer(2)).await);
        assert_eq!(begun.elapsed().as_secs(), 3, "another peer has a share of its own");
        tokio::time::sleep(PAUSE * (BURST + 1)).await;
        drop(turns.turn(peer(3)).await);
        assert_eq!(turns.with(|peers| peers.len()), 1, "what is paid for is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_has_one_turn_at_a_time_and_the_next_one_waits_for_its_end() {
        let turns = Turns::new();
        let first = turns.turn(peer(1)).await.unwrap();
        let ten = Duration::from_secs(10);
        let ends = async {
            tokio::time::sleep(ten).await;
            drop(first);
        };
        let begun = Instant::now();
        let (second, ()) = tokio::join!(turns.turn(peer(1)), ends);
        assert!(second.is_some());
        assert_eq!(begun.elapsed(), ten);
        assert!(turns.turn(peer(1)).await.is_none(), "nobody waits for ever");
        assert_eq!(begun.elapsed(), ten + MAX_WAIT);
    }

    #[tokio::test(start_paused = true)]
    async fn all_peers_together_have_so_many_turns_at_once() {
        let turns = Turns::new();
        let mut held = join_all((0..MAX_AT_ONCE as u8).map(|seed| turns.turn(peer(seed)))).await;
        assert!(held.iter().all(Option::is_some));
        let late = peer(100);
        assert!(timeout(MAX_WAIT / 2, turns.turn(late)).await.is_err());
        held.pop();
        assert!(timeout(MAX_WAIT / 2, turns.turn(late)).await.unwrap().is_some());
    }
}
