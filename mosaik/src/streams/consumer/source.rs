//! The data of one subscription: where they stand in the producer's stream, and how far the
//! application has come.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::{Notify, oneshot};

use super::events::Events;
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
pub(super) enum SourceEnd {
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
    /// Which run of the producer it is from; none in a share group, where places mean nothing.
    epoch: Option<u64>,
    /// The number of the next datum for the application; in a share group, how many it was given.
    next: u64,
    /// So many datums are passed over: the application has them from an earlier subscription.
    pub(super) skip: u64,
    /// So many datums were given to another member of the share group before.
    redelivered: u64,
    /// What the application has taken since the last acknowledgement, and from when on that is
    /// worth one.
    unacknowledged: usize,
    acknowledge_at: usize,
    /// Short chunks that were read since then.
    short_chunks: usize,
    taken: Arc<TakenSignal>,
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
            epoch: place.map(|place| place.epoch),
            next: place.map_or(0, |place| place.next),
            skip: 0,
            redelivered: 0,
            unacknowledged: 0,
            acknowledge_at: 1,
            short_chunks: 0,
            taken,
            _slot: slot,
        };
        (source, end)
    }

    /// The place of the next datum for the application.
    pub(super) fn place(&self) -> Option<Place> {
        self.epoch.map(|epoch| Place { epoch, next: self.next })
    }

    /// It follows on what the application has already: passes over what that has, and tells what
    /// is missing.
    pub(super) fn follow(&mut self, place: Option<Place>, events: &Events) {
        let (Some(place), Some(epoch)) = (place, self.epoch) else { return };
        let producer = self.channel.producer;
        if place.epoch != epoch {
            events.gap(producer, None);
        } else if self.next > place.next {
            events.gap(producer, Some(self.next - place.next));
        } else {
            self.skip = place.next - self.next;
            self.next = place.next;
        }
    }

    /// The application takes a datum of so many bytes; true if it was redelivered.
    #[inline]
    pub(super) fn count(&mut self, bytes: usize) -> bool {
        self.channel.stats.count(1, bytes);
        self.next += 1;
        self.unacknowledged += bytes + 1;
        if self.unacknowledged >= self.acknowledge_at {
            self.ask_to_acknowledge();
        }
        let redelivered = self.redelivered > 0;
        self.redelivered -= u64::from(redelivered);
        redelivered
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
        self.next
    }

    /// Whether this is the one that tells there.
    pub(super) fn tells(&self, taken: &Arc<TakenSignal>) -> bool {
        Arc::ptr_eq(&self.taken, taken)
    }

    #[cold]
    pub(super) fn heed(&mut self, mark: Mark, events: &Events) {
        match mark {
            Mark::Skipped(count) => {
                let known = count.min(self.skip);
                self.skip -= known;
                let missed = count - known;
                if self.epoch.is_some() {
                    self.next = self.next.saturating_add(missed);
                }
                if missed > 0 {
                    events.gap(self.channel.producer, Some(missed));
                }
            }
            Mark::Redelivered(count) => self.redelivered = count,
            Mark::Unknown => {}
        }
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
            let _ = ended.send(Ended { end, taken: self.next });
        }
    }
}
