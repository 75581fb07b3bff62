//! Where handles leave their calls and the group's pump takes them from.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::unanswered::{Batch, Call, Calls, Kind, Resumed, Settled, Told};
use crate::groups::{index::Index, state::SessionId};

/// Calls of this node that may be unanswered at once; more wait until one is.
pub(crate) const MAX_CALLS: usize = 65_536;

pub(crate) type Waiter = oneshot::Sender<Settled>;

/// A call that was taken in: its number, and where the outcome comes.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) id: u64,
    pub(crate) outcome: oneshot::Receiver<Settled>,
}

/// The calls of this node, shared by its handles, the pump that sends them, and the apply task
/// that answers them.
pub(crate) struct Queue {
    calls: Mutex<Calls<Waiter>>,
    /// There is something to send.
    wake: Notify,
    /// There is room again.
    room: Notify,
    closed: AtomicBool,
}

impl Queue {
    pub(crate) fn new() -> Self {
        Self {
            calls: Mutex::default(),
            wake: Notify::new(),
            room: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Calls<Waiter>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a call in; gives it back if there is no room.
    pub(crate) fn submit(
        &self,
        call: Call,
        kind: Kind,
        limit: Duration,
    ) -> Result<Submitted, Call> {
        let (waiter, outcome) = oneshot::channel();
        let until = deadline(limit);
        let mut calls = self.lock();
        if calls.len() >= MAX_CALLS {
            return Err(call);
        }
        if self.closed.load(Ordering::Relaxed) {
            // The waiter is dropped: the group has ended.
            return Ok(Submitted { id: 0, outcome });
        }
        let was_idle = !calls.has_work();
        let id = calls.push(call, kind, waiter, until);
        drop(calls);
        if was_idle {
            self.wake.notify_one();
        }
        Ok(Submitted { id, outcome })
    }

    /// As [`Queue::submit`], once there is room.
    pub(crate) async fn submit_later(
        &self,
        mut call: Call,
        kind: Kind,
        limit: Duration,
    ) -> Submitted {
        loop {
            let room = self.room.notified();
            match self.submit(call, kind, limit) {
                Ok(submitted) => {
                    // There may be room for the next one as well.
                    self.room.notify_one();
                    return submitted;
                }
                Err(back) => call = back,
            }
            room.await;
        }
    }

    /// Waits again for a call that was not answered in time. `None`: it is not known.
    pub(crate) fn resume(&self, id: u64, limit: Duration) -> Option<oneshot::Receiver<Settled>> {
        let (waiter, outcome) = oneshot::channel();
        match self.lock().resume(id, waiter, deadline(limit)) {
            Ok(()) => Some(outcome),
            Err(Resumed::Settled(waiter, settled)) => {
                // The receiver is right here.
                let _ = waiter.send(settled);
                Some(outcome)
            }
            Err(Resumed::Unknown(_)) => None,
        }
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

    pub(crate) fn open(&self, session: SessionId) {
        self.lock().open(session);
        self.wake.notify_one();
    }

    pub(crate) fn close_session(&self) {
        self.lock().close();
    }

    pub(crate) fn appended(&self, first: u64, count: u64, index: Index) {
        let told = self.lock().appended(first, count, index);
        tell(told);
    }

    /// Answers calls: `change` says which, and who is told.
    pub(crate) fn settle(&self, change: impl FnOnce(&mut Calls<Waiter>) -> Told<Waiter>) {
        let mut calls = self.lock();
        let was_full = calls.len() >= MAX_CALLS;
        let told = change(&mut calls);
        let has_work = calls.has_work();
        drop(calls);
        tell(told);
        if was_full {
            self.room.notify_one();
        }
        if has_work {
            self.wake.notify_one();
        }
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
