//! Why a datum was not sent, or a producer not built.

use std::fmt;

use thiserror::Error;

use super::Producer;
use crate::{id::StreamId, streams::CodecError};

/// A datum was not sent. It is in the error, unless there was none yet.
#[derive(Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendError<D> {
    /// The producer has ended: it was closed, its network is gone, or the stream is already
    /// produced with another type. Nothing was sent, and nothing can be.
    #[error("the producer is closed")]
    Closed(Option<D>),
    /// The slowest consumer's window is full. Nothing was sent; `send` waits instead.
    #[error("the slowest consumer cannot take more at present")]
    Full(D),
    /// The producer's condition for being online is not met: by default, nobody is subscribed.
    /// Nothing was sent; `send` waits instead.
    #[error("the producer is offline")]
    Offline(D),
    /// The datum could not be encoded. Nothing was sent; the producer goes on with the next.
    #[error("the datum could not be encoded: {1}")]
    Encoding(D, CodecError),
    /// The encoded datum is too large. Nothing was sent; the producer goes on with the next.
    #[error("a datum of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// What was to be sent.
        datum: D,
        /// Its length, encoded.
        bytes: usize,
        /// The largest length.
        limit: usize,
    },
}

/// The published name of [`SendError`].
pub type Error<D> = SendError<D>;

impl<D> SendError<D> {
    /// The datum that was not sent.
    pub fn into_datum(self) -> Option<D> {
        match self {
            Self::Closed(datum) => datum,
            Self::Full(datum)
            | Self::Offline(datum)
            | Self::Encoding(datum, _)
            | Self::TooLarge { datum, .. } => Some(datum),
        }
    }
}

/// Datums need not be `Debug`: only the reason is shown.
impl<D> fmt::Debug for SendError<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("Closed"),
            Self::Full(_) => f.write_str("Full"),
            Self::Offline(_) => f.write_str("Offline"),
            Self::Encoding(_, error) => f.debug_tuple("Encoding").field(error).finish(),
            Self::TooLarge { bytes, limit, .. } => f
                .debug_struct("TooLarge")
                .field("bytes", bytes)
                .field("limit", limit)
                .finish_non_exhaustive(),
        }
    }
}

/// A producer was not built. Nothing was changed.
#[derive(Error)]
#[non_exhaustive]
pub enum BuilderError<D> {
    /// The stream is produced on this node already: use the producer in the error. Its options
    /// are those with which it was first built.
    #[error("the stream {} is already produced on this node", .0.stream_id())]
    AlreadyExists(Producer<D>),
    /// The stream is produced on this node already, with another type: give one of them another
    /// stream id.
    #[error(
        "the stream {stream_id} is already produced on this node with the type `{existing}`, not \
         `{requested}`"
    )]
    TypeMismatch {
        /// The stream.
        stream_id: StreamId,
        /// The type with which it is produced.
        existing: &'static str,
        /// The type with which it was to be produced.
        requested: &'static str,
    },
    /// The stream could not be announced: the node's entry would become too large. Produce fewer
    /// streams on this node.
    #[error("the stream {stream_id} cannot be announced: {reason}")]
    NotAnnounced {
        /// The stream.
        stream_id: StreamId,
        /// Why not.
        reason: String,
    },
}

impl<D> BuilderError<D> {
    /// The stream that was to be produced.
    #[must_use]
    pub fn stream_id(&self) -> StreamId {
        match self {
            Self::AlreadyExists(producer) => *producer.stream_id(),
            Self::TypeMismatch { stream_id, .. } | Self::NotAnnounced { stream_id, .. } => {
                *stream_id
            }
        }
    }
}

impl<D> fmt::Debug for BuilderError<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuilderError({self})")
    }
}
