//! Reading the data of all subscriptions of a consumer: in the task of whoever asks for the next
//! datum, straight from the transport's chunks.
//!
//! There is no queue of datums and no task between the two: what is not read stays with the
//! transport, whose windows hold the producers.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use tokio::sync::oneshot;

use crate::{
    streams::{
        codec::CodecError,
        frames::{FrameError, Splitter},
        status::{Channel, Stats},
        waiters::Waiters,
    },
    transport::{BulkSlot, CloseReason, RecvStream},
};

/// Why the data of a subscription ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SourceEnd {
    /// The producer has sent everything.
    Complete,
    /// The stream was reset, or the connection is gone.
    Lost(CloseReason),
    /// What came is not a sequence of frames.
    Malformed(FrameError),
    /// A frame is not a datum.
    Undecodable(CodecError),
}

/// The data of one subscription.
#[derive(Debug)]
pub(super) struct Source {
    stream: RecvStream,
    splitter: Splitter,
    channel: Arc<Channel>,
    ended: Option<oneshot::Sender<SourceEnd>>,
    /// The peer may open as many streams as there are slots.
    _slot: BulkSlot,
}

impl Source {
    /// Also resolves when the data end, whatever the reason.
    pub(super) fn new(
        stream: RecvStream,
        slot: BulkSlot,
        channel: Arc<Channel>,
    ) -> (Self, oneshot::Receiver<SourceEnd>) {
        let (ended, end) = oneshot::channel();
        let splitter = Splitter::new();
        (Self { stream, splitter, channel, ended: Some(ended), _slot: slot }, end)
    }

    /// Reads more; says if that was the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Option<SourceEnd>> {
        self.stream.poll_read_chunks(cx, self.splitter.room()).map(|read| match read {
            Ok(Some(chunks)) => {
                self.splitter.filled(chunks);
                None
            }
            Ok(None) => Some(
                self.splitter.end().map_or_else(SourceEnd::Malformed, |()| SourceEnd::Complete),
            ),
            Err(error) => Some(SourceEnd::Lost(error.reason().unwrap_or(CloseReason::Cancelled))),
        })
    }

    fn end(mut self, end: SourceEnd) {
        match &end {
            SourceEnd::Malformed(_) | SourceEnd::Undecodable(_) => {
                self.stream.stop(CloseReason::ProtocolViolation);
            }
            SourceEnd::Complete | SourceEnd::Lost(_) => {}
        }
        if let Some(ended) = self.ended.take() {
            // The subscription may have ended earlier.
            let _ = ended.send(end);
        }
    }
}

/// The sources of one producer, one after the other: what an earlier subscription has brought is
/// read before what its successor brings.
#[derive(Debug)]
struct Lane {
    number: u64,
    sources: VecDeque<Source>,
    wakes: Arc<LaneWaker>,
    waker: Waker,
    /// Something was read since it is this lane's turn.
    read_since_turn: bool,
}

#[derive(Debug)]
pub(super) struct Reader {
    lanes: HashMap<u64, Lane>,
    /// The lane that is being read.
    current: Option<Lane>,
    signal: Arc<Signal>,
    closed: bool,
    next_key: u64,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            lanes: HashMap::new(),
            current: None,
            signal: Arc::new(Signal::default()),
            closed: false,
            next_key: 0,
        }
    }

    /// Adds a source to a lane.
    pub(super) fn add(&mut self, number: u64, source: Source) {
        let lane = match &mut self.current {
            Some(lane) if lane.number == number => lane,
            _ => self.lanes.entry(number).or_insert_with(|| Lane::new(number, &self.signal)),
        };
        lane.sources.push_back(source);
        lane.waker.wake_by_ref();
    }

    /// Drops a lane with all that was not read.
    pub(super) fn cut(&mut self, number: u64) {
        self.lanes.remove(&number);
        self.current.take_if(|lane| lane.number == number);
    }

    /// Drops the sources of a lane that have ended and hold nothing that could be read: they are
    /// noticed even if nobody asks for the next datum.
    pub(super) fn settle(&mut self, number: u64) {
        let lane = match &mut self.current {
            Some(lane) if lane.number == number => lane,
            _ => match self.lanes.get_mut(&number) {
                Some(lane) => lane,
                None => return,
            },
        };
        let mut cx = Context::from_waker(&lane.waker);
        while let Some(source) = lane.sources.front_mut()
            && source.splitter.is_empty()
            && let Poll::Ready(Some(end)) = source.poll_fill(&mut cx)
            && let Some(source) = lane.sources.pop_front()
        {
            source.end(end);
        }
        if lane.sources.is_empty() {
            self.cut(number);
        } else {
            // What was read meanwhile is for whoever asks next.
            lane.waker.wake_by_ref();
        }
    }

    /// The handle with this key does not wait any more.
    pub(super) fn forget(&mut self, key: u64) {
        self.signal.lock().waiting.forget(key);
    }

    /// A key for one handle.
    pub(super) fn new_key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }

    /// Nothing more will be added: the stream of datums ends when nothing is left.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.signal.wake_all();
    }

    /// The next datum. When there is none, the waker is woken once there may be; without one,
    /// nobody is. The key tells from which handle it comes.
    pub(super) fn poll_next<D>(
        &mut self,
        waiter: Option<(u64, &Waker)>,
        decode: fn(&[u8]) -> Result<D, CodecError>,
        total: &Stats,
    ) -> Poll<Option<D>> {
        loop {
            let Some(lane) = &mut self.current else {
                match self.signal.next_ready(waiter) {
                    Some(number) => self.current = self.lanes.remove(&number).map(Lane::woken),
                    None if self.closed => return Poll::Ready(None),
                    None => return Poll::Pending,
                }
                continue;
            };
            let Some(source) = lane.sources.front_mut() else {
                self.current = None;
                continue;
            };
            let end = match source.splitter.next() {
                Ok(Some(frame)) => match decode(frame) {
                    Ok(datum) => {
                        let bytes = frame.len();
                        source.channel.stats.count(1, bytes);
                        total.count(1, bytes);
                        return Poll::Ready(Some(datum));
                    }
                    Err(error) => SourceEnd::Undecodable(error),
                },
                Ok(None) => match self.read_more() {
                    Some(end) => end,
                    None => continue,
                },
                Err(error) => SourceEnd::Malformed(error),
            };
            self.end_source(end);
        }
    }

    /// Reads on in the current lane, or lays it aside: when others wait, or when it has nothing.
    fn read_more(&mut self) -> Option<SourceEnd> {
        let mut lane = self.current.take()?;
        if self.signal.has_ready() && lane.read_since_turn {
            lane.waker.wake_by_ref();
            self.lanes.insert(lane.number, lane);
            return None;
        }
        let source = lane.sources.front_mut()?;
        let mut cx = Context::from_waker(&lane.waker);
        let Poll::Ready(end) = source.poll_fill(&mut cx) else {
            self.lanes.insert(lane.number, lane);
            return None;
        };
        lane.read_since_turn = true;
        self.current = Some(lane);
        end
    }

    /// The first source of the current lane has ended: goes on with the next one, if there is one.
    fn end_source(&mut self, end: SourceEnd) {
        if let Some(source) = self.current.as_mut().and_then(|lane| lane.sources.pop_front()) {
            source.end(end);
        }
    }
}

impl Lane {
    fn new(number: u64, signal: &Arc<Signal>) -> Self {
        let wakes =
            Arc::new(LaneWaker { number, queued: AtomicBool::new(false), signal: signal.clone() });
        let waker = Waker::from(wakes.clone());
        Self { number, sources: VecDeque::new(), wakes, waker, read_since_turn: false }
    }

    /// It is this lane's turn: from now on it can be queued again.
    fn woken(mut self) -> Self {
        self.wakes.queued.store(false, Ordering::Release);
        self.read_since_turn = false;
        self
    }
}

/// Which lanes may have something, and who waits for that.
#[derive(Debug, Default)]
struct Signal(Mutex<Pending>);

#[derive(Debug, Default)]
struct Pending {
    ready: VecDeque<u64>,
    waiting: Waiters,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_ready(&self, waiter: Option<(u64, &Waker)>) -> Option<u64> {
        let mut pending = self.lock();
        let ready = pending.ready.pop_front();
        if let (None, Some((key, waker))) = (ready, waiter) {
            pending.waiting.register(key, waker);
        }
        ready
    }

    fn has_ready(&self) -> bool {
        !self.lock().ready.is_empty()
    }

    /// All who wait look again: they are clones of one consumer, and any of them may have lost
    /// interest.
    fn wake_all(&self) {
        let woken = self.lock().waiting.take();
        woken.wake();
    }
}

/// Puts its lane into the queue when the transport has something for it.
#[derive(Debug)]
struct LaneWaker {
    number: u64,
    queued: AtomicBool,
    signal: Arc<Signal>,
}

impl Wake for LaneWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.signal.lock().ready.push_back(self.number);
            self.signal.wake_all();
        }
    }
}
