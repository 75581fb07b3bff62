//! What producer and consumer say to each other on the control stream of a subscription.
//!
//! The consumer opens the stream and asks; it stays open as long as the subscription lasts, and
//! its end, from either side, is the subscription's end. The data flow on a stream of the bulk
//! lane that the producer opens for the slot that the consumer reserved.

use serde::{Deserialize, Serialize};

use super::criteria::Criteria;
use crate::{id::StreamId, schema::Fingerprint, transport::CloseReason};

/// The version of these messages.
pub(super) const VERSION: u16 = 1;
/// The largest of these messages, in bytes.
pub(super) const MESSAGE_LIMIT: usize = 4096;

/// The consumer's first and only message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Subscribe {
    pub(super) version: u16,
    pub(super) stream: StreamId,
    /// What the consumer's type looks like on the wire; none if its encoding is opaque.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) criteria: Criteria,
    /// The slot on the bulk lane on which the data are expected.
    pub(super) slot: u64,
}

/// What the producer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Data follow on the bulk lane, from the frame with this number of this epoch on.
    Accepted { epoch: u64, next: u64 },
    /// No subscription. The stream stays open for a while where something may change soon.
    Refused(Refusal),
    /// What a refusal was for has changed: ask again.
    AskAgain,
    /// The subscription is over; the number of a [`CloseReason`].
    Ended { code: u32 },
}

/// Why there is no subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// The number of a [`CloseReason`].
    pub(super) code: u32,
    /// What both types look like on the wire, where that is the reason.
    pub(super) mismatch: Option<Mismatch>,
}

/// The two types of a stream do not look the same on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mismatch {
    pub(super) producer: Fingerprint,
    pub(super) consumer: Fingerprint,
}

impl Refusal {
    pub(super) fn new(reason: CloseReason) -> Self {
        Self { code: reason.code(), mismatch: None }
    }

    pub(super) fn mismatch(producer: Fingerprint, consumer: Fingerprint) -> Self {
        let mismatch = Some(Mismatch { producer, consumer });
        Self { code: CloseReason::SchemaMismatch.code(), mismatch }
    }

    pub(super) fn reason(&self) -> CloseReason {
        CloseReason::from_code(self.code)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::schema;

    #[test]
    fn messages_come_out_as_they_went_in_and_are_small() {
        let id = StreamId::from("a stream");
        let subscribe = Subscribe {
            version: VERSION,
            stream: id,
            fingerprint: Some(id),
            criteria: Criteria::default(),
            slot: u64::MAX,
        };
        let bytes = schema::encode(&subscribe).unwrap();
        assert_eq!(schema::decode::<Subscribe>(&bytes), Ok(subscribe));
        let refusal = Answer::Refused(Refusal::mismatch(id, id));
        let bytes = schema::encode(&refusal).unwrap();
        assert!(bytes.len() < MESSAGE_LIMIT);
        assert_eq!(schema::decode::<Answer>(&bytes), Ok(refusal));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = schema::decode::<Subscribe>(&bytes);
            let _ = schema::decode::<Answer>(&bytes);
        }
    }
}
