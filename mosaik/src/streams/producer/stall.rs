//! Whether a consumer has stalled: data wait for it, and it makes no progress.

use std::time::Duration;

use tokio::time::Instant;

use super::{after, ring::Progress};

/// No consumer makes progress all the time: it is looked at now and then.
const SHORTEST: Duration = Duration::from_millis(100);

/// Watches one consumer.
#[derive(Debug)]
pub(super) struct Stall {
    timeout: Duration,
    /// What was seen last, and since when nothing has moved although data were waiting.
    seen: Option<Progress>,
    since: Instant,
}

impl Stall {
    pub(super) fn new(timeout: Duration, now: Instant) -> Self {
        Self { timeout: timeout.max(SHORTEST), seen: None, since: now }
    }

    /// When to look again.
    pub(super) fn look_again(&self) -> Instant {
        after(self.timeout / 8)
    }

    /// Takes in how far the consumer has come; true if it has stalled.
    pub(super) fn observe(&mut self, progress: Progress, now: Instant) -> bool {
        let moved = self.seen.is_none_or(|seen| {
            (seen.written, seen.acknowledged) != (progress.written, progress.acknowledged)
        });
        if moved || !progress.waiting {
            self.since = now;
        }
        self.seen = Some(progress);
        now - self.since >= self.timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stall_counts_only_while_data_wait_and_nothing_moves() {
        let start = Instant::now();
        let mut stall = Stall::new(Duration::from_secs(30), start);
        let mut at = |seconds, written, acknowledged, waiting| {
            let progress = Progress { written, acknowledged, waiting, unsent: waiting };
            stall.observe(progress, start + Duration::from_secs(seconds))
        };
        assert!(!at(0, 5, 0, true));
        assert!(!at(29, 5, 0, true));
        assert!(!at(100, 5, 1, true), "an acknowledgement is progress");
        assert!(!at(200, 6, 1, true), "so is a write");
        assert!(!at(300, 6, 1, false), "nothing waits");
        assert!(!at(320, 6, 1, true));
        assert!(at(330, 6, 1, true));
    }
}
