//! The producer's recent frames, and how far each subscriber has come.
//!
//! Small frames are laid one behind the other in a chunk of memory; what a subscriber takes is a
//! slice of that chunk with many frames in it, shared by all subscribers.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::streams::frames::{self, MAX_PREFIX};

/// What one subscriber is given at once, in bytes, unless a single frame is longer.
const BATCH_BYTES: usize = 256 * 1024;
/// Chunks begin small, so that an idle stream holds little, and double while they fill up.
const FIRST_CHUNK_BYTES: usize = 1024;
const MAX_CHUNK_BYTES: usize = 64 * 1024;

/// How far a subscriber may be behind the newest frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) frames: usize,
    pub(super) bytes: usize,
}

/// A place in the stream: so many frames, and so many bytes on the wire, come before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) frames: u64,
    pub(super) bytes: u64,
}

impl Position {
    const END: Self = Self { frames: u64::MAX, bytes: u64::MAX };
}

/// What a batch consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) frames: usize,
    /// Bytes of the encoded datums, without their framing.
    pub(super) payload_bytes: usize,
}

/// A subscriber's place in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CursorId(u64);

#[derive(Debug)]
struct Cursor {
    id: CursorId,
    /// The number of the next segment to take.
    next: u64,
    taken: Position,
    /// What was taken up to here has been handed to the transport.
    written: Position,
}

/// Frames that stand one behind the other in memory and are taken together.
#[derive(Debug)]
struct Segment {
    bytes: Bytes,
    taken: Taken,
    end: Position,
}

#[derive(Debug)]
pub(super) struct Ring {
    window: Window,
    head: Position,
    /// Where the slowest subscriber's window ends.
    limit: Position,
    /// The chunk that is being filled, and what is in it since the last segment was cut off.
    open: BytesMut,
    open_taken: Taken,
    chunk_bytes: usize,
    segments: VecDeque<Segment>,
    /// The number of the first of `segments`.
    first: u64,
    cursors: Vec<Cursor>,
    next_cursor: u64,
}

impl Ring {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            head: Position::default(),
            limit: Position::END,
            open: BytesMut::new(),
            open_taken: Taken::default(),
            chunk_bytes: FIRST_CHUNK_BYTES,
            segments: VecDeque::new(),
            first: 0,
            cursors: Vec::new(),
            next_cursor: 0,
        }
    }

    /// Where the next frame goes.
    pub(super) fn head(&self) -> Position {
        self.head
    }

    /// Whether every subscriber's window has room for one more frame.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.head.frames < self.limit.frames && self.head.bytes < self.limit.bytes
    }

    /// Whether every subscriber's window is at least half free: the time to go on after it was
    /// full, so that producer and subscriber do not take turns frame by frame.
    pub(super) fn is_half_free(&self) -> bool {
        let half = |used: u64, limit: u64, window: usize| {
            limit == u64::MAX || used + (window as u64).div_ceil(2) <= limit
        };
        half(self.head.frames, self.limit.frames, self.window.frames)
            && half(self.head.bytes, self.limit.bytes, self.window.bytes)
    }

    /// Appends a frame; with nobody subscribed it is gone.
    #[inline]
    pub(super) fn push(&mut self, body: &[u8]) {
        let (prefix, prefix_length) = frames::prefix(body.len());
        let length = prefix_length + body.len();
        if !self.cursors.is_empty() {
            if self.open.capacity() - self.open.len() < length {
                self.new_chunk(length);
            }
            self.open.extend_from_slice(&prefix[..prefix_length]);
            self.open.extend_from_slice(body);
            self.open_taken.frames += 1;
            self.open_taken.payload_bytes += body.len();
        }
        self.advance(length);
    }

    /// Appends a long frame without copying it. `room` bytes precede the body in `frame` and take
    /// the prefix: at least [`MAX_PREFIX`].
    pub(super) fn push_own(&mut self, mut frame: BytesMut, room: usize) {
        debug_assert!(room >= MAX_PREFIX, "the prefix would overwrite the body");
        let payload_bytes = frame.len() - room;
        let (prefix, prefix_length) = frames::prefix(payload_bytes);
        frame[room - prefix_length..room].copy_from_slice(&prefix[..prefix_length]);
        let bytes = frame.freeze().slice(room - prefix_length..);
        self.cut_segment();
        self.advance(bytes.len());
        if !self.cursors.is_empty() {
            let taken = Taken { frames: 1, payload_bytes };
            self.segments.push_back(Segment { bytes, taken, end: self.head });
        }
    }

    /// A new subscriber; it starts with the next frame.
    pub(super) fn join(&mut self) -> CursorId {
        self.cut_segment();
        let id = CursorId(self.next_cursor);
        self.next_cursor += 1;
        let next = self.first + self.segments.len() as u64;
        self.cursors.push(Cursor { id, next, taken: self.head, written: self.head });
        self.roll();
        id
    }

    pub(super) fn leave(&mut self, id: CursorId) {
        self.cursors.retain(|cursor| cursor.id != id);
        if self.cursors.is_empty() {
            self.open = BytesMut::new();
            self.open_taken = Taken::default();
            self.chunk_bytes = FIRST_CHUNK_BYTES;
        }
        self.roll();
    }

    /// Whether there is anything that the subscriber has not taken.
    pub(super) fn has_more(&self, id: CursorId) -> bool {
        let cursor = self.cursors.iter().find(|cursor| cursor.id == id);
        cursor.is_some_and(|cursor| cursor.taken != self.head)
    }

    /// So many frames have been handed to the transport for every subscriber.
    pub(super) fn written(&self) -> u64 {
        self.cursors.iter().map(|cursor| cursor.written.frames).min().unwrap_or(u64::MAX)
    }

    /// What the subscriber took before has been written; gives it the next batch, if there is one.
    pub(super) fn next_batch(&mut self, id: CursorId, batch: &mut Vec<Bytes>) -> Taken {
        let Some(at) = self.cursors.iter().position(|cursor| cursor.id == id) else {
            return Taken::default();
        };
        let moved = self.cursors[at].written != self.cursors[at].taken;
        self.cursors[at].written = self.cursors[at].taken;
        let taken = if self.cursors[at].taken == self.head {
            Taken::default()
        } else {
            self.cut_segment();
            self.take(at, batch)
        };
        if moved || taken.frames > 0 {
            self.roll();
        }
        taken
    }

    fn take(&mut self, at: usize, batch: &mut Vec<Bytes>) -> Taken {
        let cursor = &mut self.cursors[at];
        // A cursor never points before the first segment: `roll` keeps what it has not taken.
        let skip = usize::try_from(cursor.next - self.first).unwrap_or(usize::MAX);
        let mut sum = Taken::default();
        let mut bytes = 0;
        for segment in self.segments.iter().skip(skip) {
            if bytes > 0 && bytes + segment.bytes.len() > BATCH_BYTES {
                break;
            }
            bytes += segment.bytes.len();
            sum.frames += segment.taken.frames;
            sum.payload_bytes += segment.taken.payload_bytes;
            batch.push(segment.bytes.clone());
            cursor.next += 1;
            cursor.taken = segment.end;
        }
        sum
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.head.frames += 1;
        self.head.bytes += bytes as u64;
    }

    fn new_chunk(&mut self, needed: usize) {
        self.cut_segment();
        self.open = BytesMut::with_capacity(self.chunk_bytes.max(needed));
        self.chunk_bytes = (self.chunk_bytes * 2).min(MAX_CHUNK_BYTES);
    }

    /// Makes a segment of what is in the open chunk and goes on behind it.
    fn cut_segment(&mut self) {
        if self.open_taken.frames > 0 {
            let bytes = self.open.split().freeze();
            let taken = std::mem::take(&mut self.open_taken);
            self.segments.push_back(Segment { bytes, taken, end: self.head });
        }
    }

    /// Drops what everybody has taken, and finds the slowest.
    fn roll(&mut self) {
        let end = self.first + self.segments.len() as u64;
        let kept = self.cursors.iter().map(|cursor| cursor.next).min().unwrap_or(end);
        while self.first < kept && self.segments.pop_front().is_some() {
            self.first += 1;
        }
        self.limit = self.cursors.iter().fold(Position::END, |limit, cursor| Position {
            frames: limit.frames.min(cursor.written.frames + self.window.frames as u64),
            bytes: limit.bytes.min(cursor.written.bytes + self.window.bytes as u64),
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(frames: usize) -> Ring {
        Ring::new(Window { frames, bytes: 1 << 20 })
    }

    fn own(body: &[u8]) -> BytesMut {
        let mut frame = BytesMut::zeroed(MAX_PREFIX);
        frame.extend_from_slice(body);
        frame
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let (bytes, length) = frames::prefix(body.len());
        [&bytes[..length], body].concat()
    }

    fn drain(ring: &mut Ring, id: CursorId) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            let mut batch = Vec::new();
            if ring.next_batch(id, &mut batch).frames == 0 {
                return out;
            }
            batch.iter().for_each(|bytes| out.extend_from_slice(bytes));
        }
    }

    #[test]
    fn a_subscriber_starts_with_the_next_frame() {
        let mut ring = ring(8);
        ring.push(b"before");
        let first = ring.join();
        ring.push(b"one");
        let second = ring.join();
        ring.push(b"two");
        assert_eq!(drain(&mut ring, first), [frame(b"one"), frame(b"two")].concat());
        assert_eq!(drain(&mut ring, second), frame(b"two"));
        assert!(ring.written() == 3 && !ring.has_more(first));
    }

    #[test]
    fn small_frames_are_one_slice() {
        let mut ring = ring(100);
        let id = ring.join();
        (0..10).for_each(|_| ring.push(&[7; 64]));
        let mut batch = Vec::new();
        let taken = ring.next_batch(id, &mut batch);
        assert_eq!(taken, Taken { frames: 10, payload_bytes: 640 });
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn the_slowest_subscriber_holds_the_producer() {
        let mut ring = ring(4);
        assert!(ring.has_room());
        let (fast, slow) = (ring.join(), ring.join());
        (0..4).for_each(|i| ring.push(&[i]));
        assert!(!ring.has_room());
        drain(&mut ring, fast);
        assert!(!ring.has_room());
        let mut batch = Vec::new();
        ring.next_batch(slow, &mut batch);
        assert!(!ring.has_room(), "taken is not yet written");
        ring.next_batch(slow, &mut batch);
        assert!(ring.has_room() && ring.is_half_free());
        (0..3).for_each(|i| ring.push(&[i]));
        assert!(ring.has_room() && !ring.is_half_free());
        ring.leave(slow);
        drain(&mut ring, fast);
        assert!(ring.is_half_free());
    }

    #[test]
    fn the_window_is_bounded_in_bytes_too() {
        let mut ring = Ring::new(Window { frames: 100, bytes: 100 });
        let id = ring.join();
        ring.push_own(own(&[0; 5000]), MAX_PREFIX);
        assert!(!ring.has_room());
        drain(&mut ring, id);
        assert!(ring.has_room());
    }

    #[test]
    fn a_batch_is_limited_but_never_empty() {
        let mut ring = ring(100);
        let id = ring.join();
        (0..4).for_each(|_| ring.push_own(own(&[1; BATCH_BYTES]), MAX_PREFIX));
        let mut batch = Vec::new();
        assert_eq!(ring.next_batch(id, &mut batch).frames, 1);
        ring.leave(id);
        assert_eq!(ring.next_batch(id, &mut batch), Taken::default());
    }

    proptest! {
        #[test]
        fn everybody_gets_every_frame_in_order(
            steps in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..2000), any::<bool>(), 0usize..3),
                0..60,
            ),
        ) {
            let mut ring = ring(1 << 20);
            let ids = [ring.join(), ring.join()];
            let (mut seen, mut all) = ([Vec::new(), Vec::new()], Vec::new());
            for (body, long, drained) in steps {
                all.extend(frame(&body));
                if long { ring.push_own(own(&body), MAX_PREFIX) } else { ring.push(&body) }
                if let Some(id) = ids.get(drained) {
                    seen[drained].extend(drain(&mut ring, *id));
                }
            }
            for (seen, id) in seen.iter_mut().zip(ids) {
                seen.extend(drain(&mut ring, id));
                prop_assert_eq!(&*seen, &all);
            }
            prop_assert_eq!(ring.head().bytes, all.len() as u64);
            prop_assert!(ring.segments.is_empty());
        }
    }
}
