//! Comparing states: whether all members have come to the same by the same commands.

use std::collections::{BTreeMap, VecDeque};

use tokio::{sync::mpsc, time::Instant};

use super::{
    Inner, Worker,
    hosting::Checkpoint,
    messages::{Mark, Word, encode},
};
use crate::{
    groups::{event::GroupEvent, index::Index, member::IncarnationId, raft::Role, state::Control},
    id::{Digest, PeerId},
    tasks::Tasks,
};

/// The shortest time between two checkpoints.
const EVERY: std::time::Duration = std::time::Duration::from_secs(10);
/// So many are remembered.
const KEPT: usize = 8;

/// The digests of the last checkpoints, this member's and the others'.
#[derive(Debug, Default)]
pub(super) struct Digests {
    of: VecDeque<(Mark, BTreeMap<PeerId, Digest>)>,
    /// When the last one was logged here, or reached, and after which command.
    last: Option<(Instant, Index)>,
}

impl Digests {
    /// Takes a digest in; says who has another one than `me`.
    fn add(&mut self, me: PeerId, peer: PeerId, mark: Mark, digest: Digest) -> Vec<PeerId> {
        let place = match self.of.iter().position(|(known, _)| *known == mark) {
            Some(place) => place,
            None => {
                if self.of.len() >= KEPT {
                    self.of.pop_front();
                }
                self.of.push_back((mark, BTreeMap::new()));
                self.of.len() - 1
            }
        };
        let digests = &mut self.of[place].1;
        digests.insert(peer, digest);
        let Some(own) = digests.get(&me).copied() else { return Vec::new() };
        // Each is told once: when the later of the two has come.
        let differs = |(other, theirs): (&PeerId, &Digest)| {
            let is_new = peer == me || *other == peer;
            (is_new && *other != me && *theirs != own).then_some(*other)
        };
        digests.iter().filter_map(differs).collect()
    }
}

/// Makes digests of checkpoints, on a thread of its own, until the Raft node ends.
pub(super) async fn digest(
    incarnation: IncarnationId,
    mut checkpoints: mpsc::Receiver<Checkpoint>,
    tasks: Tasks,
    told: mpsc::Sender<Inner>,
) {
    while let Some((mark, frozen)) = checkpoints.recv().await {
        let digest = tasks.blocking("groups.digest", move || frozen.digest()).await;
        if let Some(Ok(digest)) = digest
            && told.send(Inner::Digest { incarnation, mark, digest }).await.is_err()
        {
            return;
        }
    }
}

impl Worker {
    /// At the leader: has all members compare their states, now and then.
    pub(super) async fn checkpoint(&mut self) {
        let Some(running) = &self.running else { return };
        let (now, index) = (Instant::now(), self.core.applied().index());
        let due = match self.digests.last {
            None => !index.is_zero(),
            Some((at, before)) => {
                let enough = before + self.core.config().snapshot_every();
                at + EVERY <= now && index >= enough
            }
        };
        if due && running.view.borrow().role == Role::Leader {
            let node = running.node.clone();
            self.digests.last = Some((now, index));
            self.log(&node, &Control::Checkpoint).await;
        }
    }

    /// This member's state has a digest: the others are told.
    pub(super) fn digested(&mut self, incarnation: IncarnationId, mark: Mark, digest: Digest) {
        if !self.is_in(incarnation) {
            return;
        }
        // If this member is to lead, the next one is not due at once.
        self.digests.last = Some((Instant::now(), mark.index));
        let word = encode(&Word::Digest { incarnation, mark, digest });
        for bond in self.bonds.bonds() {
            // One that does not read compares the next one.
            let _ = bond.send(word.clone());
        }
        let me = self.core.local();
        self.compare(me, mark, digest);
    }

    pub(super) fn compare(&mut self, from: PeerId, mark: Mark, digest: Digest) {
        let me = self.core.local();
        for peer in self.digests.add(me, from, mark, digest) {
            let (group, index) = (self.core.config().group_id(), mark.index);
            tracing::error!(%group, %peer, %index, "a member's state differs from that of this one");
            self.core.tell(GroupEvent::Diverged { peer, index });
        }
    }

    pub(super) fn forget_digests(&mut self) {
        self.digests = Digests::default();
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;
    use crate::groups::index::Term;

    #[test]
    fn who_differs_is_told_once_whoever_comes_first() {
        let [me, a, b] = [1, 2, 3].map(|seed| SecretKey::from_bytes(&[seed; 32]).public());
        let (same, other) = (Digest::from("same"), Digest::from("other"));
        let mut digests = Digests::default();
        let mark = |index| Mark { index: Index(index), term: Term(1), time_us: 5 };
        assert_eq!(digests.add(me, a, mark(1), other), []);
        assert_eq!(digests.add(me, me, mark(1), same), [a]);
        assert_eq!(digests.add(me, b, mark(1), same), []);
        assert_eq!(digests.add(me, b, mark(2), other), []);
        assert_eq!(digests.add(me, me, mark(2), other), []);
        for index in 3..100 {
            digests.add(me, b, mark(index), other);
        }
        assert_eq!(digests.of.len(), KEPT);
    }

    #[test]
    fn checkpoints_after_the_same_command_are_not_mixed_up() {
        let [me, a] = [1, 2].map(|seed| SecretKey::from_bytes(&[seed; 32]).public());
        let mark = |term, time_us| Mark { index: Index(7), term: Term(term), time_us };
        let mut digests = Digests::default();
        assert_eq!(digests.add(me, me, mark(1, 10), Digest::from("first")), []);
        // The other one is further on.
        assert_eq!(digests.add(me, a, mark(2, 20), Digest::from("second")), []);
        assert_eq!(digests.add(me, a, mark(1, 20), Digest::from("third")), []);
        assert_eq!(digests.add(me, a, mark(1, 10), Digest::from("first")), []);
        assert_eq!(digests.add(me, me, mark(2, 20), Digest::from("second")), []);
    }
}
