//! What an autopilot wants done.

use std::{collections::BTreeSet, fmt};

use crate::groups::member::MemberId;

/// Why a membership is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reason {
    /// A leader before left a joint configuration.
    Unfinished,
    /// It asked to be taken in.
    Asked,
    /// It has caught up, and was well for long enough.
    Stable,
    /// There is an even number of voters.
    Even,
    /// Its peer is here with another session: this log is gone.
    Restarted,
    /// It has said that it goes.
    Leaving,
    /// The operator wants it out.
    Evicted,
    /// Its ticket has run out.
    TicketExpired,
    /// It did not acknowledge anything for too long.
    Silent,
    /// The leader would rather not lead.
    Reluctant,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unfinished => "a change of membership was not finished",
            Self::Asked => "it asked to be taken in",
            Self::Stable => "it has caught up and is stable",
            Self::Even => "the number of voters was even",
            Self::Restarted => "it has restarted without its log",
            Self::Leaving => "it is leaving",
            Self::Evicted => "it was evicted",
            Self::TicketExpired => "its ticket has run out",
            Self::Silent => "it was silent for too long",
            Self::Reluctant => "it would rather not lead",
        })
    }
}

/// What an autopilot wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Leave the joint configuration (`AddVoterIds` of nobody).
    FinishJoint {
        reason: Reason,
    },
    AddLearner {
        member: MemberId,
        reason: Reason,
    },
    /// These shall vote and nobody else, by one joint change. Voters that are not among them stay
    /// as learners, or leave the membership. `subjects`: whom the reason is about.
    SetVoters {
        voters: BTreeSet<MemberId>,
        retain: bool,
        subjects: BTreeSet<MemberId>,
        reason: Reason,
    },
    RemoveLearners {
        members: BTreeSet<MemberId>,
        reason: Reason,
    },
    /// Hand leadership to this voter, which is well and has caught up.
    Transfer {
        to: MemberId,
        reason: Reason,
    },
}
