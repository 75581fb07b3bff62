//! What a group tells of its life.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::index::{Index, Term};
use crate::id::PeerId;

/// Why somebody became a voter, or is none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MembershipReason {
    /// It has joined.
    Joined,
    /// It is up to date, and has been there for long enough.
    CaughtUp,
    /// It has left, or its node was shut down.
    Left,
    /// It was silent for too long.
    Silent,
    /// Its node is back as a new member: the old one is gone for good.
    Restarted,
    /// Its ticket has ended.
    TicketEnded,
    /// [`Group::evict`](super::Group::evict) was called.
    Evicted,
    /// There were more voters than there may be, or an even number.
    Surplus,
    /// It takes the place of a voter that is gone.
    Replacement,
    /// A leader before had begun with it, and did not come to its end: why is not known any more.
    Unfinished,
}

/// What happened in a group, as one of its members sees it. See
/// [`Group::events`](super::Group::events).
///
/// Who is taken in, votes and is removed is told by the member that leads, and by no other:
/// `LearnerAdded`, `VoterAdded`, `VoterRemoved` and `MemberRemoved`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupEvent {
    /// Two members are connected.
    Bonded(PeerId),
    /// They are no longer.
    Unbonded(PeerId),
    /// This member takes part in founding the group.
    Founding {
        /// How many vote at first.
        voters: usize,
    },
    /// This member is a part of the group: it has something of its log.
    Entered,
    /// The group takes commands.
    Online,
    /// The group takes no commands, for this member: it has no leader.
    Offline,
    /// Somebody else leads, or nobody.
    LeaderChanged {
        /// Who leads now.
        leader: Option<PeerId>,
        /// In which term.
        term: Term,
    },
    /// Somebody receives the log from now on. Told by the leader.
    LearnerAdded(PeerId, MembershipReason),
    /// Somebody votes from now on. Told by the leader.
    VoterAdded(PeerId, MembershipReason),
    /// Somebody votes no more. Told by the leader.
    VoterRemoved(PeerId, MembershipReason),
    /// Somebody is no member any more. Told by the leader.
    MemberRemoved(PeerId, MembershipReason),
    /// Somebody should vote no more, and keeps its vote only because a `Strict(n)` group would have
    /// fewer than `n` voters without it. The others do not rely on it, and the next member that has
    /// caught up takes its place. If it was evicted, or its ticket has ended, their bonds with it are
    /// closed until then. Told at the leader.
    VoterBarred(PeerId, MembershipReason),
    /// So many voters have no valid tickets that the rest are no quorum. The group takes no commands
    /// ([`GroupEvent::Offline`] follows), and bonds stay as they are; with enough new tickets it goes
    /// on where it was ([`GroupEvent::Online`]).
    TicketsExpired,
    /// Another node holds the same key but does not agree on something that all members must agree
    /// on. The two do not deal with each other.
    ConfigMismatch {
        /// The other node.
        peer: PeerId,
        /// What they differ in: `"quorum"` (with the rule for rivals), `"storage"`,
        /// `"validators"`, `"machine version"` or `"schema"`. Of several it is the first.
        field: &'static str,
        /// What this member has.
        ours: String,
        /// What the other has.
        theirs: String,
    },
    /// More nodes than `2n - 1` want to found a `Strict(n)` group: none founds it, since two halves
    /// might.
    TooManyFounders {
        /// How many there are.
        founders: usize,
        /// The most that there may be.
        limit: usize,
    },
    /// So many voters have lost their logs that the group can never agree on anything again.
    QuorumUnrecoverable {
        /// How many have.
        dead: usize,
        /// How many there are.
        voters: usize,
    },
    /// Two incarnations of an elastic group have met, and this member's has yielded.
    Merged {
        /// Commands of the incarnation that stays, as far as this member has heard of them.
        kept: u64,
        /// Commands of the other that live on in it.
        merged: u64,
        /// Commands of the other that are lost.
        dropped: u64,
        /// Commands that were applied in both.
        repeated: u64,
    },
    /// This member's state machine panicked; the group is offline here until
    /// [`Group::skip`](super::Group::skip) passes the command.
    Poisoned {
        /// The command; of those that were executed together the first, since `skip` passes all of
        /// them.
        index: Index,
    },
    /// The command at this index was passed by; told by each member that does it, by none that gets
    /// the state without it as a snapshot.
    Skipped {
        /// The command.
        index: Index,
    },
    /// A member's state is another than that of this one after the same commands: the machine is
    /// not deterministic, or its code differs.
    Diverged {
        /// The member.
        peer: PeerId,
        /// After which command.
        index: Index,
    },
}

impl fmt::Display for MembershipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Joined => "joined",
            Self::CaughtUp => "up to date",
            Self::Left => "left",
            Self::Silent => "silent for too long",
            Self::Restarted => "restarted",
            Self::TicketEnded => "its ticket ended",
            Self::Evicted => "evicted",
            Self::Surplus => "one voter too many",
            Self::Replacement => "replaces a voter that is gone",
            Self::Unfinished => "begun by a leader before",
        })
    }
}

impl MembershipReason {
    /// How metrics name it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Joined => "joined",
            Self::CaughtUp => "caught_up",
            Self::Left => "left",
            Self::Silent => "silent",
            Self::Restarted => "restarted",
            Self::TicketEnded => "ticket_ended",
            Self::Evicted => "evicted",
            Self::Surplus => "surplus",
            Self::Replacement => "replacement",
            Self::Unfinished => "unfinished",
        }
    }
}
