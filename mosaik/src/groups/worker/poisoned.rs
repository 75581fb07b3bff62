//! A leader whose state machine has panicked hands leadership to a member whose has not.
//!
//! A machine that does the same everywhere panics on all members, and then there is nobody to hand
//! it to: whoever leads goes on, so that the operator can have the command skipped there. One that
//! panics on the leader alone would keep the whole group offline.

use std::time::Duration;

use tokio::time::Instant;

use super::Worker;
use crate::groups::{
    member::MemberId,
    raft::{Node, Role},
};

/// How long the others may take to apply the command as well, and to say what came of it.
const GRACE: Duration = Duration::from_secs(1);
/// The shortest pause between two attempts.
const AGAIN: Duration = Duration::from_secs(5);

/// When leadership is to be handed on next.
#[derive(Debug, Default)]
pub(super) struct Poisoned {
    due: Option<Instant>,
}

impl Poisoned {
    /// Whether it is time for an attempt, which may take so long. `poisoned`: this node leads, and
    /// its machine has panicked.
    fn is_due(&mut self, poisoned: bool, now: Instant, limit: Duration) -> bool {
        if !poisoned {
            self.due = None;
            return false;
        }
        let is_due = *self.due.get_or_insert(now + GRACE) <= now;
        if is_due {
            self.due = Some(now + limit.max(AGAIN));
        }
        is_due
    }
}

impl Worker {
    /// At a leader whose machine has panicked: has another lead, if there is one that can go on.
    pub(super) fn hand_on_if_poisoned(&mut self) {
        let Some(running) = &self.running else {
            self.poisoned = Poisoned::default();
            return;
        };
        let leads = running.view.borrow().role == Role::Leader;
        let poisoned = leads && running.flags.borrow().poisoned.is_some();
        let node = running.node.clone();
        // A transfer gives up after two of them.
        let limit = node.timing().election_max * 3;
        if !self.poisoned.is_due(poisoned, Instant::now(), limit) {
            return;
        }
        let Some(to) = self.sound_voter(&node) else { return };
        let group = *self.core.config().group_id();
        tracing::warn!(%group, %to, "the state machine panicked only here: another member leads");
        self.core.tasks().spawn("groups.transfer", async move {
            if let Err(error) = node.transfer_to(to).await {
                tracing::debug!(%group, %to, %error, "it has not taken over");
            }
        });
    }

    /// Of the other voters that have answered lately, and whose machines have not panicked, the one
    /// that has most of the log.
    fn sound_voter(&self, node: &Node) -> Option<MemberId> {
        let voters = node.view().borrow().members.voters.clone();
        let fresh = node.timing().election_min;
        let is_sound = |member: &MemberId| {
            let mut statuses = self.members.statuses.values();
            statuses.any(|status| status.member == *member && !status.poisoned)
        };
        let progress = node.progress().into_iter();
        let fit = progress.filter(|other| {
            voters.contains(&other.member)
                && other.acknowledged.is_some_and(|age| age <= fresh)
                && is_sound(&other.member)
        });
        fit.max_by_key(|other| other.matched).map(|other| other.member)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_others_have_time_to_panic_and_attempts_do_not_overlap() {
        let (mut poisoned, begin) = (Poisoned::default(), Instant::now());
        let limit = AGAIN * 2;
        assert!(!poisoned.is_due(true, begin, limit));
        assert!(!poisoned.is_due(true, begin + GRACE / 2, limit));
        assert!(poisoned.is_due(true, begin + GRACE, limit));
        assert!(!poisoned.is_due(true, begin + GRACE + AGAIN, limit));
        assert!(poisoned.is_due(true, begin + GRACE + limit, limit));
        // It was skipped, or another leads; the next panic is another one.
        let later = begin + limit * 2;
        assert!(!poisoned.is_due(false, later, limit));
        assert!(!poisoned.is_due(true, later, limit));
        assert!(poisoned.is_due(true, later + GRACE, limit));
    }
}
