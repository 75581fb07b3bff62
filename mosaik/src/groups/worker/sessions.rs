//! The end of sessions whose callers are gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

use super::{Worker, views};
use crate::{groups::state::Control, id::PeerId};

/// A caller that is no member keeps its session for so long: it may come back to ask what became
/// of its calls.
const KEPT: Duration = Duration::from_secs(600);

/// Callers that are no members, as this node has seen it while it led.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    since: BTreeMap<PeerId, Instant>,
    /// These have left for good.
    left: BTreeSet<PeerId>,
}

impl Strangers {
    /// A member has left, and does not come back.
    pub(super) fn leave(&mut self, peer: PeerId) {
        self.left.insert(peer);
    }

    /// Whose sessions are to end, of those that are open.
    fn due(
        &mut self,
        open: &BTreeSet<PeerId>,
        members: &BTreeSet<PeerId>,
        now: Instant,
    ) -> Vec<PeerId> {
        let strangers: BTreeSet<PeerId> = open.difference(members).copied().collect();
        self.since.retain(|peer, _| strangers.contains(peer));
        self.left.retain(|peer| strangers.contains(peer));
        for peer in &strangers {
            self.since.entry(*peer).or_insert(now);
        }
        let is_due = |(peer, since): (&PeerId, &Instant)| {
            (self.left.contains(peer) || *since + KEPT <= now).then_some(*peer)
        };
        self.since.iter().filter_map(is_due).collect()
    }
}

impl Worker {
    /// At the leader: ends the sessions of those who are gone.
    pub(super) async fn end_sessions(&mut self) {
        let Some(running) = &self.running else { return };
        let leads = views::is_leading(running, &running.view.borrow());
        if !leads {
            self.strangers = Strangers::default();
            return;
        }
        let node = running.node.clone();
        let members = running.view.borrow().members.clone();
        let members = members.voters.iter().chain(&members.learners);
        let members = members.filter_map(|member| member.peer()).collect();
        let open = running.callers.borrow().values().copied().collect();
        for peer in self.strangers.due(&open, &members, Instant::now()) {
            // If it does not come into the log, it is still due at the next look.
            self.log(&node, &Control::EndSessions { peer }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn a_stranger_keeps_its_session_for_a_while_and_one_that_has_left_does_not() {
        let [a, b, c] = [1, 2, 3].map(|seed| SecretKey::from_bytes(&[seed; 32]).public());
        let (open, members) = (BTreeSet::from([a, b, c]), BTreeSet::from([a]));
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        assert!(strangers.due(&open, &members, now).is_empty());
        strangers.leave(b);
        assert_eq!(strangers.due(&open, &members, now), [b]);
        // One that comes back in time begins anew when it goes again.
        let back = BTreeSet::from([a, c]);
        assert!(strangers.due(&BTreeSet::from([a, c]), &back, now + KEPT).is_empty());
        assert!(strangers.due(&open, &BTreeSet::from([a, b]), now + KEPT).is_empty());
        assert_eq!(strangers.due(&open, &BTreeSet::from([a, b]), now + KEPT * 2), [c]);
    }
}
