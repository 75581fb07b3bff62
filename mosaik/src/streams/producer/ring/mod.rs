//! The producer's recent frames, and how far each subscriber has come.
//!
//! Small frames are laid one behind the other in a chunk of memory; what a subscriber takes is a
//! slice of that chunk with many frames in it, shared by all subscribers. Frames are kept until
//! every subscriber has acknowledged them, so that one whose connection broke can go on where it
//! was, and the last ones for those who come late.

mod cursor;
mod small_writes;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use self::cursor::Cursor;
pub(super) use self::cursor::{CursorId, Progress, Start};
use super::OnLag;
use crate::streams::frames::{self, MAX_PREFIX};

/// Chunks begin small, so that an idle stream holds little, and double while they fill up.
const FIRST_CHUNK_BYTES: usize = 1024;
const MAX_CHUNK_BYTES: usize = 64 * 1024;
/// Frames that were written and not acknowledged are kept up to so many bytes.
const KEPT_BYTES: usize = 32 * 1024 * 1024;
/// Frames for those who come late are kept up to so many bytes.
const RETAINED_BYTES: usize = 16 * 1024 * 1024;
/// With nobody subscribed, how many small frames are retained together.
const RETAINED_TOGETHER: usize = 64;
/// Where frames may be skipped a window consists of at least so many pieces.
const WINDOW_PIECES: usize = 8;

/// How far a subscriber may be behind the newest frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) frames: usize,
    pub(super) bytes: usize,
}

/// What a ring does with its frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct RingConfig {
    pub(super) window: Window,
    pub(super) on_lag: OnLag,
    /// How many frames are kept for those who come late.
    pub(super) retain: usize,
    /// Whether frames that nobody acknowledged are wanted back.
    pub(super) recover: bool,
}

/// A place in the stream: so many frames, and so many bytes on the wire, come before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) frames: u64,
    pub(super) bytes: u64,
}

impl Position {
    const END: Self = Self { frames: u64::MAX, bytes: u64::MAX };

    /// Where a window ends that begins here.
    fn plus(self, window: Window) -> Self {
        Self {
            frames: self.frames.saturating_add(window.frames as u64),
            bytes: self.bytes.saturating_add(window.bytes as u64),
        }
    }

    fn min(self, other: Self) -> Self {
        Self { frames: self.frames.min(other.frames), bytes: self.bytes.min(other.bytes) }
    }

    /// Whether there is a frame's room up to the limit.
    #[inline]
    fn is_below(self, limit: Self) -> bool {
        self.frames < limit.frames && self.bytes < limit.bytes
    }
}

/// What a batch consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) frames: usize,
    /// Bytes of the encoded datums, without their framing.
    pub(super) payload_bytes: usize,
}

/// Frames that stand one behind the other in memory and are taken together.
#[derive(Debug)]
struct Segment {
    bytes: Bytes,
    taken: Taken,
    end: Position,
    /// Which frames somebody has acknowledged; empty unless that matters.
    delivered: Vec<bool>,
}

impl Segment {
    fn start(&self) -> Position {
        Position {
            frames: self.end.frames - self.taken.frames as u64,
            bytes: self.end.bytes - self.bytes.len() as u64,
        }
    }
}

#[derive(Debug)]
pub(super) struct Ring {
    config: RingConfig,
    head: Position,
    /// Where the producer must wait for the slowest subscriber.
    limit: Position,
    /// Where a subscriber for whom nobody waits is too far behind.
    soft_limit: Position,
    /// There was no room, and not every window was half free since: senders may be waiting.
    was_full: bool,
    /// The chunk that is being filled, and what is in it since the last segment was cut off.
    open: BytesMut,
    open_taken: Taken,
    chunk_bytes: usize,
    /// So many frames are a segment at most.
    piece: usize,
    segments: VecDeque<Segment>,
    /// The number of the first of `segments`.
    first: u64,
    cursors: Vec<Cursor>,
    next_cursor: u64,
    /// So many frames were not sent to subscribers that were too far behind.
    dropped: u64,
    /// Bodies of frames that nobody has acknowledged and nobody will.
    undelivered: Vec<Bytes>,
}

impl Ring {
    pub(super) fn new(config: RingConfig) -> Self {
        let piece = match config.on_lag {
            OnLag::DropOldest => (config.window.frames / WINDOW_PIECES).max(1),
            _ => usize::MAX,
        };
        Self {
            config,
            head: Position::default(),
            limit: Position::END,
            soft_limit: Position::END,
            was_full: false,
            open: BytesMut::new(),
            open_taken: Taken::default(),
            chunk_bytes: FIRST_CHUNK_BYTES,
            piece,
            segments: VecDeque::new(),
            first: 0,
            cursors: Vec::new(),
            next_cursor: 0,
            dropped: 0,
            undelivered: Vec::new(),
        }
    }

    /// Where the next frame goes.
    pub(super) fn head(&self) -> Position {
        self.head
    }

    /// How many frames were not sent to subscribers that were too far behind, in all.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether every subscriber that the producer waits for has room for one more frame.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.head.is_below(self.limit)
    }

    /// Whether a subscriber that the producer does not wait for has no room for one more frame.
    #[inline]
    pub(super) fn is_overrun(&self) -> bool {
        !self.head.is_below(self.soft_limit)
    }

    /// Whether every subscriber's window is at least half free: the time to go on after it was
    /// full, so that producer and subscriber do not take turns frame by frame.
    pub(super) fn is_half_free(&self) -> bool {
        self.is_half_free_up_to(self.limit)
    }

    fn is_half_free_up_to(&self, limit: Position) -> bool {
        let half = |used: u64, limit: u64, window: usize| {
            limit == u64::MAX || used + (window as u64).div_ceil(2) <= limit
        };
        half(self.head.frames, limit.frames, self.config.window.frames)
            && half(self.head.bytes, limit.bytes, self.config.window.bytes)
    }

    /// Appends a frame; with nobody subscribed it is kept for those who come late, or gone.
    #[inline]
    pub(super) fn push(&mut self, body: &[u8]) {
        let (prefix, prefix_length) = frames::prefix(body.len());
        let length = prefix_length + body.len();
        if self.keeps() {
            if self.open.capacity() - self.open.len() < length
                || self.open_taken.frames >= self.piece
            {
                self.new_chunk(length);
            }
            self.open.extend_from_slice(&prefix[..prefix_length]);
            self.open.extend_from_slice(body);
            self.open_taken.frames += 1;
            self.open_taken.payload_bytes += body.len();
        } else if self.config.recover {
            self.undelivered.push(Bytes::copy_from_slice(body));
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
        let mut bytes = frame.freeze().slice(room - prefix_length..);
        let length = bytes.len();
        if self.keeps() {
            self.cut_segment();
            self.advance(length);
            self.add_segment(bytes, Taken { frames: 1, payload_bytes });
        } else {
            if self.config.recover {
                self.undelivered.push(bytes.split_off(prefix_length));
            }
            self.advance(length);
        }
    }

    /// What the producer lets go of though nobody has acknowledged it.
    pub(super) fn take_undelivered(&mut self) -> Vec<Bytes> {
        std::mem::take(&mut self.undelivered)
    }

    /// The stream has ended: nobody comes any more.
    pub(super) fn close(&mut self) {
        self.config.retain = 0;
        self.cursors.clear();
        self.tidy();
    }

    fn keeps(&self) -> bool {
        !self.cursors.is_empty() || self.config.retain > 0
    }

    #[inline]
    fn advance(&mut self, bytes: usize) {
        self.head.frames += 1;
        self.head.bytes += bytes as u64;
        self.was_full |= !self.has_room();
        if self.cursors.is_empty()
            && self.config.retain > 0
            && (self.config.recover || self.open_taken.frames.is_multiple_of(RETAINED_TOGETHER))
        {
            self.tidy();
        }
    }

    fn new_chunk(&mut self, needed: usize) {
        self.cut_segment();
        if self.open.capacity() < needed {
            self.open = BytesMut::with_capacity(self.chunk_bytes.max(needed));
            self.chunk_bytes = (self.chunk_bytes * 2).min(MAX_CHUNK_BYTES);
        }
    }

    /// Makes a segment of what is in the open chunk and goes on behind it.
    fn cut_segment(&mut self) {
        if self.open_taken.frames > 0 {
            let bytes = self.open.split().freeze();
            let taken = std::mem::take(&mut self.open_taken);
            self.add_segment(bytes, taken);
        }
    }

    fn add_segment(&mut self, bytes: Bytes, taken: Taken) {
        let delivered = if self.config.recover { vec![false; taken.frames] } else { Vec::new() };
        self.segments.push_back(Segment { bytes, taken, end: self.head, delivered });
    }

    /// The number that the next segment gets.
    fn end(&self) -> u64 {
        self.first + self.segments.len() as u64
    }

    fn segment(&self, number: u64) -> Option<&Segment> {
        let at = number.checked_sub(self.first)?;
        self.segments.get(usize::try_from(at).ok()?)
    }

    /// Drops what nobody needs any more, and gives back the chunk if nobody is there.
    fn tidy(&mut self) {
        if self.cursors.is_empty() {
            self.cut_segment();
            self.open = BytesMut::new();
            self.chunk_bytes = FIRST_CHUNK_BYTES;
        }
        self.roll();
    }

    /// Drops what nobody needs any more, and finds the slowest.
    fn roll(&mut self) {
        let (mut keep, mut owed, mut untaken) = (self.end(), self.end(), self.end());
        for cursor in &self.cursors {
            keep = keep.min(cursor.keeps_from());
            untaken = untaken.min(cursor.takes_from());
            if self.waits_for(cursor) {
                owed = owed.min(cursor.keeps_from());
            }
        }
        while let Some(oldest) = self.segments.front() {
            let start = oldest.start();
            let bytes = self.head.bytes - start.bytes;
            let retained = oldest.end.frames.saturating_add(self.config.retain as u64)
                > self.head.frames
                && bytes <= RETAINED_BYTES as u64;
            // For whom the producer waits it does so before there is too much.
            let forced = self.first < untaken.min(owed) && bytes > KEPT_BYTES as u64;
            if retained || (self.first >= keep && !forced) {
                break;
            }
            self.release_oldest();
        }
        for cursor in &mut self.cursors {
            cursor.forget_before(self.first);
        }
        self.find_limits();
    }

    fn release_oldest(&mut self) {
        let Some(oldest) = self.segments.pop_front() else { return };
        self.first += 1;
        if !oldest.delivered.contains(&false) {
            return;
        }
        let mut bytes = oldest.bytes;
        for delivered in oldest.delivered {
            let Some((whole, length)) = frames::first_length(&bytes) else { return };
            let frame = bytes.split_to(whole);
            if !delivered {
                self.undelivered.push(frame.slice(whole - length..));
            }
        }
    }

    fn find_limits(&mut self) {
        (self.limit, self.soft_limit) = (Position::END, Position::END);
        for cursor in &self.cursors {
            if self.waits_for(cursor) {
                self.limit = self.limit.min(self.limit_of(cursor));
            } else {
                self.soft_limit = self.soft_limit.min(cursor.taken().plus(self.config.window));
            }
        }
        self.was_full = !self.has_room() || (self.was_full && !self.is_half_free());
    }

    /// Whether the producer waits for this subscriber when it is too far behind.
    #[inline]
    fn waits_for(&self, cursor: &Cursor) -> bool {
        self.config.on_lag == OnLag::Block && !cursor.is_on_probation()
    }

    /// Where it does.
    fn limit_of(&self, cursor: &Cursor) -> Position {
        let kept = self.segment(cursor.keeps_from()).map_or(self.head, Segment::start);
        let kept = Position { frames: u64::MAX, ..kept.plus(KEPT) };
        cursor.written().plus(self.config.window).min(kept)
    }
}

const KEPT: Window = Window { frames: 0, bytes: KEPT_BYTES };
