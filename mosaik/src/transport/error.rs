//! What can go wrong between two peers.

use thiserror::Error;

use super::close::CloseReason;

/// A peer could not be reached, or did not let us in. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DialError {
    /// The peer's address is not known: give one, or wait until discovery has found it.
    #[error("no address of the peer is known")]
    NoAddress,
    /// The address is this node's own.
    #[error("a node cannot dial itself")]
    Myself,
    /// Nobody answered at the peer's addresses within the dial timeout.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// Somebody answered, but the connection could not be made.
    #[error("the connection failed: {0}")]
    Failed(String),
    /// The peer said no; the reason says why.
    #[error("the peer refused: {0}")]
    Refused(CloseReason),
    /// This node is shutting down.
    #[error("this node is shutting down")]
    ShuttingDown,
}

/// A stream to an admitted peer could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum OpenError {
    /// The link is gone; dial again.
    #[error("the connection is closed: {0}")]
    Lost(CloseReason),
    /// A lane beside control could not be opened in time.
    #[error("no such lane to the peer: {0}")]
    NoLane(String),
}

/// Reading or writing a stream failed; what was sent last may or may not have arrived.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum StreamError {
    /// The sender gave the stream up.
    #[error("the stream was reset by its sender: {0}")]
    Reset(CloseReason),
    /// The receiver does not want more.
    #[error("the stream was stopped by its receiver: {0}")]
    Stopped(CloseReason),
    /// The connection is gone.
    #[error("the connection is closed: {0}")]
    Lost(CloseReason),
    /// This side has finished, reset or stopped it.
    #[error("the stream is closed on this side")]
    Closed,
}

impl StreamError {
    /// The reason that came from the other side, if one did.
    pub(crate) fn reason(&self) -> Option<CloseReason> {
        match self {
            Self::Reset(reason) | Self::Stopped(reason) | Self::Lost(reason) => Some(*reason),
            Self::Closed => None,
        }
    }
}

/// A message could not be sent or received.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum MessageError {
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The stream ended in the middle of a message.
    #[error("the stream ended in the middle of a message")]
    Truncated,
    /// The message is larger than this stream allows.
    #[error("a message of {length} bytes is over the limit of {limit}")]
    TooLarge { length: u64, limit: usize },
    /// The bytes are not a message of the expected type.
    #[error("a message could not be decoded")]
    Malformed,
    /// The message, or something in it, is of a kind that this version does not know. The stream
    /// is intact: the next message can be read.
    #[error("a message of a later version, which is not known here")]
    Unknown,
    /// The value could not be encoded.
    #[error("a message could not be encoded")]
    Encoding,
}

impl MessageError {
    /// Whether the peer broke the protocol, as opposed to having gone or lost interest.
    pub(crate) fn is_violation(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Malformed | Self::Truncated)
    }
}
