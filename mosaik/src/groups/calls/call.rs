//! A call, what is sent of several, and what becomes of one.

use bytes::Bytes;

use crate::groups::{
    index::Index,
    machine::Reply,
    state::{EncodedRun, SessionId},
};

/// The commands of one call, each encoded: applied together, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Call {
    /// How many commands there are: so many indices it takes.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(commands) => commands.len() as u64,
        }
    }

    /// How long they are together.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::One(command) => command.len(),
            Self::Many(commands) => commands.iter().map(Bytes::len).sum(),
        }
    }
}

/// Calls on their way to a leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) session: SessionId,
    /// The number of the first one.
    pub(crate) first: u64,
    /// How many there are.
    pub(crate) calls: u64,
    pub(crate) run: EncodedRun,
}

/// When the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Once the commands were applied here.
    Execute,
    /// Once the leader has appended them.
    Feed,
}

/// What has become of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Applied here; the index of the first command, and the encoded replies.
    Applied { index: Index, reply: Reply },
    /// Applied here, but the answer could not be encoded.
    Undecodable { index: Index },
    /// Committed, but no command of this machine: it changed nothing.
    Rejected { index: Index },
    /// Appended by the leader, the first command at this index.
    Appended { index: Index },
    /// Passed by.
    Skipped { index: Index },
    /// Given up before it was sent.
    Offline,
    /// Not answered in time; it is still under way.
    Timeout,
    /// Committed, and the answer is not known here. No later than at this index.
    Lagging { index: Index },
    /// The group has forgotten the session in which it was sent: nobody knows.
    Lost,
}
