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

    /// It leads when nobody else will: its election time-out is so many times as long, and it hands
    /// leadership over to a member that is willing.
    Reluctant {
        /// By how much the election time-out is multiplied.
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
