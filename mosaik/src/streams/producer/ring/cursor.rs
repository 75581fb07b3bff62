//! One subscriber's place in the ring: what it has been given, and what it has acknowledged.

use bytes::Bytes;

use super::{Position, Ring, Segment, Taken, Window, small_writes::SmallWrites};
use crate::streams::{
    frames::{self, Mark},
    producer::{OnLag, group::Frame},
};

/// What one subscriber is given at once, in bytes, unless a single frame is longer.
pub(super) const BATCH_BYTES: usize = 256 * 1024;

/// A subscriber's place in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::streams::producer) struct CursorId(u64);

impl CursorId {
    #[cfg(test)]
    pub(in crate::streams::producer) fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Where a subscriber begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::streams::producer) enum Start {
    /// With what is retained for those who come late.
    Retained,
    /// With the frame of this number, or the first one after it that is still there.
    At(u64),
    /// With the next frame; and until it has taken that, nobody waits for it.
    Live,
}

/// How far a subscriber has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::streams::producer) struct Progress {
    /// So many frames have been handed to the transport.
    pub(in crate::streams::producer) written: u64,
    /// So many frames have been acknowledged.
    pub(in crate::streams::producer) acknowledged: u64,
    /// Whether there are frames that the transport has not taken though it could have been given
    /// them, or that hold the producer up.
    pub(in crate::streams::producer) waiting: bool,
    /// Whether some of them were not sent to it yet: the ones that count once the stream has ended.
    pub(in crate::streams::producer) unsent: bool,
}

#[derive(Debug)]
pub(super) struct Cursor {
    id: CursorId,
    /// The number of the next segment to take.
    next: u64,
    taken: Position,
    /// What was taken up to here has been handed to the transport.
    written: Position,
    /// So many frames the application has; the first segment that holds others.
    acknowledged: u64,
    unacknowledged: u64,
    /// What is under way in short packets.
    writes: SmallWrites,
    /// Frames that were dropped before the next one, and of which the subscriber is not told yet.
    skipped: u64,
    /// Its connection broke; it may come back.
    held: bool,
    /// It was cut as too slow: until it has acknowledged a frame beyond this one, nobody waits for
    /// it.
    probation: Option<u64>,
    /// It is a group's: where nobody waits for it, it skips, whatever becomes of others.
    skips: bool,
}

impl Cursor {
    /// The first segment that it may ask for again.
    pub(super) fn keeps_from(&self) -> u64 {
        self.unacknowledged
    }

    /// What comes before this segment is gone.
    pub(super) fn forget_before(&mut self, first: u64) {
        self.unacknowledged = self.unacknowledged.max(first);
    }

    /// The first segment that it has not taken.
    pub(super) fn takes_from(&self) -> u64 {
        self.next
    }

    pub(super) fn taken(&self) -> Position {
        self.taken
    }

    pub(super) fn written(&self) -> Position {
        self.written
    }

    pub(super) fn is_on_probation(&self) -> bool {
        self.probation.is_some()
    }
}

impl Ring {
    /// A new subscriber, and the first frame that it gets.
    pub(in crate::streams::producer) fn join(&mut self, start: Start) -> (CursorId, Position) {
        self.cut_segment();
        let retained = self.head.frames.saturating_sub(self.config.retain as u64);
        let from = match start {
            // What it claims to have had was never sent: it means another stream.
            Start::At(frames) if frames <= self.head.frames => frames,
            Start::At(_) | Start::Retained => retained,
            Start::Live => self.head.frames,
        };
        let (next, at) = self.locate(from);
        let id = self.new_id();
        self.cursors.push(Cursor {
            id,
            next,
            taken: at,
            written: at,
            acknowledged: at.frames,
            unacknowledged: next,
            writes: SmallWrites::default(),
            skipped: 0,
            held: false,
            probation: (start == Start::Live).then_some(at.frames),
            skips: false,
        });
        self.roll();
        (id, at)
    }

    /// A new name for a subscriber.
    pub(in crate::streams::producer) fn new_id(&mut self) -> CursorId {
        self.next_cursor += 1;
        CursorId(self.next_cursor)
    }

    /// A share group's place, which begins with what is retained.
    pub(in crate::streams::producer) fn join_group(&mut self) -> CursorId {
        let (id, _) = self.join(Start::Retained);
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.id == id) {
            cursor.skips = true;
        }
        id
    }

    /// Takes frames one by one, as many as there is room for, and answers for them; says how many
    /// were skipped before them.
    pub(in crate::streams::producer) fn pull(
        &mut self,
        id: CursorId,
        room: Window,
    ) -> (Vec<Frame>, u64) {
        let mut frames = Vec::new();
        let Some(at) = self.find(id).filter(|at| self.cursors[*at].taken != self.head) else {
            return (frames, 0);
        };
        self.cut_segment();
        let cursor = &mut self.cursors[at];
        let skipped = std::mem::take(&mut cursor.skipped);
        let skip = usize::try_from(cursor.next - self.first).unwrap_or(usize::MAX);
        let mut bytes = 0;
        'segments: for segment in self.segments.iter_mut().skip(skip) {
            let (mut rest, _) = rest_of(segment, cursor.taken);
            let before = cursor.taken.frames;
            while let Some((whole, payload_bytes)) = frames::first_length(&rest) {
                if frames.len() >= room.frames || bytes >= room.bytes {
                    mark_delivered(segment, before, cursor.taken.frames);
                    break 'segments;
                }
                let number = cursor.taken.frames;
                let frame = rest.split_to(whole);
                frames.push(Frame { number, bytes: frame, payload_bytes, redelivered: false });
                bytes += whole;
                cursor.taken.frames += 1;
                cursor.taken.bytes += whole as u64;
            }
            mark_delivered(segment, before, cursor.taken.frames);
            cursor.next += 1;
        }
        cursor.written = cursor.taken;
        cursor.acknowledged = cursor.taken.frames;
        cursor.unacknowledged = cursor.next;
        self.roll();
        (frames, skipped)
    }

    /// Whether anybody of the group is connected: no flush waits for one that is not.
    pub(in crate::streams::producer) fn set_held(&mut self, id: CursorId, held: bool) {
        if let Some(at) = self.find(id) {
            self.cursors[at].held = held;
        }
    }

    /// The subscriber is gone for good.
    pub(in crate::streams::producer) fn leave(&mut self, id: CursorId) {
        self.cursors.retain(|cursor| cursor.id != id);
        self.tidy();
    }

    /// The subscriber's connection broke: what it has not acknowledged is kept for it. False if it
    /// has no place any more.
    pub(in crate::streams::producer) fn hold(&mut self, id: CursorId) -> bool {
        self.cut_segment();
        let Some(at) = self.find(id) else { return false };
        let (next, position) = self.locate(self.cursors[at].acknowledged);
        let cursor = &mut self.cursors[at];
        cursor.held = true;
        cursor.writes.forget();
        cursor.next = next;
        cursor.unacknowledged = next;
        (cursor.taken, cursor.written) = (position, position);
        self.roll();
        true
    }

    /// The subscriber's application has taken so many frames of the stream.
    pub(in crate::streams::producer) fn acknowledge(&mut self, id: CursorId, frames: u64) {
        let Some(at) = self.find(id) else { return };
        let cursor = &mut self.cursors[at];
        // Nobody can have what was not sent.
        let acknowledged = frames.clamp(cursor.acknowledged, cursor.taken.frames);
        if acknowledged == cursor.acknowledged {
            return;
        }
        let before = std::mem::replace(&mut cursor.acknowledged, acknowledged);
        cursor.probation.take_if(|from| acknowledged > *from);
        cursor.writes.acknowledged(acknowledged);
        let mut number = cursor.unacknowledged;
        while let Some(segment) = number
            .checked_sub(self.first)
            .and_then(|at| self.segments.get_mut(usize::try_from(at).ok()?))
        {
            mark_delivered(segment, before, acknowledged);
            if segment.end.frames > acknowledged {
                break;
            }
            number += 1;
        }
        self.cursors[at].unacknowledged = number;
        self.roll();
    }

    /// Whether there is anything that the subscriber has not taken, and that is not held back.
    pub(in crate::streams::producer) fn has_more(&self, id: CursorId) -> bool {
        self.find(id).is_some_and(|at| {
            let cursor = &self.cursors[at];
            cursor.taken != self.head && !self.holds_back(cursor)
        })
    }

    /// Whether what the subscriber has not taken is gathered, until there is more of it.
    fn holds_back(&self, cursor: &Cursor) -> bool {
        cursor.writes.hold_back(self.head.bytes - cursor.taken.bytes)
    }

    pub(in crate::streams::producer) fn progress(&self, id: CursorId) -> Option<Progress> {
        let cursor = &self.cursors[self.find(id)?];
        // Whatever it is that it does not do: write, or acknowledge.
        let holds_up = self.was_full
            && self.waits_for(cursor)
            && !self.is_half_free_up_to(self.limit_of(cursor));
        // A little that is gathered and holds nobody up is no reason to cut a consumer that rests.
        let behind = cursor.written != self.head && !self.is_gathered_for(cursor);
        Some(Progress {
            written: cursor.written.frames,
            acknowledged: cursor.acknowledged,
            waiting: holds_up || behind,
            unsent: holds_up || behind,
        })
    }

    /// Whether everything has been handed to the transport but a little that is held back.
    fn is_gathered_for(&self, cursor: &Cursor) -> bool {
        cursor.written == cursor.taken && self.holds_back(cursor)
    }

    /// So many frames have been handed to the transport, or are held back, for every subscriber
    /// that is connected and that the producer waits for.
    pub(in crate::streams::producer) fn written(&self) -> u64 {
        let awaited = self.cursors.iter().filter(|cursor| !cursor.held && self.waits_for(cursor));
        let written = awaited.map(|cursor| match self.is_gathered_for(cursor) {
            true => self.head.frames,
            false => cursor.written.frames,
        });
        written.min().unwrap_or(u64::MAX)
    }

    /// A peer of which nobody believes that it takes anything: until it has taken something new,
    /// nobody waits for it.
    pub(in crate::streams::producer) fn put_on_probation(&mut self, id: CursorId) {
        if let Some(at) = self.find(id) {
            let cursor = &mut self.cursors[at];
            cursor.probation.get_or_insert(cursor.acknowledged);
            self.find_limits();
        }
    }

    /// It takes what it is sent.
    pub(in crate::streams::producer) fn end_probation(&mut self, id: CursorId) {
        if let Some(at) = self.find(id)
            && self.cursors[at].probation.take().is_some()
        {
            self.find_limits();
        }
    }

    /// Whether the producer waits for the subscriber when it is too far behind.
    pub(in crate::streams::producer) fn is_awaited(&self, id: CursorId) -> bool {
        self.find(id).is_some_and(|at| self.waits_for(&self.cursors[at]))
    }

    /// What the subscriber took before has been written; gives it the next batch, if there is one
    /// that is worth it. `last`: nothing follows, and it is worth it however little it is.
    pub(in crate::streams::producer) fn next_batch(
        &mut self,
        id: CursorId,
        last: bool,
        batch: &mut Vec<Bytes>,
    ) -> Taken {
        let Some(at) = self.find(id) else { return Taken::default() };
        let moved = self.cursors[at].written != self.cursors[at].taken;
        self.cursors[at].written = self.cursors[at].taken;
        let cursor = &self.cursors[at];
        let nothing = cursor.taken == self.head || (!last && self.holds_back(cursor));
        let taken = if nothing {
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

    /// Sees to the subscribers for whom nobody waits and whose windows are full: they skip, or are
    /// cut; says who is cut.
    pub(in crate::streams::producer) fn overrun(&mut self) -> Vec<CursorId> {
        self.cut_segment();
        let mut cut = Vec::new();
        for at in (0..self.cursors.len()).rev() {
            let cursor = &self.cursors[at];
            if self.waits_for(cursor) || self.head.is_below(cursor.taken.plus(self.config.window)) {
                continue;
            }
            if self.config.on_lag == OnLag::DropOldest || cursor.skips {
                self.skip(at);
            } else {
                self.dropped += self.head.frames - cursor.taken.frames;
                cut.push(self.cursors.swap_remove(at).id);
            }
        }
        self.tidy();
        cut
    }

    /// Drops the oldest half of what a subscriber has not taken, but never the newest segment.
    fn skip(&mut self, at: usize) {
        let half = |head: u64, window: usize| head.saturating_sub(window as u64 / 2);
        let frames = half(self.head.frames, self.config.window.frames);
        let bytes = half(self.head.bytes, self.config.window.bytes);
        let mut next = self.cursors[at].next;
        let mut to = self.cursors[at].taken;
        while next + 1 < self.end()
            && (to.frames < frames || to.bytes < bytes)
            && let Some(segment) = self.segment(next)
        {
            to = segment.end;
            next += 1;
        }
        let cursor = &mut self.cursors[at];
        let skipped = to.frames - cursor.taken.frames;
        self.dropped += skipped;
        cursor.skipped += skipped;
        (cursor.next, cursor.taken) = (next, to);
        if cursor.held {
            // It has nothing under way that it could still acknowledge.
            cursor.unacknowledged = next;
            cursor.acknowledged = to.frames;
            cursor.written = to;
        }
    }

    fn find(&self, id: CursorId) -> Option<usize> {
        self.cursors.iter().position(|cursor| cursor.id == id)
    }

    fn take(&mut self, at: usize, batch: &mut Vec<Bytes>) -> Taken {
        let cursor = &mut self.cursors[at];
        if cursor.skipped > 0 {
            batch.push(Mark::Skipped(std::mem::take(&mut cursor.skipped)).encode());
        }
        // A cursor never points before the first segment: `roll` keeps what it has not taken.
        let skip = usize::try_from(cursor.next - self.first).unwrap_or(usize::MAX);
        let mut sum = Taken::default();
        let mut bytes = 0;
        for segment in self.segments.iter().skip(skip) {
            if bytes > 0 && bytes + segment.bytes.len() > BATCH_BYTES {
                break;
            }
            let (rest, taken) = rest_of(segment, cursor.taken);
            bytes += rest.len();
            sum.frames += taken.frames;
            sum.payload_bytes += taken.payload_bytes;
            batch.push(rest);
            cursor.next += 1;
            cursor.taken = segment.end;
        }
        cursor.writes.wrote(cursor.taken.frames);
        sum
    }

    /// Where the frame of this number is, or the first one that is there: its segment, and where it
    /// begins.
    fn locate(&self, frames: u64) -> (u64, Position) {
        let at = self.segments.partition_point(|segment| segment.end.frames <= frames);
        let number = self.first + at as u64;
        let Some(segment) = self.segments.get(at) else { return (number, self.head) };
        let mut position = segment.start();
        for (whole, _) in frames::lengths(&segment.bytes) {
            if position.frames >= frames {
                break;
            }
            position.frames += 1;
            position.bytes += whole as u64;
        }
        (number, position)
    }
}

/// What follows in a segment from a position on, which may be inside it.
fn rest_of(segment: &Segment, from: Position) -> (Bytes, Taken) {
    let start = segment.start();
    if from.frames <= start.frames {
        return (segment.bytes.clone(), segment.taken);
    }
    let offset = usize::try_from(from.bytes - start.bytes).unwrap_or(usize::MAX);
    let rest = segment.bytes.slice(offset.min(segment.bytes.len())..);
    let payload_bytes = frames::lengths(&rest).map(|(_, length)| length).sum();
    let frames = usize::try_from(segment.end.frames - from.frames).unwrap_or(usize::MAX);
    (rest, Taken { frames, payload_bytes })
}

/// Somebody has the frames from one number to another.
fn mark_delivered(segment: &mut Segment, from: u64, to: u64) {
    let start = segment.start().frames;
    let within = |frames: u64| {
        let offset = usize::try_from(frames.saturating_sub(start)).unwrap_or(usize::MAX);
        offset.min(segment.delivered.len())
    };
    let range = within(from)..within(to).max(within(from));
    segment.delivered[range].fill(true);
}
