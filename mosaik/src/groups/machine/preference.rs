//! Who wants to lead.

/// How much a member wants to lead its group.
///
/// ```
/// use mosaik::groups::LeadershipPreference;
///
/// assert_eq!(LeadershipPreference::reluctant(), LeadershipPreference::Reluctant { factor: 3 });
/// assert_eq!(LeadershipPreference::default(), LeadershipPreference::Normal);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeadershipPreference {
    /// As any other.
    #[default]
    Normal,

    /// It leads when nobody else will: when a leader has gone, it waits so many times as long as
    /// others before it stands for election, and a leader that is reluctant hands leadership over
    /// to a member that is willing. It votes, and follows, as any other.
    Reluctant {
        /// By how much its `election_timeout` and jitter are multiplied, once the lease of the leader
        /// before is over. Zero is one.
        factor: u32,
    },

    /// It never leads and does not vote; it holds a replica and may send commands.
    Observer,
}

impl LeadershipPreference {
    /// Three times the election time-out.
    pub const fn reluctant() -> Self {
        Self::Reluctant { factor: 3 }
    }
}
