//! Whether a node is in touch with its group: openraft keeps a leader that nobody hears, and a
//! follower keeps one that it does not hear, until somebody with a higher vote comes along.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use openraft::{Instant as _, async_runtime::WatchReceiver};
use tokio::time::Instant;

use super::{node::Node, view::Role};

/// When something last came from a leader.
#[derive(Debug)]
pub(super) struct Heard {
    begun: Instant,
    /// In microseconds since then.
    at: AtomicU64,
}

impl Heard {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), at: AtomicU64::new(0) }
    }

    pub(super) fn now(&self) {
        let at = u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.at.fetch_max(at, Ordering::Relaxed);
    }

    pub(super) fn age(&self) -> Duration {
        let at = Duration::from_micros(self.at.load(Ordering::Relaxed));
        self.begun.elapsed().saturating_sub(at)
    }
}

impl Node {
    /// Whether a leader has lately been answered by a quorum, and another member has lately heard
    /// from its leader.
    pub(crate) fn is_in_touch(&self) -> bool {
        let view = self.view();
        let (role, alone, led_since) = {
            let view = view.borrow();
            let voters = &view.members.voters;
            (view.role, voters.len() == 1 && voters.contains(&self.me()), view.led_since)
        };
        // Nobody else is elected within that time.
        let lease = self.timing().election_max;
        match role {
            Role::Leader if alone => true,
            Role::Leader => {
                let metrics = self.raft().metrics();
                let acked = metrics.borrow_watched().last_quorum_acked;
                // None: nobody has answered in this term, as when it has just been elected.
                let age = acked.map(|at| at.into_inner().elapsed());
                let age = age.or_else(|| Some(led_since?.elapsed()));
                age.is_some_and(|age| age <= lease)
            }
            Role::Follower | Role::Learner => self.heard().age() <= lease * 2,
            Role::Candidate | Role::Stopped => false,
        }
    }
}
