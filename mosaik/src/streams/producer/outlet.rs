//! The writing end of one subscription: shared by the task that owns it and by senders that find
//! it idle.
//!
//! A sender tries, and never waits for, the half: if nothing older is unsent it writes as the task
//! would, and a lone datum crosses no other task. What does not fit stays in the half, and the task
//! goes on with it, so that a cancelled send loses nothing and nothing overtakes.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures::{future::poll_fn, task::AtomicWaker};
use tokio::time::Instant;

use super::{core::Core, ring::CursorId};
use crate::{
    streams::status::Channel,
    transport::{CloseReason, SendStream, StreamError},
};

/// Batches written in one go before others get their turn.
const BATCHES: usize = 8;
/// A sender writes lone datums itself only this long after the last time; those that come faster
/// are gathered by the task meanwhile.
const INLINE_SPACING: Duration = Duration::from_micros(10);
/// With more subscribers than this a sender leaves the writing to their tasks.
const INLINE_OUTLETS: usize = 4;

#[derive(Debug)]
pub(super) struct Outlet {
    cursor: CursorId,
    channel: Arc<Channel>,
    half: Mutex<Half>,
    /// Nothing is unsent, but for what is held back, and the task sleeps. Whoever sets it to false
    /// sees to what comes next.
    idle: AtomicBool,
    task: AtomicWaker,
    /// The subscriber has lost its place in the ring.
    too_slow: AtomicBool,
}

/// Why a subscriber is sent nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Undriven {
    TooSlow,
    Failed(StreamError),
}

#[derive(Debug)]
struct Half {
    stream: SendStream,
    batch: Vec<Bytes>,
    /// How many of `batch` have been written.
    written: usize,
    last_inline: Option<Instant>,
    failed: Option<StreamError>,
}

/// How far writing got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Everything is written that is not held back.
    Drained,
    /// The transport takes no more at present; it wakes who asked.
    Blocked,
    /// There is more, but others must have their turn.
    More,
    Failed,
}

impl Outlet {
    pub(super) fn new(cursor: CursorId, channel: Arc<Channel>, stream: SendStream) -> Self {
        let half = Half { stream, batch: Vec::new(), written: 0, last_inline: None, failed: None };
        Self {
            cursor,
            channel,
            half: Mutex::new(half),
            idle: AtomicBool::new(false),
            task: AtomicWaker::new(),
            too_slow: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Half> {
        self.half.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something to send: writes it here and now, or has the task do it.
    fn offer(&self, core: &Core, inline: bool, enough: bool) {
        // Not idle: somebody is at it, and looks again before leaving.
        if self.idle.swap(false, Ordering::AcqRel) && !(inline && self.write_inline(core, enough)) {
            self.task.wake();
        }
    }

    /// Whether the sender wrote everything itself.
    fn write_inline(&self, core: &Core, enough: bool) -> bool {
        let mut half = match self.half.try_lock() {
            Ok(half) => half,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if !enough {
            let now = Instant::now();
            if half.last_inline.is_some_and(|last| now - last < INLINE_SPACING) {
                return false;
            }
            half.last_inline = Some(now);
        }
        // Nobody is woken when the transport can take more: the task asks again on its own behalf.
        let mut cx = Context::from_waker(Waker::noop());
        let progress = half.write(self, core, false, &mut cx);
        drop(half);
        progress == Progress::Drained && self.fall_idle(core)
    }

    /// Nothing is unsent but what is held back. False if something came meanwhile, which is then the
    /// caller's to send.
    fn fall_idle(&self, core: &Core) -> bool {
        self.idle.store(true, Ordering::Release);
        !(core.has_more(self.cursor) && self.idle.swap(false, Ordering::AcqRel))
    }

    /// Writes whatever comes, for ever; or, once no more can come, until all is written. Fails when
    /// the stream does.
    pub(super) async fn drive(&self, core: &Core, to_the_end: bool) -> Result<(), Undriven> {
        poll_fn(|cx| self.poll_drive(core, to_the_end, cx)).await
    }

    fn poll_drive(
        &self,
        core: &Core,
        to_the_end: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Undriven>> {
        self.task.register(cx.waker());
        loop {
            if self.too_slow.load(Ordering::Acquire) {
                return Poll::Ready(Err(Undriven::TooSlow));
            }
            let mut half = self.lock();
            let progress = half.write(self, core, to_the_end, cx);
            let failed = half.failed.clone();
            drop(half);
            match progress {
                Progress::Failed => {
                    let error = failed.unwrap_or(StreamError::Closed);
                    return Poll::Ready(Err(Undriven::Failed(error)));
                }
                Progress::Blocked => return Poll::Pending,
                Progress::More => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Progress::Drained if to_the_end && core.is_drained(self.cursor) => {
                    return Poll::Ready(Ok(()));
                }
                Progress::Drained if self.fall_idle(core) => {
                    // What others of a group did meanwhile has woken nobody.
                    if to_the_end && core.is_drained(self.cursor) {
                        return Poll::Ready(Ok(()));
                    }
                    return Poll::Pending;
                }
                Progress::Drained => {}
            }
        }
    }

    /// The consumer has acknowledged something: what was held back may go out now.
    pub(super) fn go_on(&self, core: &Core) {
        if core.has_more(self.cursor) {
            self.offer(core, false, false);
        }
    }

    /// The subscriber has lost its place in the ring.
    fn cut(&self) {
        self.too_slow.store(true, Ordering::Release);
        self.task.wake();
    }

    /// Nothing follows: the consumer sees the end after what was written.
    pub(super) fn finish(&self) {
        self.lock().stream.finish();
    }

    pub(super) fn reset(&self, reason: CloseReason) {
        self.lock().stream.reset(reason);
    }

    pub(super) fn cursor(&self) -> CursorId {
        self.cursor
    }
}

impl Half {
    fn write(
        &mut self,
        outlet: &Outlet,
        core: &Core,
        last: bool,
        cx: &mut Context<'_>,
    ) -> Progress {
        if self.failed.is_some() {
            return Progress::Failed;
        }
        for _ in 0..BATCHES {
            if self.written == self.batch.len() {
                self.batch.clear();
                self.written = 0;
                let taken = core.next_batch(outlet.cursor, last, &mut self.batch);
                if taken.frames == 0 {
                    return Progress::Drained;
                }
                // Before the consumer can see them: both ends agree on what was received.
                outlet.channel.stats.count(taken.frames, taken.payload_bytes);
            }
            while self.written < self.batch.len() {
                let mut rest = &mut self.batch[self.written..];
                let before = rest.len();
                match self.stream.poll_write_chunks(cx, &mut rest) {
                    Poll::Ready(Ok(_)) => self.written += before - rest.len(),
                    Poll::Ready(Err(error)) => {
                        self.failed = Some(error);
                        return Progress::Failed;
                    }
                    Poll::Pending => return Progress::Blocked,
                }
            }
        }
        Progress::More
    }
}

/// The outlets of all subscribers; clones share the list.
#[derive(Clone, Debug, Default)]
pub(super) struct Outlets(Arc<Vec<Arc<Outlet>>>);

impl Outlets {
    pub(super) fn add(&mut self, outlet: Arc<Outlet>) {
        Arc::make_mut(&mut self.0).push(outlet);
    }

    pub(super) fn remove(&mut self, cursor: CursorId) {
        Arc::make_mut(&mut self.0).retain(|outlet| outlet.cursor != cursor);
    }

    /// The subscriber has lost its place in the ring.
    pub(super) fn cut(&self, cursor: CursorId) {
        self.0.iter().filter(|outlet| outlet.cursor == cursor).for_each(|outlet| outlet.cut());
    }

    /// There may be something to send: the tasks that sleep look.
    pub(super) fn wake(&self) {
        for outlet in self.0.iter() {
            if outlet.idle.swap(false, Ordering::AcqRel) {
                outlet.task.wake();
            }
        }
    }

    #[inline]
    pub(super) fn any_idle(&self) -> bool {
        self.0.iter().any(|outlet| outlet.idle.load(Ordering::Acquire))
    }

    pub(super) fn offer(&self, core: &Core, enough: bool) {
        let inline = self.0.len() <= INLINE_OUTLETS;
        for outlet in self.0.iter() {
            outlet.offer(core, inline, enough);
        }
    }
}
