//! Why a command, a query or a group failed.

use std::fmt;

use thiserror::Error;

use super::{calls::Pending, index::Index, machine::StateMachine};
use crate::schema::EncodeError;

/// A command whose outcome is not known to be success. Its doc says for each case whether it was,
/// or can still be, applied.
#[derive(Error)]
#[non_exhaustive]
pub enum CommandError<M: StateMachine> {
    /// There was no leader for as long as the command may wait, or no room among the calls that
    /// wait. Certainly not applied: the commands are here, to be sent again.
    #[error("the group has no leader; nothing was applied")]
    Offline(Vec<M::Command>),
    /// The command is under way and was not answered in time: it may be applied, once, or not at
    /// all. [`Pending::retry`] goes on waiting for the same command, which is safe.
    #[error("the group did not answer in time; the command may still be applied")]
    Timeout(Pending<M>),
    /// The command was committed: every member applies it. Its answer is not known, since it was
    /// not applied here in time, or this member took over a state from another that keeps the
    /// answer no longer: 4,096 answers or 16 MiB are kept of each node.
    #[error("the command was committed as {index} or before, but its answer is not known here")]
    Lagging {
        /// The index of the command, of several the last; or that of a later one.
        index: Index,
    },
    /// The command was committed, but [`Group::skip`](super::Group::skip) passed it by: it changed
    /// nothing on any member.
    #[error("the command at {index} was passed by")]
    Skipped {
        /// The index of the command, of several the first.
        index: Index,
    },
    /// The commands are larger than the group takes at once. Nothing was sent.
    #[error("commands of {size} bytes are over the limit of {limit}")]
    TooLarge {
        /// What was to be executed.
        commands: Vec<M::Command>,
        /// Their encoded length, in bytes.
        size: usize,
        /// The largest length.
        limit: usize,
    },
    /// There was nothing to execute.
    #[error("there is no command in the batch")]
    NoCommands,
    /// The group has ended on this node: its last handle was dropped, or the network is gone. What
    /// was under way may be applied or not.
    #[error("the group has ended on this node")]
    GroupTerminated,
    /// A command could not be encoded. Nothing was sent.
    #[error("a command could not be encoded: {1}")]
    Encoding(Vec<M::Command>, EncodeError),
    /// The state machine could not decode the command: it changed nothing on any member. The
    /// members run different versions of it.
    #[error("the command at {index} was not understood")]
    Rejected {
        /// The index of the command, of several the first.
        index: Index,
    },
    /// The group has forgotten this node: it had been no member for ten minutes, or there were too
    /// many callers. The command was sent before that: it was applied, once, or not, and nobody can
    /// say any more.
    #[error("the group has forgotten this node; whether the command was applied is not known")]
    Lost,
    /// The command was applied, but its answer is not of the type that this build expects.
    #[error("the answer to the command at {index} could not be decoded")]
    Undecodable {
        /// The index of the command, of several the first.
        index: Index,
    },
}

/// Commands need not be `Debug`: only the reason is shown.
impl<M: StateMachine> fmt::Debug for CommandError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline(commands) => write!(f, "Offline({} commands)", commands.len()),
            Self::Timeout(_) => f.write_str("Timeout"),
            Self::Lagging { index } => write!(f, "Lagging {{ index: {index} }}"),
            Self::Skipped { index } => write!(f, "Skipped {{ index: {index} }}"),
            Self::TooLarge { size, limit, .. } => {
                write!(f, "TooLarge {{ size: {size}, limit: {limit} }}")
            }
            Self::NoCommands => f.write_str("NoCommands"),
            Self::GroupTerminated => f.write_str("GroupTerminated"),
            Self::Encoding(_, error) => write!(f, "Encoding({error:?})"),
            Self::Rejected { index } => write!(f, "Rejected {{ index: {index} }}"),
            Self::Lost => f.write_str("Lost"),
            Self::Undecodable { index } => write!(f, "Undecodable {{ index: {index} }}"),
        }
    }
}

/// A query that was not answered. A query changes nothing, so it can always be asked again.
#[derive(Error)]
#[non_exhaustive]
pub enum QueryError<M: StateMachine> {
    /// No leader could confirm in time that this member is up to date.
    #[error("the group has no leader that answers")]
    Offline(M::Query),
    /// The group has ended on this node: its last handle was dropped, it has left, or the network is
    /// gone. Or it was never joined.
    #[error("the group has ended on this node")]
    GroupTerminated,
    /// The query could not be encoded. That does not happen at present: queries are answered by the
    /// member that is asked, and do not travel.
    #[error("the query could not be encoded: {1}")]
    Encoding(M::Query, EncodeError),
}

/// Queries need not be `Debug`: only the reason is shown.
impl<M: StateMachine> fmt::Debug for QueryError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offline(_) => f.write_str("Offline"),
            Self::GroupTerminated => f.write_str("GroupTerminated"),
            Self::Encoding(_, error) => write!(f, "Encoding({error:?})"),
        }
    }
}

/// Why an operator's request to a group was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OperateError {
    /// The group has ended on this node, or was never joined.
    #[error("the group has ended on this node")]
    GroupTerminated,
    /// Only the leader can do it, and this node is not. Ask it there.
    #[error("this node does not lead the group")]
    NotLeader,
    /// The peer is no member of the group, or cannot do what is asked at this moment.
    #[error("{0} cannot do that: {1}")]
    Unsuitable(crate::id::PeerId, &'static str),
    /// The change was not agreed upon in time: it may still be.
    #[error("the group did not agree in time")]
    Timeout,
}

/// [`OperateError`] under the name that mosaik 0.4 has for a group's errors.
///
/// Of the variants there only `GroupTerminated` has a meaning here. `Unauthorized`,
/// `InvalidGroupKeyProof`, `Link`, `AlreadyBonded` and `Discovery` were reasons why two members did
/// not bond: nobody is given those as an error, since a group goes on without; a difference in what
/// must be the same is told by [`GroupEvent::ConfigMismatch`](super::GroupEvent::ConfigMismatch),
/// why a bond has ended by [`Bond::terminated`](super::Bond::terminated), and what keeps a node from
/// joining by [`JoinError`](super::JoinError).
pub type Error = OperateError;
