//! What formations say to each other over bonds.

use serde::{Deserialize, Serialize};

use crate::groups::{
    member::{IncarnationId, MemberId},
    raft::Timing,
};

/// The most voters that a founding may name.
pub(super) const MAX_FOUNDERS: usize = 64;

/// How an incarnation ended, which is so for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// Its founder called it off before it started anything.
    Aborted,
    /// It committed that it never opened.
    Dissolved,
    /// It committed that it gives way to another.
    Yielded(IncarnationId),
}

/// What a contest of two incarnations is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) incarnation: IncarnationId,
    /// The last application index in its log.
    pub(crate) index: u64,
    pub(crate) voters: u16,
}

impl Standing {
    /// The longer log wins, then more voters, then the smaller id.
    pub(super) fn beats(&self, other: &Self) -> bool {
        (self.index, self.voters, other.incarnation) > (other.index, other.voters, self.incarnation)
    }
}

/// A message of one formation to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// May I found? A grant, if given, is for this nonce.
    Propose { nonce: u64 },
    /// You may, and this is who I am.
    Granted { nonce: u64, member: MemberId },
    /// Not now: in an incarnation, or granted to another.
    Refused { nonce: u64 },
    /// The proposal is void; nothing was founded on it.
    Withdraw { nonce: u64 },
    /// These are the voters of the new incarnation, and its times. Who is not among them is free
    /// again.
    Found { nonce: u64, incarnation: IncarnationId, voters: Vec<MemberId>, timing: Timing },
    /// I take part.
    Confirmed { incarnation: IncarnationId, member: MemberId },
    /// I do not: the grant has ended.
    Declined { incarnation: IncarnationId },
    /// This incarnation has ended.
    Gone { incarnation: IncarnationId, ending: Ending },
    /// To a leader: take me in; my log is empty.
    Join { incarnation: IncarnationId, member: MemberId },
    /// From the leader of this term: the membership committed at `at` has you no more.
    Removed { incarnation: IncarnationId, member: MemberId, term: u64, at: u64 },
    /// From the leader of one incarnation to that of another: one of us has to give way.
    Challenge { nonce: u64, challenger: Standing, challenged: IncarnationId },
    /// The answer of one that need not give way.
    Prevail { nonce: u64, winner: Standing, loser: IncarnationId },
}

impl Message {
    /// Nothing in it is larger than an honest node sends.
    pub(super) fn is_sane(&self) -> bool {
        match self {
            Self::Found { voters, timing, .. } => {
                !voters.is_empty() && voters.len() <= MAX_FOUNDERS && timing.is_sane()
            }
            _ => true,
        }
    }
}
