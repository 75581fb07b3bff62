//! Why a consumer is not subscribed to a producer.

use thiserror::Error;

use super::protocol::Refusal;
use crate::{
    schema::{Difference, Fingerprint, Schema},
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
    #[error("the types differ: {}", difference_text(.producer, .consumer, .difference.as_ref()))]
    SchemaMismatch {
        /// What the producer's type looks like on the wire.
        producer: Fingerprint,
        /// What the consumer's type looks like on the wire.
        consumer: Fingerprint,
        /// The first place where they differ; `None` if the producer's type is too large to be told
        /// (over 64 KiB of schema).
        difference: Option<Difference>,
    },
    /// The producer did not wait for this consumer any longer. Tried again with growing pauses of up
    /// to 30 s; it goes on with what is sent then, and what was missed is an
    /// [`Event::Gap`](crate::streams::consumer::Event::Gap).
    #[error("the producer did not wait any longer")]
    TooSlow,
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
            CloseReason::TooSlow => Self::TooSlow,
            other => Self::Refused(other),
        }
    }
}

impl SubscribeError {
    pub(super) fn from_refusal(refusal: &Refusal, ours: Option<&Schema>) -> Self {
        let Some(mismatch) = &refusal.mismatch else { return Self::from_reason(refusal.reason()) };
        let theirs = mismatch.schema.as_ref();
        let difference = theirs.zip(ours).and_then(|(theirs, ours)| ours.difference_of(theirs));
        Self::SchemaMismatch {
            producer: mismatch.producer,
            consumer: mismatch.consumer,
            difference,
        }
    }
}

fn difference_text(
    producer: &Fingerprint,
    consumer: &Fingerprint,
    difference: Option<&Difference>,
) -> String {
    match difference {
        Some(Difference { path, left, right }) => {
            format!("{path} is {left} at the producer and {right} here")
        }
        None => format!("fingerprint {producer} at the producer, {consumer} here"),
    }
}
