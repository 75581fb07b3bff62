//! The data of one subscription: where they stand in the producer's stream, and how far the
//! application has come.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use tokio::sync::{Notify, oneshot};

use super::{
    budget::{Budget, Room},
    events::Events,
    position::{Missing, Position},
};
use crate::{
    streams::{
        codec::CodecError,
        frames::{FrameError, Mark, Splitter},
        protocol::Place,
        status::Channel,
    },
    transport::{BulkSlot, CloseReason, RecvStream, StreamError},
};

/// So many bytes are acknowledged at once, without waiting for more.
const ACKNOWLEDGED_BYTES: usize = 4 * 1024 * 1024;

/// A chunk of fewer bytes came in a packet that was not full.
const SHORT_CHUNK_BYTES: usize = 1000;
/// So many of them are acknowledged at once: the producer lets only so many be under way.
const ACKNOWLEDGED_CHUNKS: usize = 64;

/// What the application has taken and the producer has not been told of.
#[derive(Debug, Default)]
pub(super) struct TakenSignal {
    some: Notify,
    much: Notify,
}

impl TakenSignal {
    /// Something can be acknowledged.
    pub(super) async fn some(&self) {
        self.some.notified().await;
    }

    /// There is so much that it should not wait.
    pub(super) async fn much(&self) {
        self.much.notified().await;
    }
}

/// Why the data of a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::streams) enum SourceEnd {
    /// The producer has sent everything.
    Complete,
    /// The producer has reset the stream.
    Cut(CloseReason),
    /// The connection is gone.
    Lost(CloseReason),
    /// What came is not a sequence of frames.
    Malformed(FrameError),
    /// A frame is not a datum.
    Undecodable(CodecError),
}

impl SourceEnd {
    /// What the producer did wrong, if it did.
    pub(in crate::streams) fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(FrameError::TooLong) => Some("TooLong"),
            Self::Malformed(FrameError::Truncated) => Some("Truncated"),
            Self::Malformed(FrameError::Overdue) => Some("Overdue"),
            Self::Undecodable(_) => Some("Undecodable"),
            Self::Complete | Self::Cut(_) | Self::Lost(_) => None,
        }
    }
}

/// How far the application had come when the data ended, and why they did.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) end: SourceEnd,
    pub(super) taken: u64,
}

/// The data of one subscription.
#[derive(Debug)]
pub(super) struct Source {
    stream: RecvStream,
    pub(super) splitter: Splitter,
    pub(super) channel: Arc<Channel>,
    ended: Option<oneshot::Sender<Ended>>,
    pub(super) position: Position,
    /// What the application has taken since the last acknowledgement, and from when on that is
    /// worth one.
    unacknowledged: usize,
    acknowledge_at: usize,
    /// Short chunks that were read since then.
    short_chunks: usize,
    taken: Arc<TakenSignal>,
    /// For the frame that has begun, if it is a long one.
    room: Option<Room>,
    /// The peer may open as many streams as there are slots.
    _slot: BulkSlot,
}

/// What a source is made of.
#[derive(Debug)]
pub(super) struct SourceParts {
    pub(super) stream: RecvStream,
    pub(super) slot: BulkSlot,
    pub(super) channel: Arc<Channel>,
    /// Where it begins; none in a share group.
    pub(super) place: Option<Place>,
    pub(super) taken: Arc<TakenSignal>,
}

impl Source {
    /// Also resolves when the data end, whatever the reason.
    pub(super) fn new(parts: SourceParts) -> (Self, oneshot::Receiver<Ended>) {
        let SourceParts { stream, slot, channel, place, taken } = parts;
        let (ended, end) = oneshot::channel();
        let source = Self {
            stream,
            splitter: Splitter::new(),
            channel,
            ended: Some(ended),
            position: Position::new(place),
            unacknowledged: 0,
            acknowledge_at: 1,
            short_chunks: 0,
            taken,
            room: None,
            _slot: slot,
        };
        (source, end)
    }

    /// The place of the next datum for the application.
    pub(super) fn place(&self) -> Option<Place> {
        self.position.place()
    }

    /// It follows on what the application has already: passes over what that has, and tells what
    /// is missing.
    pub(super) fn follow(&mut self, place: Option<Place>, events: &Events) {
        if let Some(Missing(count)) = place.and_then(|place| self.position.follow(place)) {
            events.gap(self.channel.producer, count);
        }
    }

    /// The application takes a datum of so many bytes; true if it was redelivered.
    #[inline]
    pub(super) fn count(&mut self, bytes: usize) -> bool {
        self.channel.stats.count(1, bytes);
        self.room = None;
        self.unacknowledged += bytes + 1;
        if self.unacknowledged >= self.acknowledge_at {
            self.ask_to_acknowledge();
        }
        self.position.take()
    }

    /// So many chunks have been read.
    fn count_chunks(&mut self, chunks: usize) {
        let before = self.short_chunks;
        self.short_chunks += self.splitter.filled(chunks, SHORT_CHUNK_BYTES);
        if before < ACKNOWLEDGED_CHUNKS && self.short_chunks >= ACKNOWLEDGED_CHUNKS {
            self.taken.some.notify_one();
            self.taken.much.notify_one();
        }
    }

    #[cold]
    fn ask_to_acknowledge(&mut self) {
        if self.acknowledge_at < ACKNOWLEDGED_BYTES {
            self.taken.some.notify_one();
            self.acknowledge_at = ACKNOWLEDGED_BYTES;
        } else {
            self.taken.much.notify_one();
            self.acknowledge_at = usize::MAX;
        }
    }

    /// How far the application has come, to be acknowledged now.
    pub(super) fn acknowledge(&mut self) -> u64 {
        self.unacknowledged = 0;
        self.acknowledge_at = 1;
        self.short_chunks = 0;
        self.position.next()
    }

    /// Whether this is the one that tells there.
    pub(super) fn tells(&self, taken: &Arc<TakenSignal>) -> bool {
        Arc::ptr_eq(&self.taken, taken)
    }

    #[cold]
    pub(super) fn heed(&mut self, mark: Mark, events: &Events) {
        if let Some(Missing(count)) = self.position.heed(mark) {
            events.gap(self.channel.producer, count);
        }
    }

    /// A datum has come that the application has.
    pub(super) fn pass_over(&mut self) {
        self.position.pass_over();
        self.room = None;
    }

    /// Whether more may be read: there is room for the frame that has begun. If not, the waker is
    /// woken when there may be.
    pub(super) fn has_room(&mut self, budget: &Budget, waker: &Waker) -> bool {
        let Some(length) = self.splitter.begun() else { return true };
        if self.room.is_none() {
            self.room = budget.reserve(length, waker);
            if self.room.is_some() {
                self.splitter.make_room(length);
            }
        }
        self.room.is_some()
    }

    /// Whether its producer keeps others waiting with a frame that it does not finish.
    pub(super) fn is_overdue(&self) -> bool {
        self.room.as_ref().is_some_and(Room::is_overdue)
    }

    /// Reads more; says if that was the end.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Option<SourceEnd>> {
        self.stream.poll_read_chunks(cx, self.splitter.room()).map(|read| match read {
            Ok(Some(chunks)) => {
                self.count_chunks(chunks);
                None
            }
            Ok(None) => Some(
                self.splitter.end().map_or_else(SourceEnd::Malformed, |()| SourceEnd::Complete),
            ),
            Err(StreamError::Reset(reason)) => Some(SourceEnd::Cut(reason)),
            Err(error) => Some(SourceEnd::Lost(error.reason().unwrap_or(CloseReason::Cancelled))),
        })
    }

    pub(super) fn end(mut self, end: SourceEnd) {
        match &end {
            SourceEnd::Malformed(_) | SourceEnd::Undecodable(_) => {
                self.stream.stop(CloseReason::ProtocolViolation);
            }
            SourceEnd::Complete | SourceEnd::Cut(_) | SourceEnd::Lost(_) => {}
        }
        if let Some(ended) = self.ended.take() {
            // The subscription may have ended earlier.
            let _ = ended.send(Ended { end, taken: self.position.next() });
        }
    }
}
