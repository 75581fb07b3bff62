//! What becomes of the calls in an item.

use serde::{Deserialize, Serialize};

use super::session::SessionId;
use crate::groups::{index::Index, machine::Reply};

/// What the machine answered a call. It is kept for as long as the caller may ask again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It was applied.
    Applied(Reply),
    /// It was applied, but the response refused to be encoded.
    Unencodable,
    /// It is no command of this machine: nothing was applied.
    Undecodable,
    /// It was passed over by hand, because it makes the machine panic: nothing was applied.
    Skipped,
}

/// What became of a call, or of several that met the same fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) session: SessionId,
    /// The call's number; 0 for what concerns the session as a whole.
    pub(crate) sequence: u64,
    /// The index of the call's first command, where it was applied.
    pub(crate) index: Index,
    pub(crate) kind: OutcomeKind,
}

impl Outcome {
    pub(super) fn new(session: SessionId, sequence: u64, index: Index, kind: OutcomeKind) -> Self {
        Self { session, sequence, index, kind }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OutcomeKind {
    /// The call has had its turn.
    Answered(Answer),
    /// The call had had its turn before; this is its answer, with its index of then.
    Repeated(Answer),
    /// The call, and those of the same run that follow it, came too early: this number is due.
    /// Nothing was applied.
    Gap { expected: u64 },
    /// There is no such session (any more): none of the run's calls was applied. `sequence` is the
    /// first of them, or 0 if the session has just ended, or was not opened because it has ended
    /// before.
    UnknownSession,
    /// The call had had its turn before, and its answer has been dropped.
    Forgotten,
    /// The incarnation has yielded or is dissolved: the call was not applied.
    Closed,
    /// The session is open from here on; `sequence` is 0.
    Opened,
}

/// What is to be done after an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Step {
    /// Nothing.
    Done,
    /// A command that has been applied, or tried, is to be passed over: the replica must be rebuilt
    /// from the last snapshot and the items since.
    Rebuild,
}
