//! The peers for which a producer has waited in vain.

use std::collections::VecDeque;

use crate::id::PeerId;

/// So many are remembered; with more of them the oldest is forgotten.
const MAX_PEERS: usize = 512;

/// Peers that were cut as too slow and have not taken anything new since. Whatever they ask for,
/// and as whichever of their consumers, nobody waits for them.
#[derive(Debug, Default)]
pub(super) struct Slow(VecDeque<PeerId>);

impl Slow {
    pub(super) fn contains(&self, peer: &PeerId) -> bool {
        self.0.contains(peer)
    }

    pub(super) fn remember(&mut self, peer: PeerId) {
        self.forget(&peer);
        if self.0.len() >= MAX_PEERS {
            self.0.pop_front();
        }
        self.0.push_back(peer);
    }

    /// It takes what it is sent.
    pub(super) fn forget(&mut self, peer: &PeerId) {
        self.0.retain(|slow| slow != peer);
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn the_last_ones_are_remembered_until_they_are_forgotten() {
        let peers = (0..=MAX_PEERS as u64).map(|number| {
            let mut seed = [0; 32];
            seed[..8].copy_from_slice(&number.to_le_bytes());
            SecretKey::from_bytes(&seed).public()
        });
        let peers: Vec<PeerId> = peers.collect();
        let mut slow = Slow::default();
        peers.iter().for_each(|peer| slow.remember(*peer));
        assert!(!slow.contains(&peers[0]) && slow.contains(&peers[1]));
        slow.remember(peers[1]);
        assert_eq!(slow.0.len(), MAX_PEERS);
        slow.forget(&peers[1]);
        assert!(!slow.contains(&peers[1]) && slow.contains(&peers[2]));
    }
}
