//! What producer and consumer say to each other on the control stream of a subscription.
//!
//! The consumer opens the stream and asks; it stays open as long as the subscription lasts. The
//! data flow on a stream of the bulk lane that the producer opens for the slot that the consumer
//! reserved; from time to time the consumer says here how far its application has come. A later
//! version may append fields to each message; what it cannot say that way has another version
//! number, which is refused.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::criteria::Criteria;
use crate::{
    id::{StreamId, UniqueId},
    schema::{self, Fingerprint, Schema},
    transport::{CloseReason, MessageError, MessageReader},
};

/// The version of these messages.
pub(super) const VERSION: u16 = 1;
/// The largest message of a consumer, in bytes.
pub(super) const MESSAGE_LIMIT: usize = 4096;
/// The largest schema that a refusal carries, encoded.
const SCHEMA_LIMIT: usize = 64 * 1024;
/// The largest message of a producer, in bytes.
pub(super) const ANSWER_LIMIT: usize = SCHEMA_LIMIT + 1024;

/// A place in a producer's stream: so many datums of this run of it come before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) epoch: u64,
    pub(super) next: u64,
}

/// With what a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum From {
    /// With what the producer retains for those who are new.
    Retained,
    /// With the datum at this place, or the first one after it that is still there.
    At(Place),
    /// With what is sent next.
    Live,
}

/// The consumer's first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subscribe {
    pub(super) version: u16,
    pub(super) stream: StreamId,
    /// What the consumer's type looks like on the wire; none if its encoding is opaque.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) criteria: Criteria,
    /// The slot on the bulk lane on which the data are expected.
    pub(super) slot: u64,
    /// Tells this consumer from others on the same node.
    pub(super) consumer: u64,
    pub(super) from: From,
    /// The share group that it is a member of.
    pub(super) group: Option<UniqueId>,
}

/// The consumer's later messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Word {
    /// The application has taken everything before the datum of this number; in a share group: so
    /// many of those that it was given.
    Taken(u64),
}

/// What the producer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Data follow on the bulk lane, from this place on.
    Accepted(Place),
    /// No subscription. The stream stays open for a while where something may change soon.
    Refused(Refusal),
    /// What a refusal was for has changed: ask again.
    AskAgain,
    /// The subscription is over; the number of a [`CloseReason`].
    Ended { code: u32 },
}

/// Why there is no subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// The number of a [`CloseReason`].
    pub(super) code: u32,
    /// What both types look like on the wire, where that is the reason.
    pub(super) mismatch: Option<Mismatch>,
}

/// The two types of a stream do not look the same on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mismatch {
    pub(super) producer: Fingerprint,
    pub(super) consumer: Fingerprint,
    /// The producer's schema, encoded, unless it is too large.
    pub(super) schema: Option<Vec<u8>>,
}

impl Refusal {
    pub(super) fn new(reason: CloseReason) -> Self {
        Self { code: reason.code(), mismatch: None }
    }

    pub(super) fn mismatch(producer: &Schema, consumer: Fingerprint) -> Self {
        let schema = producer.to_send().filter(|bytes| bytes.len() <= SCHEMA_LIMIT);
        let mismatch = Mismatch {
            producer: producer.fingerprint(),
            consumer,
            schema: schema.map(|bytes| bytes.to_vec()),
        };
        Self { code: CloseReason::SchemaMismatch.code(), mismatch: Some(mismatch) }
    }

    pub(super) fn reason(&self) -> CloseReason {
        CloseReason::from_code(self.code)
    }
}

/// Reads a request; says what to answer if it is none that this version understands.
pub(super) fn read_request(bytes: &[u8]) -> Result<Subscribe, CloseReason> {
    let violation = |_| CloseReason::ProtocolViolation;
    match schema::decode_prefix::<u16>(bytes).map_err(violation)? {
        VERSION => schema::decode_prefix(bytes).map_err(violation),
        _ => Err(CloseReason::UnsupportedVersion),
    }
}

/// The next message that this version understands; `None` when the stream ended. Others are passed
/// over and counted. Cancel safe.
pub(super) async fn next_known<T: DeserializeOwned>(
    reader: &mut MessageReader,
    unknown: &AtomicU64,
) -> Result<Option<T>, MessageError> {
    while let Some(bytes) = reader.next_bytes().await? {
        match schema::decode_prefix(&bytes) {
            Ok(message) => return Ok(Some(message)),
            Err(error) => {
                unknown.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%error, "a message that is not understood");
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema::schema_of;

    fn subscribe() -> Subscribe {
        Subscribe {
            version: VERSION,
            stream: StreamId::from("a stream"),
            fingerprint: Some(StreamId::from("a type")),
            criteria: Criteria::default(),
            slot: u64::MAX,
            consumer: u64::MAX,
            from: From::At(Place { epoch: u64::MAX, next: u64::MAX }),
            group: Some(UniqueId::from("a group")),
        }
    }

    #[test]
    fn messages_come_out_as_they_went_in_and_are_small() {
        let bytes = schema::encode(&subscribe()).unwrap();
        assert!(bytes.len() < MESSAGE_LIMIT);
        assert_eq!(read_request(&bytes), Ok(subscribe()));
        let id = StreamId::from("another type");
        let refusal = Answer::Refused(Refusal::mismatch(&schema_of::<(u8, String)>(), id));
        let bytes = schema::encode(&refusal).unwrap();
        assert!(bytes.len() < ANSWER_LIMIT);
        assert_eq!(schema::decode::<Answer>(&bytes), Ok(refusal));
    }

    #[test]
    fn fields_that_a_later_version_appends_are_passed_over() {
        let mut bytes = schema::encode(&subscribe()).unwrap().to_vec();
        bytes.extend([1, 2, 3]);
        assert_eq!(read_request(&bytes), Ok(subscribe()));
    }

    #[test]
    fn another_version_is_told_so_and_garbage_too() {
        let newer = schema::encode(&(VERSION + 1, "whatever")).unwrap();
        assert_eq!(read_request(&newer), Err(CloseReason::UnsupportedVersion));
        let garbage = schema::encode(&(VERSION, "whatever")).unwrap();
        assert_eq!(read_request(&garbage), Err(CloseReason::ProtocolViolation));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_request(&bytes);
            let _ = schema::decode_prefix::<Word>(&bytes);
            let _ = schema::decode_prefix::<Answer>(&bytes);
        }
    }
}
