//! Where handles leave their calls and the group's pump takes them from.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, timeout_at},
};

use super::{
    call::{Batch, Call, Kind, Settled},
    unanswered::{Calls, Resumed, Told},
};
use crate::groups::{index::Index, state::SessionId};

/// Calls of this node that may be unanswered at once; more wait until one is.
pub(crate) const MAX_CALLS: usize = 65_536;
/// What their commands may take, in bytes; a call alone may always be made.
pub(crate) const MAX_CALL_BYTES: usize = 256 * 1024 * 1024;

pub(crate) type Waiter = oneshot::Sender<Settled>;

/// A call that was taken in. Whoever drops this does not want to know the outcome.
#[derive(Debug)]
pub(crate) struct Submitted {
    queue: Arc<Queue>,
    id: u64,
    outcome: oneshot::Receiver<Settled>,
    is_told: bool,
}

impl Submitted {
    /// The call's number, and its outcome; `None` if the group has ended.
    ///
    /// After a time-out the caller may come back by the number, or has to say that it will not.
    pub(crate) async fn outcome(mut self) -> Option<(u64, Settled)> {
        let settled = (&mut self.outcome).await;
        self.is_told = true;
        Some((self.id, settled.ok()?))
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        if !self.is_told {
            self.queue.forget(self.id);
        }
    }
}

/// The calls of this node, shared by its handles, the pump that sends them, and the apply task
/// that answers them.
pub(crate) struct Queue {
    calls: Mutex<Calls<Waiter>>,
    /// There is something to send.
    wake: Notify,
    /// There is room again. Whoever waits is served in order.
    room: Notify,
    /// How many wait for room: those that come later wait behind them.
    waiting: AtomicUsize,
    closed: AtomicBool,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            calls: Mutex::default(),
            wake: Notify::new(),
            room: Notify::new(),
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls<Waiter>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call in; gives it back if there is no room, or others wait for room.
    pub(crate) fn submit(
        self: &Arc<Self>,
        call: Call,
        kind: Kind,
        limit: Duration,
    ) -> Result<Submitted, Call> {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            return Err(call);
        }
        self.take_in(call, kind, deadline(limit))
    }

    fn take_in(
        self: &Arc<Self>,
        call: Call,
        kind: Kind,
        until: Instant,
    ) -> Result<Submitted, Call> {
        let (waiter, outcome) = oneshot::channel();
        let mut calls = self.lock();
        let is_full = calls.len() >= MAX_CALLS || calls.bytes() + call.bytes() > MAX_CALL_BYTES;
        if is_full && calls.len() > 0 {
            return Err(call);
        }
        if self.closed.load(Ordering::Relaxed) {
            // The waiter is dropped: the group has ended.
            return Ok(Submitted { queue: self.clone(), id: 0, outcome, is_told: true });
        }
        let was_idle = !calls.has_work();
        let id = calls.push(call, kind, waiter, until);
        drop(calls);
        if was_idle {
            self.wake.notify_one();
        }
        Ok(Submitted { queue: self.clone(), id, outcome, is_told: false })
    }

    /// As [`Queue::submit`], once there is room; the call does not come back if there is none in
    /// time. Cancel safe: the call is not made then.
    pub(crate) async fn submit_later(
        self: &Arc<Self>,
        mut call: Call,
        kind: Kind,
        limit: Duration,
    ) -> Option<Submitted> {
        let until = deadline(limit);
        let _waiting = Waiting::new(self);
        loop {
            let room = self.room.notified();
            match self.take_in(call, kind, until) {
                Ok(submitted) => return Some(submitted),
                Err(back) => call = back,
            }
            timeout_at(until, room).await.ok()?;
        }
    }

    /// Waits again for a call that was not answered in time. `None`: it is not known.
    pub(crate) fn resume(self: &Arc<Self>, id: u64, limit: Duration) -> Option<Submitted> {
        let (waiter, outcome) = oneshot::channel();
        let resumed = self.lock().resume(id, waiter, deadline(limit));
        match resumed {
            Ok(()) => {}
            // The receiver is right here.
            Err(Resumed::Settled(waiter, settled)) => drop(waiter.send(settled)),
            Err(Resumed::Unknown(_)) => return None,
        }
        // There is another deadline now.
        self.wake.notify_one();
        Some(Submitted { queue: self.clone(), id, outcome, is_told: false })
    }

    /// Whether the group has ended here.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(crate) fn forget(&self, id: u64) {
        self.lock().forget(id);
    }

    /// Waits until there may be something to send. Cancel safe.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn take(&self, max_calls: u64, max_bytes: usize) -> Option<Batch> {
        self.lock().take(max_calls, max_bytes)
    }

    pub(crate) fn rewind(&self) {
        self.lock().rewind();
        self.wake.notify_one();
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.lock().session()
    }

    /// Whether calls were sent in the session that are not answered.
    pub(crate) fn is_under_way(&self) -> bool {
        self.lock().is_under_way()
    }

    pub(crate) fn open(&self, session: SessionId) {
        self.lock().open(session);
        self.wake.notify_one();
    }

    pub(crate) fn close_session(&self) {
        self.lock().close();
    }

    /// The leader has appended calls, the first command of them at `index`.
    pub(crate) fn appended(&self, batch: &Batch, index: Index) {
        let mut told = Vec::new();
        self.lock().appended(batch, index, &mut told);
        tell(told);
    }

    /// Answers calls: `change` says which, and who is told.
    pub(crate) fn settle<T>(
        &self,
        change: impl FnOnce(&mut Calls<Waiter>, &mut Told<Waiter>) -> T,
    ) -> T {
        let mut told = Vec::new();
        let mut calls = self.lock();
        let changed = change(&mut calls, &mut told);
        let has_work = calls.has_work();
        let has_room = calls.len() < MAX_CALLS;
        drop(calls);
        tell(told);
        if has_room && self.waiting.load(Ordering::Relaxed) > 0 {
            self.room.notify_one();
        }
        if has_work {
            self.wake.notify_one();
        }
        changed
    }

    /// When the next call's time is over.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.lock().next_expiry()
    }

    /// The group has ended: nobody is told anything any more.
    pub(crate) fn end(&self) {
        let mut calls = self.lock();
        self.closed.store(true, Ordering::Relaxed);
        let waiting = calls.drain();
        drop(calls);
        drop(waiting);
        self.room.notify_waiters();
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("calls", &self.lock().len()).finish_non_exhaustive()
    }
}

/// One that waits for room. The next one is woken when it has got it, or waits no more.
struct Waiting<'a>(&'a Queue);

impl<'a> Waiting<'a> {
    fn new(queue: &'a Queue) -> Self {
        queue.waiting.fetch_add(1, Ordering::Relaxed);
        Self(queue)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::Relaxed) > 1 {
            self.0.room.notify_one();
        }
    }
}

fn tell(told: Told<Waiter>) {
    for (waiter, settled) in told {
        // Whoever has dropped the future does not want to know.
        let _ = waiter.send(settled);
    }
}

/// A limit beyond what a clock holds is none.
fn deadline(limit: Duration) -> Instant {
    let far = Duration::from_secs(86_400 * 365);
    Instant::now() + limit.min(far)
}
