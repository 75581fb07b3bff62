//! What a formation is told once.

use std::time::Duration;

use crate::groups::raft::Timing;

/// What a formation is told once. Times have the defaults of the design.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `Strict(n)`; `None` is elastic.
    pub(crate) strict: Option<usize>,
    pub(crate) max_voters: usize,
    /// This node only reads.
    pub(crate) observer: bool,
    /// This node would rather not vote.
    pub(crate) reluctant: bool,
    /// The times of an incarnation that this node founds.
    pub(crate) timing: Timing,
    /// How long others are looked for before anything is founded without them.
    pub(crate) bootstrap_delay: Duration,
    /// The date at which the formation is made, in microseconds since 1970.
    pub(crate) date_us: u64,
    /// How much later each next candidate proposes.
    pub(crate) turn: Duration,
    /// How long answers to a proposal are waited for, and confirmations.
    pub(crate) answer_within: Duration,
    /// How long a grant binds who has given it; longer than twice `answer_within`.
    pub(crate) grant_for: Duration,
    /// A founder or joiner whose log is empty gives up after so long without a leader.
    pub(crate) abandon_after: Duration,
    /// A leader that has not opened dissolves after so long.
    pub(crate) dissolve_after: Duration,
    /// What was asked for is asked for again after so long.
    pub(crate) retry: Duration,
    /// A loser whose winner is not seen for so long takes its yielding back.
    pub(crate) winner_gone_after: Duration,
}

impl Config {
    pub(crate) fn new(strict: Option<usize>, max_voters: usize) -> Self {
        Self {
            strict,
            max_voters: max_voters.max(1),
            observer: false,
            reluctant: false,
            timing: Timing::default(),
            bootstrap_delay: Duration::from_secs(1),
            date_us: 0,
            turn: Duration::from_millis(500),
            answer_within: Duration::from_millis(500),
            grant_for: Duration::from_secs(3),
            abandon_after: Duration::from_secs(5),
            dissolve_after: Duration::from_secs(10),
            retry: Duration::from_secs(1),
            winner_gone_after: Duration::from_secs(15),
        }
    }

    /// How many of so many shall vote: at most `max_voters`, an odd number when three or more.
    pub(crate) fn voters_of(&self, members: usize) -> usize {
        wanted_voters(members, self.max_voters)
    }
}

/// How many of so many members shall vote.
pub(crate) fn wanted_voters(members: usize, max_voters: usize) -> usize {
    let most = members.min(max_voters);
    if most < 3 { most } else { most - (most + 1) % 2 }
}
