//! Why a consumer is not subscribed to a producer.

use thiserror::Error;

use super::protocol::Refusal;
use crate::{
    schema::Fingerprint,
    transport::{CloseReason, DialError},
};

/// Why a consumer is not subscribed to a producer that it knows of. It tries again by itself; when,
/// each variant says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The producer could not be reached. Tried again with growing pauses of up to 30 s.
    #[error("the producer cannot be reached: {0}")]
    Unreachable(#[from] DialError),
    /// The connection broke, or no answer came in time. Tried again with growing pauses of up to
    /// 30 s.
    #[error("the producer was lost: {0}")]
    Lost(CloseReason),
    /// The peer does not produce the stream (any more). Tried again when its entry changes, or
    /// after 30 s.
    #[error("the stream is not produced there")]
    StreamNotFound,
    /// The producer's conditions do not admit this node. Tried again when it says so, when its
    /// entry changes, or after 30 s.
    #[error("the producer does not admit this node")]
    NotAllowed,
    /// The producer requires tickets, and those of this node have not all reached it yet: it
    /// fetches them. Tried again when it says so, when its entry changes, or after 30 s.
    #[error("the producer has not got this node's tickets yet")]
    TicketsPending,
    /// The producer has as many consumers as it takes. Tried again when it says that a place is
    /// free, and every second.
    #[error("the producer has no free place")]
    NoCapacity,
    /// The two sides disagree on what the type looks like on the wire: bring them to the same
    /// version. Tried again when the producer's entry changes, or after 30 s.
    #[error("the types differ: fingerprint {producer} at the producer, {consumer} here")]
    SchemaMismatch {
        /// What the producer's type looks like on the wire.
        producer: Fingerprint,
        /// What the consumer's type looks like on the wire.
        consumer: Fingerprint,
    },
    /// What the producer sent could not be decoded. Tried again when its entry changes, or after
    /// 30 s.
    #[error("a datum could not be decoded: {0}")]
    Undecodable(String),
    /// Any other reason that the producer gave. Tried again with growing pauses of up to 30 s.
    #[error("the producer refused: {0}")]
    Refused(CloseReason),
}

impl SubscribeError {
    pub(super) fn from_reason(reason: CloseReason) -> Self {
        match reason {
            CloseReason::StreamNotFound => Self::StreamNotFound,
            CloseReason::NotAllowed => Self::NotAllowed,
            CloseReason::NoCapacity => Self::NoCapacity,
            CloseReason::TicketsPending => Self::TicketsPending,
            other => Self::Refused(other),
        }
    }
}

impl From<Refusal> for SubscribeError {
    fn from(refusal: Refusal) -> Self {
        match refusal.mismatch {
            Some(mismatch) => {
                Self::SchemaMismatch { producer: mismatch.producer, consumer: mismatch.consumer }
            }
            None => Self::from_reason(refusal.reason()),
        }
    }
}
