//! What an autopilot is told once.

use std::time::Duration;

/// What an autopilot is told once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `Strict(n)`: never fewer voters than n.
    pub(crate) strict: Option<usize>,
    pub(crate) max_voters: usize,
    /// Logs are on disk: a voter that is silent comes back, and is only ever replaced.
    pub(crate) disk: bool,
    /// Who has acknowledged something within this time is well. About three heartbeats.
    pub(crate) fresh: Duration,
    /// Who has acknowledged nothing for so long is taken out.
    pub(crate) evict_after: Duration,
    /// So long a learner must be well and caught up before it votes; doubled by each eviction of the
    /// same peer, up to `stabilization_max`.
    pub(crate) stabilization: Duration,
    pub(crate) stabilization_max: Duration,
    /// So many entries behind is caught up.
    pub(crate) lag: u64,
    /// Members of a group, learners among them.
    pub(crate) max_members: usize,
    /// A leader that would rather not lead tries to hand on at most so often.
    pub(crate) transfer_every: Duration,
}

impl Settings {
    pub(crate) fn new(strict: Option<usize>, max_voters: usize, disk: bool) -> Self {
        Self {
            strict,
            max_voters: max_voters.max(1),
            disk,
            fresh: Duration::from_secs(1),
            evict_after: Duration::from_secs(if disk { 3_600 } else { 10 }),
            stabilization: Duration::from_secs(2),
            stabilization_max: Duration::from_secs(600),
            lag: 64,
            max_members: 64,
            transfer_every: Duration::from_secs(30),
        }
    }
}
