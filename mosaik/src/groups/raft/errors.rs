//! Why something was not done.

use crate::groups::member::MemberId;

/// A proposal was refused, or what became of it is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Not appended: this member does not lead.
    #[error("this member is not the leader")]
    NotLeader {
        /// Who does, if known.
        leader: Option<MemberId>,
    },
    /// Not appended: this member leads, but no quorum has confirmed it of late, or it is handing
    /// over. Worth another attempt after a round trip.
    #[error("the leader is not ready")]
    NotReady,
    /// Appended, and then dropped from this member's log by another leader: it may have been
    /// committed, or may still be.
    #[error("another leader has replaced the entry")]
    Discarded,
    /// The node has stopped. If the proposal had been appended, it may be committed by others.
    #[error("the node has stopped")]
    Stopped,
}

/// A change of members was not made, or not known to be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChangeError {
    /// Not made: this member does not lead, or is not ready to.
    #[error("this member is not the leader")]
    NotLeader {
        /// Who does, if known.
        leader: Option<MemberId>,
    },
    /// Not made: another change is under way.
    #[error("another change is under way")]
    Busy,
    /// Not made: it is not possible.
    #[error("impossible: {0}")]
    Impossible(String),
    /// Perhaps made in part, perhaps whole.
    #[error("another leader has replaced the entry")]
    Discarded,
    /// The node has stopped; perhaps made.
    #[error("the node has stopped")]
    Stopped,
}

/// No read point can be given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// This member does not lead.
    #[error("this member is not the leader")]
    NotLeader {
        /// Who does, if known.
        leader: Option<MemberId>,
    },
    /// No quorum has confirmed that this member leads.
    #[error("no quorum has confirmed the leader")]
    NoQuorum,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

/// The node has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub(crate) struct Stopped;

/// A message from another member was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AnswerError {
    /// It was meant for another member or incarnation, or the node has stopped. The sender must
    /// be told that this member is gone ([`super::WireError::Unreachable`] there).
    #[error("not this member, or not any more")]
    Gone,
    /// It is no message of ours.
    #[error("malformed")]
    Malformed,
    /// The stream that it came from has broken.
    #[error("the stream broke")]
    Broken,
}
