//! Frames on a stream: four bytes of length, little-endian, then so many bytes.
//!
//! Each frame that is read has memory of its own, of just its size: the log keeps slices of it, and
//! must not keep the packets that it came in, nor its neighbours.

use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures::future::poll_fn;

use crate::transport::{CloseReason, MessageError, RecvStream, SendStream};

const PREFIX: usize = 4;
/// Chunks that are taken from a stream at once.
const ROOM: usize = 16;
/// So much is set aside for a frame on the word of its sender; more as it arrives.
const TRUSTED_BYTES: usize = 256 * 1024;

/// The length that goes before a frame; none if it cannot be told in 32 bits.
pub(super) fn prefix(length: usize) -> Option<[u8; PREFIX]> {
    u32::try_from(length).ok().map(u32::to_le_bytes)
}

/// Puts frames together from what arrives.
#[derive(Debug)]
pub(super) struct Assembler {
    limit: usize,
    prefix: [u8; PREFIX],
    prefixed: usize,
    body: Option<BytesMut>,
    /// Bytes that the body lacks.
    lacking: usize,
}

impl Assembler {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, prefix: [0; PREFIX], prefixed: 0, body: None, lacking: 0 }
    }

    /// Takes from `chunk` until a frame is whole, or nothing is left of it.
    pub(super) fn take(&mut self, chunk: &mut Bytes) -> Result<Option<Bytes>, MessageError> {
        if self.body.is_none() {
            let count = chunk.len().min(PREFIX - self.prefixed);
            self.prefix[self.prefixed..self.prefixed + count].copy_from_slice(&chunk[..count]);
            chunk.advance(count);
            self.prefixed += count;
            if self.prefixed < PREFIX {
                return Ok(None);
            }
            self.lacking = u32::from_le_bytes(self.prefix) as usize;
            if self.lacking > self.limit {
                return Err(MessageError::TooLarge {
                    length: self.lacking as u64,
                    limit: self.limit,
                });
            }
            self.body = Some(BytesMut::with_capacity(self.lacking.min(TRUSTED_BYTES)));
        }
        let Some(body) = &mut self.body else { return Ok(None) };
        let count = chunk.len().min(self.lacking);
        body.extend_from_slice(&chunk[..count]);
        chunk.advance(count);
        self.lacking -= count;
        if self.lacking > 0 {
            return Ok(None);
        }
        self.prefixed = 0;
        Ok(self.body.take().map(BytesMut::freeze))
    }

    /// Whether nothing has come of the next frame.
    pub(super) fn is_between(&self) -> bool {
        self.prefixed == 0 && self.body.is_none()
    }
}

/// Reads frames, none longer than a limit.
#[derive(Debug)]
pub(super) struct FrameReader {
    stream: RecvStream,
    assembler: Assembler,
    room: [Bytes; ROOM],
    at: usize,
    filled: usize,
}

impl FrameReader {
    pub(super) fn new(stream: RecvStream, limit: usize) -> Self {
        let room = std::array::from_fn(|_| Bytes::new());
        Self { stream, assembler: Assembler::new(limit), room, at: 0, filled: 0 }
    }

    /// The next frame; `None` when the stream ended between two of them. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, MessageError> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, MessageError>> {
        loop {
            while self.at < self.filled {
                let chunk = &mut self.room[self.at];
                let frame = self.assembler.take(chunk)?;
                if chunk.is_empty() {
                    // Even an empty slice would keep the packet that it is of.
                    *chunk = Bytes::new();
                    self.at += 1;
                }
                if frame.is_some() {
                    return Poll::Ready(Ok(frame));
                }
            }
            match ready!(self.stream.poll_read_chunks(cx, &mut self.room))? {
                Some(filled) => (self.at, self.filled) = (0, filled),
                None if self.assembler.is_between() => return Poll::Ready(Ok(None)),
                None => return Poll::Ready(Err(MessageError::Truncated)),
            }
        }
    }

    pub(super) fn stop(&mut self, reason: CloseReason) {
        self.stream.stop(reason);
    }
}

/// Writes frames.
#[derive(Debug)]
pub(super) struct FrameWriter {
    stream: SendStream,
}

impl FrameWriter {
    pub(super) fn new(stream: SendStream) -> Self {
        Self { stream }
    }

    /// Writes one frame. Not cancel safe: after a cancelled call, reset the stream.
    pub(super) async fn send(&mut self, body: Bytes) -> Result<(), MessageError> {
        let prefix = prefix(body.len()).ok_or(MessageError::Encoding)?;
        self.write(&mut [Bytes::copy_from_slice(&prefix), body]).await
    }

    /// Writes what consists of frames already. Not cancel safe either.
    pub(super) async fn write(&mut self, frames: &mut [Bytes]) -> Result<(), MessageError> {
        Ok(self.stream.write_all_chunks(frames).await?)
    }

    pub(super) fn finish(&mut self) {
        self.stream.finish();
    }

    pub(super) fn reset(&mut self, reason: CloseReason) {
        self.stream.reset(reason);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        [&prefix(body.len()).unwrap()[..], body].concat()
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..10),
            cut in 1usize..50,
        ) {
            let whole: Vec<u8> = bodies.iter().flat_map(|body| framed(body)).collect();
            let mut assembler = Assembler::new(40);
            let mut frames = Vec::new();
            for chunk in whole.chunks(cut) {
                let mut chunk = Bytes::copy_from_slice(chunk);
                while !chunk.is_empty() {
                    frames.extend(assembler.take(&mut chunk).unwrap());
                }
            }
            prop_assert!(assembler.is_between());
            prop_assert_eq!(frames, bodies);
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_before_it_has_arrived() {
        let mut chunk = Bytes::from_static(&[0xff; 4]);
        let refused = Assembler::new(1024).take(&mut chunk);
        let length = u64::from(u32::MAX);
        assert_eq!(refused, Err(MessageError::TooLarge { length, limit: 1024 }));
    }
}
