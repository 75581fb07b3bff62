//! A voter that would rather not lead: it stands for election later than the others.
//!
//! Openraft's longest election time is also the lease within which a member refuses its vote, so a
//! longer one would keep the others from being elected. What is changed is only whether this member
//! stands: not before so many election times have passed after the lease.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::sleep;

use super::{contact::Heard, limits::Timing};

/// When a reluctant member stands for election.
pub(super) struct Reserve {
    heard: Arc<Heard>,
    lease: Duration,
    /// Beyond the lease, the shortest and the longest.
    wait: (Duration, Duration),
    random: StdRng,
    /// How long a leader must have been silent this time.
    due: Duration,
    stands: Option<bool>,
}

impl Reserve {
    /// Nothing for a member that is as patient as others.
    pub(super) fn new(
        patience: u32,
        timing: &Timing,
        heard: Arc<Heard>,
        seed: u64,
    ) -> Option<Self> {
        let Timing { election_min, election_max, .. } = *timing;
        let wait = (election_min.saturating_mul(patience), election_max.saturating_mul(patience));
        let random = StdRng::seed_from_u64(seed);
        let due = Duration::ZERO;
        let mut reserve = Self { heard, lease: election_max, wait, random, due, stands: None };
        reserve.draw();
        (patience > 1).then_some(reserve)
    }

    /// Of several reluctant members hardly two stand at the same time.
    fn draw(&mut self) {
        let (shortest, longest) = self.wait;
        let share = self.random.random_range(0.0..1.0);
        let extra = longest.saturating_sub(shortest).mul_f64(share);
        self.due = self.lease.saturating_add(shortest).saturating_add(extra);
    }

    /// Waits until it is another thing whether this member stands for election than it was.
    ///
    /// Cancel safe.
    async fn decide(&mut self) -> bool {
        loop {
            let age = self.heard.age();
            let stands = age >= self.due;
            if self.stands != Some(stands) {
                if self.stands == Some(true) {
                    self.draw();
                }
                self.stands = Some(stands);
                return stands;
            }
            // While it stands, a leader may be heard of at any time.
            sleep(if stands { self.lease / 2 } else { self.due.saturating_sub(age) }).await;
        }
    }

    /// The same; for ever for a member that is as patient as others.
    pub(super) async fn decided(reserve: &mut Option<Self>) -> bool {
        match reserve {
            Some(reserve) => reserve.decide().await,
            None => std::future::pending().await,
        }
    }
}
