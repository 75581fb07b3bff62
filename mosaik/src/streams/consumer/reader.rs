//! Reading the data of all subscriptions of a consumer: in the task of whoever asks for the next
//! datum, straight from the transport's chunks.
//!
//! There is no queue of datums and no task between the two: what is not read stays with the
//! transport, whose windows hold the producers.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use super::{
    budget::Budget,
    events::Events,
    source::{Source, SourceEnd, TakenSignal},
};
use crate::streams::{
    codec::CodecError,
    frames::{FrameError, Item},
    meter::ConsumerMeter,
    protocol::Place,
    status::Stats,
    waiters::Waiters,
};

/// The sources of one producer, one after the other: what an earlier subscription has brought is
/// read before what its successor brings.
#[derive(Debug)]
struct Lane {
    number: u64,
    sources: VecDeque<Source>,
    /// Where the last source ended, unless all that there was had been received.
    place: Option<Place>,
    /// No more sources come.
    retired: bool,
    wakes: Arc<LaneWaker>,
    waker: Waker,
    /// Something was read since it is this lane's turn.
    read_since_turn: bool,
}

#[derive(Debug)]
pub(super) struct Reader {
    lanes: BTreeMap<u64, Lane>,
    /// The lane that is being read.
    current: Option<Lane>,
    signal: Arc<Signal>,
    events: Arc<Events>,
    meter: Arc<ConsumerMeter>,
    budget: Budget,
    closed: bool,
    next_key: u64,
}

impl Reader {
    pub(super) fn new(events: Arc<Events>, meter: Arc<ConsumerMeter>) -> Self {
        Self {
            events,
            meter,
            budget: Budget::new(),
            lanes: BTreeMap::new(),
            current: None,
            signal: Arc::new(Signal::default()),
            closed: false,
            next_key: 0,
        }
    }

    fn lane(&mut self, number: u64) -> Option<&mut Lane> {
        match &mut self.current {
            Some(lane) if lane.number == number => Some(lane),
            _ => self.lanes.get_mut(&number),
        }
    }

    /// The lane with this number, which may be new.
    fn lane_or_new(&mut self, number: u64) -> &mut Lane {
        match &mut self.current {
            Some(lane) if lane.number == number => lane,
            _ => self.lanes.entry(number).or_insert_with(|| Lane::new(number, &self.signal)),
        }
    }

    /// A source is about to be added to a lane that begins at this place: what is before it is not
    /// missing, what comes after it is, should that source never come.
    pub(super) fn expect(&mut self, number: u64, place: Place) {
        let lane = self.lane_or_new(number);
        if lane.sources.is_empty() {
            lane.place.get_or_insert(place);
        }
    }

    /// Adds a source to a lane.
    pub(super) fn add(&mut self, number: u64, source: Source) {
        let events = self.events.clone();
        let lane = self.lane_or_new(number);
        lane.add(source, &events);
        lane.waker.wake_by_ref();
    }

    /// Drops a lane with all that was not read.
    pub(super) fn cut(&mut self, number: u64) {
        self.lanes.remove(&number);
        self.current.take_if(|lane| lane.number == number);
    }

    /// Drops what a lane has brought and nobody has read: others get it.
    pub(super) fn abandon(&mut self, number: u64) {
        if let Some(lane) = self.lane(number) {
            lane.sources.clear();
        }
    }

    /// Nothing more will be added to a lane: it goes when all has been read.
    pub(super) fn retire(&mut self, number: u64) {
        let Some(lane) = self.lane(number) else { return };
        lane.retired = true;
        if lane.sources.is_empty() {
            self.cut(number);
        }
    }

    /// The place of the next datum that the application gets from a lane.
    pub(super) fn place(&mut self, number: u64) -> Option<Place> {
        self.lane(number)?.place_now()
    }

    /// How far the application has come in the source that tells there, to be acknowledged now.
    pub(super) fn acknowledge(&mut self, number: u64, taken: &Arc<TakenSignal>) -> Option<u64> {
        let source = self.lane(number)?.sources.front_mut()?;
        source.tells(taken).then(|| source.acknowledge())
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
        let waker = lane.waker.clone();
        let mut cx = Context::from_waker(&waker);
        while let Some(source) = lane.sources.front_mut()
            && source.splitter.is_empty()
            && source.has_room(&self.budget, &waker)
            && let Poll::Ready(Some(end)) = source.poll_fill(&mut cx)
        {
            self.meter.count_end(&end);
            lane.end_source(end, &self.events);
        }
        if lane.sources.is_empty() && lane.retired {
            self.cut(number);
        } else {
            // What was read meanwhile is for whoever asks next.
            waker.wake_by_ref();
        }
    }

    /// What is left for frames that are begun.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Ends the sources that keep others waiting with a frame that they do not finish, and have
    /// sent nothing that nobody has asked for.
    pub(super) fn end_overdue(&mut self) {
        for lane in self.lanes.values_mut().chain(&mut self.current) {
            let waker = lane.waker.clone();
            let Some(source) = lane.sources.front_mut() else { continue };
            if !source.is_overdue() || !source.splitter.is_empty() {
                continue;
            }
            let end = match source.poll_fill(&mut Context::from_waker(&waker)) {
                Poll::Pending => Some(SourceEnd::Malformed(FrameError::Overdue)),
                Poll::Ready(end) => end,
            };
            if let Some(end) = end {
                self.meter.count_end(&end);
                lane.end_source(end, &self.events);
            }
            waker.wake_by_ref();
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

    /// The next datum, as `wrap` makes it of the datum, its source, and whether it was redelivered.
    /// When there is none, the waker is woken once there may be; without one, nobody is. The key
    /// tells from which handle it comes.
    #[inline]
    pub(super) fn poll_next<D, T>(
        &mut self,
        waiter: Option<(u64, &Waker)>,
        decode: fn(&[u8]) -> Result<D, CodecError>,
        total: &Stats,
        wrap: impl FnOnce(D, &Source, bool) -> T,
    ) -> Poll<Option<T>> {
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
                self.lay_aside();
                continue;
            };
            let end = match source.splitter.next() {
                Ok(Some(Item::Datum(_))) if source.position.has_next() => {
                    source.pass_over();
                    continue;
                }
                Ok(Some(Item::Datum(frame))) => match decode(frame) {
                    Ok(datum) => {
                        let bytes = frame.len();
                        let redelivered = source.count(bytes);
                        total.count(1, bytes);
                        return Poll::Ready(Some(wrap(datum, source, redelivered)));
                    }
                    Err(error) => SourceEnd::Undecodable(error),
                },
                Ok(Some(Item::Mark(mark))) => {
                    source.heed(mark, &self.events);
                    continue;
                }
                Ok(None) => match self.read_more() {
                    Some(end) => end,
                    None => continue,
                },
                Err(error) => SourceEnd::Malformed(error),
            };
            if let Some(lane) = &mut self.current {
                self.meter.count_end(&end);
                lane.end_source(end, &self.events);
            }
        }
    }

    /// The current lane has nothing at present, or will never have anything again.
    fn lay_aside(&mut self) {
        if let Some(lane) = self.current.take().filter(|lane| !lane.retired) {
            self.lanes.insert(lane.number, lane);
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
        let has_room = source.has_room(&self.budget, &lane.waker);
        let Poll::Ready(end) = (if has_room { source.poll_fill(&mut cx) } else { Poll::Pending })
        else {
            self.lanes.insert(lane.number, lane);
            return None;
        };
        lane.read_since_turn = true;
        self.current = Some(lane);
        end
    }
}

impl Lane {
    fn new(number: u64, signal: &Arc<Signal>) -> Self {
        let wakes =
            Arc::new(LaneWaker { number, queued: AtomicBool::new(false), signal: signal.clone() });
        let waker = Waker::from(wakes.clone());
        Self {
            number,
            sources: VecDeque::new(),
            place: None,
            retired: false,
            wakes,
            waker,
            read_since_turn: false,
        }
    }

    /// The place of the next datum that the application gets.
    fn place_now(&self) -> Option<Place> {
        self.sources.front().map_or(self.place, Source::place)
    }

    fn add(&mut self, source: Source, events: &Events) {
        let resumes = match (self.place_now(), source.place()) {
            (Some(now), Some(from)) => now.epoch == from.epoch && from.next <= now.next,
            _ => false,
        };
        if resumes {
            // What the broken one has brought and nobody has read comes again.
            self.place = self.place_now();
            self.sources.clear();
        }
        self.sources.push_back(source);
        if self.sources.len() == 1 {
            self.follow(events);
        }
    }

    /// The first source has ended: goes on with the next one, if there is one.
    fn end_source(&mut self, end: SourceEnd, events: &Events) {
        let Some(source) = self.sources.pop_front() else { return };
        self.place = if end == SourceEnd::Complete { None } else { source.place() };
        source.end(end);
        self.follow(events);
    }

    /// A source has come to the front.
    fn follow(&mut self, events: &Events) {
        let place = self.place;
        if let Some(source) = self.sources.front_mut() {
            source.follow(place, events);
        }
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
