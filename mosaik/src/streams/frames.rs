//! Datums on a data stream: a varint length, then the encoded datum, one after the other. Between
//! them stand marks: what the consumer must know at exactly this place.
//!
//! The reader splits frames in place from the chunks that arrive and copies only those that
//! straddle two of them.

use bytes::Bytes;
use thiserror::Error;

/// The largest encoded datum, in bytes: 16 MiB.
pub(crate) const MAX_DATUM_BYTES: usize = 16 * 1024 * 1024;
/// The longest length prefix: four groups of seven bits hold [`MAX_DATUM_BYTES`].
pub(super) const MAX_PREFIX: usize = 4;
/// Chunks taken from a stream at once: a few at first, so that an idle subscription is small; up to
/// 64, with packets of 1.4 KiB about 90 KiB, while they all are filled.
const FIRST_CHUNKS: usize = 4;
const CHUNKS: usize = 64;
/// A buffer for straddling frames that has grown beyond this is given back once it is empty.
const CARRY_KEPT_BYTES: usize = 256 * 1024;

/// A length that no datum has: what follows is a mark.
const MARK_LENGTH: usize = (1 << (7 * MAX_PREFIX)) - 1;
/// What a mark consists of: its kind, and a number.
const MARK_BODY: usize = 9;

/// What stands between two datums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// So many datums that would come here were dropped.
    Skipped(u64),
    /// The next so many datums were sent to another member of the share group before.
    Redelivered(u64),
    /// Something that this version does not know.
    Unknown,
}

impl Mark {
    /// The mark as it is sent.
    pub(super) fn encode(self) -> Bytes {
        let (kind, number) = match self {
            Self::Skipped(count) => (1, count),
            Self::Redelivered(count) => (2, count),
            Self::Unknown => (0, 0),
        };
        let (prefix, _) = prefix(MARK_LENGTH);
        let mut out = [0; MAX_PREFIX + MARK_BODY];
        out[..MAX_PREFIX].copy_from_slice(&prefix);
        out[MAX_PREFIX] = kind;
        out[MAX_PREFIX + 1..].copy_from_slice(&number.to_le_bytes());
        Bytes::copy_from_slice(&out)
    }

    #[cold]
    fn decode(body: &[u8]) -> Self {
        let Some((kind, number)) = body.split_first() else { return Self::Unknown };
        let Ok(number) = number.try_into().map(u64::from_le_bytes) else { return Self::Unknown };
        match kind {
            1 => Self::Skipped(number),
            2 => Self::Redelivered(number),
            _ => Self::Unknown,
        }
    }
}

/// What a data stream consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Datum(&'a [u8]),
    Mark(Mark),
}

impl<'a> Item<'a> {
    #[inline]
    fn new(head: Head, body: &'a [u8]) -> Self {
        if head.is_mark { Self::Mark(Mark::decode(body)) } else { Self::Datum(body) }
    }
}

/// What precedes a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    /// Of the body.
    length: usize,
    /// Of the head itself.
    prefix: usize,
    is_mark: bool,
}

/// The length of the frame that a slice begins with: on the wire, and of its body.
pub(super) fn first_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let Head { length, prefix, .. } = read_prefix(bytes).ok()??;
    (prefix + length <= bytes.len()).then_some((prefix + length, length))
}

/// The lengths of the frames in a slice that holds whole frames only.
pub(super) fn lengths(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (whole, length) = first_length(rest)?;
        rest = &rest[whole..];
        Some((whole, length))
    })
}

/// Bytes that are not frames; nothing after them can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum FrameError {
    #[error("a frame is longer than {MAX_DATUM_BYTES} bytes")]
    TooLong,
    #[error("the stream ended in the middle of a frame")]
    Truncated,
    #[error("a frame was begun and not finished while others waited")]
    Overdue,
}

/// The length prefix of a frame: its bytes, and how many there are.
pub(super) fn prefix(length: usize) -> ([u8; MAX_PREFIX], usize) {
    let mut out = [0; MAX_PREFIX];
    let mut rest = length;
    let mut at = 0;
    while rest >= 0x80 && at < MAX_PREFIX - 1 {
        out[at] = (rest as u8 & 0x7f) | 0x80;
        rest >>= 7;
        at += 1;
    }
    out[at] = rest as u8;
    (out, at + 1)
}

/// What the bytes begin with, if it is complete.
#[inline]
fn read_prefix(bytes: &[u8]) -> Result<Option<Head>, FrameError> {
    match bytes.first() {
        Some(&byte) if byte < 0x80 => {
            Ok(Some(Head { length: usize::from(byte), prefix: 1, is_mark: false }))
        }
        Some(_) => read_long_prefix(bytes),
        None => Ok(None),
    }
}

fn read_long_prefix(bytes: &[u8]) -> Result<Option<Head>, FrameError> {
    let mut length = 0;
    for (at, byte) in bytes.iter().take(MAX_PREFIX).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return match length {
                0..=MAX_DATUM_BYTES => Ok(Some(Head { length, prefix: at + 1, is_mark: false })),
                MARK_LENGTH => Ok(Some(Head { length: MARK_BODY, prefix: at + 1, is_mark: true })),
                _ => Err(FrameError::TooLong),
            };
        }
    }
    if bytes.len() < MAX_PREFIX { Ok(None) } else { Err(FrameError::TooLong) }
}

/// Splits what arrives on a data stream into frames.
#[derive(Debug)]
pub(super) struct Splitter {
    chunks: Vec<Bytes>,
    /// How many of `chunks` hold something, which one is next, and where in it.
    filled: usize,
    current: usize,
    offset: usize,
    /// The beginning of a frame that goes on in the next chunk.
    carry: Vec<u8>,
    /// The frame in `carry` was given out.
    carry_spent: bool,
}

impl Splitter {
    pub(super) fn new() -> Self {
        Self {
            chunks: Vec::new(),
            filled: 0,
            current: 0,
            offset: 0,
            carry: Vec::new(),
            carry_spent: false,
        }
    }

    /// Whether all chunks have been used up, except for the beginning of a frame.
    pub(super) fn is_empty(&self) -> bool {
        self.current == self.filled
            || (self.current + 1 == self.filled && self.offset == self.chunks[self.current].len())
    }

    /// Where the next chunks go; to be called when [`Splitter::next`] has nothing more.
    pub(super) fn room(&mut self) -> &mut [Bytes] {
        debug_assert!(self.is_empty(), "unread chunks would be lost");
        if self.filled == self.chunks.len() {
            let more = (self.filled * 4).clamp(FIRST_CHUNKS, CHUNKS);
            self.chunks.resize(more, Bytes::new());
        }
        &mut self.chunks
    }

    /// So many chunks were put into [`Splitter::room`]; tells how many of them are shorter than
    /// that.
    pub(super) fn filled(&mut self, chunks: usize, short: usize) -> usize {
        self.filled = chunks.min(self.chunks.len());
        self.current = 0;
        self.offset = 0;
        self.chunks[..self.filled].iter().filter(|chunk| chunk.len() < short).count()
    }

    /// The next whole frame; `None` when more must be read first.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Item<'_>>, FrameError> {
        if self.carry_spent {
            self.reuse_carry();
        }
        if self.carry.is_empty() && self.current < self.filled {
            let chunk = &self.chunks[self.current][self.offset..];
            if let Some(head) = read_prefix(chunk)?
                && chunk.len() - head.prefix >= head.length
            {
                let start = self.offset + head.prefix;
                self.offset = start + head.length;
                let body = &self.chunks[self.current][start..start + head.length];
                return Ok(Some(Item::new(head, body)));
            }
        }
        self.next_straddling()
    }

    /// The end of the stream is an error in the middle of a frame.
    pub(super) fn end(&self) -> Result<(), FrameError> {
        let whole = self.carry.is_empty() || self.carry_spent;
        if whole { Ok(()) } else { Err(FrameError::Truncated) }
    }

    /// The length of the body that was begun and of which more must be read, if it is a long one.
    pub(super) fn begun(&self) -> Option<usize> {
        if self.carry.is_empty() || self.carry_spent {
            return None;
        }
        let head = read_prefix(&self.carry).ok()??;
        Some(head.length).filter(|length| *length > CARRY_KEPT_BYTES)
    }

    /// Makes room for the rest of the body that was begun, so that it is not copied as it grows.
    pub(super) fn make_room(&mut self, length: usize) {
        self.carry.reserve_exact((MAX_PREFIX + length).saturating_sub(self.carry.len()));
    }

    /// The next frame when the current chunk does not hold all of it.
    fn next_straddling(&mut self) -> Result<Option<Item<'_>>, FrameError> {
        while self.current < self.filled {
            let chunk = &self.chunks[self.current];
            let rest = &chunk[self.offset..];
            let head = read_prefix(if self.carry.is_empty() { rest } else { &self.carry })?;
            if self.carry.is_empty()
                && let Some(head) = head
                && rest.len() - head.prefix >= head.length
            {
                let start = self.offset + head.prefix;
                self.offset = start + head.length;
                let body = &self.chunks[self.current][start..start + head.length];
                return Ok(Some(Item::new(head, body)));
            }
            let missing = match head {
                Some(head) => (head.prefix + head.length).saturating_sub(self.carry.len()),
                // The prefix itself straddles: its bytes are taken one by one.
                None => 1,
            };
            let taken = missing.min(rest.len());
            self.carry.extend_from_slice(&rest[..taken]);
            self.offset += taken;
            if self.offset == chunk.len() {
                self.chunks[self.current] = Bytes::new();
                self.current += 1;
                self.offset = 0;
            }
            if let Some(head) = read_prefix(&self.carry)?
                && self.carry.len() == head.prefix + head.length
            {
                self.carry_spent = true;
                return Ok(Some(Item::new(head, &self.carry[head.prefix..])));
            }
        }
        Ok(None)
    }

    fn reuse_carry(&mut self) {
        if self.carry_spent {
            self.carry_spent = false;
            if self.carry.capacity() > CARRY_KEPT_BYTES {
                self.carry = Vec::new();
            } else {
                self.carry.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(bodies: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for body in bodies {
            let (bytes, length) = prefix(body.len());
            out.extend_from_slice(&bytes[..length]);
            out.extend_from_slice(body);
        }
        out
    }

    fn split(chunks: &[Vec<u8>]) -> Result<Vec<Vec<u8>>, FrameError> {
        let mut splitter = Splitter::new();
        let mut out = Vec::new();
        let mut chunks = chunks.iter();
        while chunks.len() > 0 {
            let mut filled = 0;
            for slot in splitter.room() {
                let Some(chunk) = chunks.next() else { break };
                *slot = Bytes::from(chunk.clone());
                filled += 1;
            }
            splitter.filled(filled, 0);
            while let Some(item) = splitter.next()? {
                out.push(match item {
                    Item::Datum(frame) => frame.to_vec(),
                    Item::Mark(mark) => format!("{mark:?}").into_bytes(),
                });
            }
        }
        splitter.end()?;
        Ok(out)
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_they_are_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..40),
            cut in 1usize..400,
        ) {
            let chunks: Vec<_> = framed(&bodies).chunks(cut).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(split(&chunks), Ok(bodies));
        }

        #[test]
        fn no_bytes_make_it_panic(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20),
        ) {
            let _ = split(&chunks);
        }

        #[test]
        fn a_prefix_is_read_as_it_was_written(length in 0..=MAX_DATUM_BYTES) {
            let (bytes, used) = prefix(length);
            let head = Head { length, prefix: used, is_mark: false };
            prop_assert_eq!(read_prefix(&bytes[..used]), Ok(Some(head)));
            prop_assert_eq!(read_prefix(&bytes[..used - 1]), Ok(None));
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_anything_is_kept() {
        let (bytes, used) = prefix(MAX_DATUM_BYTES + 1);
        assert_eq!(split(&[bytes[..used].to_vec()]), Err(FrameError::TooLong));
        assert_eq!(split(&[vec![0xff; 9]]), Err(FrameError::TooLong));
    }

    proptest! {
        #[test]
        fn marks_come_out_where_they_went_in(cut in 1usize..20, number: u64) {
            let marks = [Mark::Skipped(number), Mark::Redelivered(number), Mark::Unknown];
            let (mut sent, mut expected) = (Vec::new(), Vec::new());
            for mark in marks {
                sent.extend_from_slice(&mark.encode());
                sent.extend(framed(&[vec![7; 3]]));
                expected.extend([format!("{mark:?}").into_bytes(), vec![7; 3]]);
            }
            let chunks: Vec<_> = sent.chunks(cut).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(split(&chunks), Ok(expected));
        }
    }

    #[test]
    fn the_frames_in_a_slice_can_be_counted() {
        let slice = framed(&[vec![], vec![1; 200], vec![2; 3]]);
        assert_eq!(lengths(&slice).collect::<Vec<_>>(), [(1, 0), (202, 200), (4, 3)]);
    }

    #[test]
    fn an_end_in_the_middle_of_a_frame_is_noticed() {
        assert_eq!(split(&[vec![5, 1, 2]]), Err(FrameError::Truncated));
        assert_eq!(split(&[vec![0x80]]), Err(FrameError::Truncated));
    }
}
