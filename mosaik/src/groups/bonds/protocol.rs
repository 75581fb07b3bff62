//! What members say to each other over a bond, once it is made.
//!
//! A frame is the length of its head (1 byte), the head, and a body that the head says the meaning
//! of. Heads may grow at their end; a kind of head that is not known here is passed over.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::frames;
use crate::{
    schema,
    transport::{MessageError, decode_message},
};

/// The version of the handshake and of all that follows it.
pub(super) const VERSION: u16 = 1;
/// The largest frame on the control lane.
pub(super) const FRAME_LIMIT: usize = 64 * 1024;
/// The largest body of one, in round figures: the rest is for heads.
pub(super) const BODY_LIMIT: usize = 60 * 1024;

/// What became of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// The body is the answer.
    Answered,
    /// Whoever was asked is not there.
    Gone,
    /// What was offered has not arrived whole, or there was no room for it.
    Failed,
}

/// What a body on the bulk lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Message,
    Question,
    Snapshot,
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Head {
    /// The handshake's last word: the bond is made.
    Welcome,
    /// The sender is another member from now on; its status follows.
    Identity { session: u64, observer: bool },
    /// What the sender says of itself follows.
    Status,
    /// Something for the group's worker follows.
    Message,
    /// A question for the group's worker follows.
    Question { id: u64 },
    /// A question for a Raft node follows.
    Request { id: u64 },
    /// The answer to either follows, and the one to an offer.
    Answer { id: u64, outcome: Outcome },
    /// A body of this many bytes is ready to be sent on the bulk lane; a head for it follows.
    Offer { id: u64, length: u64, kind: Kind },
    /// It is expected there, in this slot.
    Take { id: u64, slot: u64 },
}

/// A frame that is ready to be written: prefix and head, and the body.
#[derive(Debug)]
pub(super) struct Frame([Bytes; 2]);

impl Frame {
    /// `None` if the body is too large for the control lane.
    pub(super) fn new(head: &Head, body: Bytes) -> Option<Self> {
        if body.len() > BODY_LIMIT {
            return None;
        }
        let mut front = BytesMut::with_capacity(64);
        front.extend_from_slice(&[0; 5]);
        // Heads are plain data of a few dozen bytes.
        schema::encode_into(head, &mut front).ok()?;
        let length = front.len() - 5;
        front[4] = u8::try_from(length).ok()?;
        front[..4].copy_from_slice(&frames::prefix(1 + length + body.len())?);
        Some(Self([front.freeze(), body]))
    }

    /// Without the length that goes before it.
    pub(super) fn len(&self) -> usize {
        let [front, body] = &self.0;
        front.len() - 4 + body.len()
    }

    pub(super) fn into_chunks(self) -> [Bytes; 2] {
        self.0
    }
}

/// Takes a frame apart.
pub(super) fn read_frame(frame: &Bytes) -> Result<(Head, Bytes), MessageError> {
    let length = usize::from(*frame.first().ok_or(MessageError::Malformed)?);
    let head = frame.get(1..1 + length).ok_or(MessageError::Malformed)?;
    Ok((decode_message(head)?, frame.slice(1 + length..)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::samples::heads, *};

    #[test]
    fn frames_come_out_as_they_went_in_and_fit() {
        for head in heads() {
            let body = Bytes::from(vec![3; BODY_LIMIT]);
            let [front, same] = Frame::new(&head, body.clone()).unwrap().into_chunks();
            let frame = Bytes::from([&front[4..], &same[..]].concat());
            assert!(frame.len() <= FRAME_LIMIT);
            assert_eq!(front[..4], u32::try_from(frame.len()).unwrap().to_le_bytes());
            assert_eq!(read_frame(&frame), Ok((head, body)));
        }
        assert!(Frame::new(&Head::Message, vec![0; BODY_LIMIT + 1].into()).is_none());
    }

    #[test]
    fn kinds_and_fields_of_a_later_version_are_told_apart_from_garbage() {
        let later = Bytes::from_static(&[1, 99]);
        assert_eq!(read_frame(&later), Err(MessageError::Unknown));
        let grown = Bytes::from_static(&[4, 4, 7, 1, 1, 5]);
        let question = Head::Question { id: 7 };
        assert_eq!(read_frame(&grown), Ok((question, Bytes::from_static(&[5]))));
        for garbage in [&[][..], &[9, 1], &[0], &[1, 5]] {
            let garbage = Bytes::copy_from_slice(garbage);
            assert_eq!(read_frame(&garbage), Err(MessageError::Malformed));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = read_frame(&bytes.into());
        }
    }
}
