//! What a formation wants done.

use std::collections::BTreeSet;

use super::{message::Message, status::Status};
use crate::{
    groups::{
        member::{IncarnationId, MemberId},
        raft::Timing,
    },
    id::PeerId,
};

/// What a formation wants done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Send {
        to: PeerId,
        message: Message,
    },
    /// To everybody bonded; what a bond that comes later is told, until the next one.
    Tell(Status),
    /// Start a Raft node of this incarnation with an empty log. With voters: initialize it with
    /// them, and call an election at once. The times are those of the incarnation.
    Start {
        incarnation: IncarnationId,
        timing: Timing,
        founding: Option<BTreeSet<MemberId>>,
    },
    /// Shut Raft down, drop the log, take a new session, and answer with `Input::Renewed`.
    Discard {
        incarnation: IncarnationId,
        reason: Discarded,
    },
    /// The same, but only if the log still ends at `log_end`. That has to be decided in the log
    /// itself, under its lock: from then on it takes no entry. If it has grown: `Input::Kept`.
    ///
    /// Founding for `Strict(n)` rests on this: what was acknowledged to a leader as stored is
    /// never abandoned.
    Abandon {
        incarnation: IncarnationId,
        log_end: Option<u64>,
        reason: Discarded,
    },
    /// Log this, as the leader. It is asked for again if it does not show in a view.
    Propose(Proposal),
    /// For the autopilot: this peer wants to be a learner. Told again and again until it is one.
    AddMember(MemberId),
    Event(FormationEvent),
}

/// What a formation wants logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proposal {
    /// Every founder has stored the first entry: commands may come. No effect after `Dissolve`.
    Open,
    /// It never opens. No effect after `Open`.
    Dissolve,
    /// Gives way to the winner: no command that is logged later is applied. The last one counts;
    /// one that names the own incarnation takes it back.
    Yield { winner: IncarnationId },
}

/// Why a node left an incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Discarded {
    /// The founding came to nothing: no leader was seen in time.
    NoLeader,
    /// The founder called it off.
    Aborted,
    /// It committed that it never opens, or cannot open any more.
    Dissolved,
    /// The leader took this node out of the membership.
    Removed,
    /// The one that it wanted to join is not there any more.
    NotJoined,
    /// It has given way to another, or cannot commit anything any more while another is alive.
    Yielded { winner: IncarnationId },
}

/// What the application is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormationEvent {
    /// Takes part in a founding.
    Founding {
        incarnation: IncarnationId,
        voters: usize,
    },
    /// Asks to be taken in.
    Joining {
        incarnation: IncarnationId,
    },
    /// Its log holds something: it is a member.
    Entered {
        incarnation: IncarnationId,
    },
    Left {
        incarnation: IncarnationId,
        reason: Discarded,
    },
    /// `Strict(n)`: more nodes than 2n-1 could take part in founding; nothing is founded.
    TooManyFounders {
        seen: usize,
        limit: usize,
    },
    /// So many voters have lost their logs that nothing can be committed any more.
    QuorumUnrecoverable {
        incarnation: IncarnationId,
        dead: usize,
        voters: usize,
    },
    /// Another incarnation is alive, and one of the two has to give way.
    RivalMet {
        ours: IncarnationId,
        theirs: IncarnationId,
    },
    /// This node's incarnation gave way: its commands up to this index are not in the winner.
    Merged {
        kept: IncarnationId,
        merged: IncarnationId,
        dropped: u64,
    },
    /// A winner that was not seen for long is not waited for any more.
    YieldWithdrawn {
        incarnation: IncarnationId,
    },
}
