//! Typed messages on a stream: a varint length, then postcard.
//!
//! Messages may grow in later versions: what follows the fields that are known here is ignored,
//! and a variant that is not known is told apart from garbage.

use bytes::{Buf, Bytes, BytesMut};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    close::CloseReason,
    error::MessageError,
    stream::{RecvStream, SendStream},
};
use crate::schema::{self, DecodeError};

/// Longest length prefix: 32 bits in groups of seven.
const MAX_PREFIX: usize = 5;

/// Decodes a message; fields that a later version has appended to it are skipped.
pub(crate) fn decode_message<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    schema::decode_prefix(bytes).map_err(|error| match error {
        DecodeError::UnknownVariant { .. } => MessageError::Unknown,
        _ => MessageError::Malformed,
    })
}

/// Writes messages to a stream.
#[derive(Debug)]
pub(crate) struct MessageWriter {
    stream: SendStream,
}

impl MessageWriter {
    pub(crate) fn new(stream: SendStream) -> Self {
        Self { stream }
    }

    /// Encodes and writes one message. Not cancel safe: after a cancelled call, reset the stream.
    pub(crate) async fn send<T: Serialize + ?Sized>(
        &mut self,
        message: &T,
    ) -> Result<(), MessageError> {
        let body = schema::encode(message).map_err(|_| MessageError::Encoding)?;
        self.send_bytes(body).await
    }

    /// Writes one message that is encoded already.
    pub(crate) async fn send_bytes(&mut self, body: Bytes) -> Result<(), MessageError> {
        let mut head = BytesMut::with_capacity(MAX_PREFIX);
        let length = u32::try_from(body.len()).map_err(|_| MessageError::Encoding)?;
        put_length(&mut head, length);
        self.stream.write_all_chunks(&mut [head.freeze(), body]).await?;
        Ok(())
    }

    pub(crate) fn finish(&mut self) {
        self.stream.finish();
    }

    pub(crate) fn reset(&mut self, reason: CloseReason) {
        self.stream.reset(reason);
    }
}

/// Reads messages from a stream, none longer than a limit.
#[derive(Debug)]
pub(crate) struct MessageReader {
    stream: RecvStream,
    limit: usize,
    buffer: BytesMut,
}

impl MessageReader {
    pub(crate) fn new(stream: RecvStream, limit: usize) -> Self {
        Self { stream, limit, buffer: BytesMut::new() }
    }

    /// From now on messages may be this long.
    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next message; `None` when the stream ended between two of them. Fields that a later
    /// version has appended to it are skipped. Cancel safe.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, MessageError> {
        let Some(body) = self.next_bytes().await? else { return Ok(None) };
        decode_message(&body).map(Some)
    }

    /// The bytes of the next message. Cancel safe.
    pub(crate) async fn next_bytes(&mut self) -> Result<Option<Bytes>, MessageError> {
        loop {
            if let Some(message) = take_message(&mut self.buffer, self.limit)? {
                return Ok(Some(message));
            }
            match self.stream.read_chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(MessageError::Truncated),
            }
        }
    }

    pub(crate) fn stop(&mut self, reason: CloseReason) {
        self.stream.stop(reason);
    }
}

pub(super) fn put_length(buf: &mut BytesMut, mut length: u32) {
    while length >= 0x80 {
        buf.extend_from_slice(&[(length as u8) | 0x80]);
        length >>= 7;
    }
    buf.extend_from_slice(&[length as u8]);
}

/// Splits one whole message off the front of what has arrived.
pub(super) fn take_message(
    buffer: &mut BytesMut,
    limit: usize,
) -> Result<Option<Bytes>, MessageError> {
    let Some((length, prefix)) = read_length(buffer)? else { return Ok(None) };
    if length > limit as u64 {
        return Err(MessageError::TooLarge { length, limit });
    }
    let end = prefix + length as usize;
    if buffer.len() < end {
        return Ok(None);
    }
    buffer.advance(prefix);
    Ok(Some(buffer.split_to(end - prefix).freeze()))
}

/// The length and how many bytes it took, if it is complete.
fn read_length(bytes: &[u8]) -> Result<Option<(u64, usize)>, MessageError> {
    let mut length = 0u64;
    for (i, byte) in bytes.iter().take(MAX_PREFIX).enumerate() {
        length |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Ok(Some((length, i + 1)));
        }
    }
    if bytes.len() < MAX_PREFIX { Ok(None) } else { Err(MessageError::Malformed) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(body: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::new();
        put_length(&mut buffer, body.len() as u32);
        buffer.extend_from_slice(body);
        buffer
    }

    proptest! {
        #[test]
        fn a_message_comes_out_as_it_went_in(
            body in prop::collection::vec(any::<u8>(), 0..400),
            cut in 0usize..400,
        ) {
            let whole = framed(&body);
            let cut = cut.min(whole.len() - 1);
            let mut buffer = BytesMut::from(&whole[..cut]);
            prop_assert_eq!(take_message(&mut buffer, 400), Ok(None));
            buffer.extend_from_slice(&whole[cut..]);
            prop_assert_eq!(take_message(&mut buffer, 400), Ok(Some(Bytes::from(body))));
            prop_assert!(buffer.is_empty());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = take_message(&mut buffer, 16) {}
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_it_has_arrived() {
        let mut buffer = BytesMut::new();
        put_length(&mut buffer, u32::MAX);
        let refused = take_message(&mut buffer, 1024);
        assert_eq!(
            refused,
            Err(MessageError::TooLarge { length: u64::from(u32::MAX), limit: 1024 })
        );
    }

    #[test]
    fn what_a_later_version_appends_is_skipped_and_its_new_kinds_are_told_apart() {
        #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        enum Ours {
            A,
            B(u8),
        }
        #[derive(serde::Serialize)]
        enum Later {
            A,
            B(u8, String),
            C,
        }
        let decode = |later: &Later| decode_message::<Ours>(&schema::encode(later).unwrap());
        assert_eq!(decode(&Later::A), Ok(Ours::A));
        assert_eq!(decode(&Later::B(7, "more".into())), Ok(Ours::B(7)));
        assert_eq!(decode(&Later::C), Err(MessageError::Unknown));
        assert_eq!(decode_message::<Ours>(&[1]), Err(MessageError::Malformed));
        assert_eq!(decode_message::<Ours>(&[]), Err(MessageError::Malformed));
    }

    #[test]
    fn a_length_that_never_ends_is_refused() {
        let mut buffer = BytesMut::from(&[0xff; 6][..]);
        assert_eq!(take_message(&mut buffer, 1024), Err(MessageError::Malformed));
    }
}
