//! How much the frames may take that producers have begun and not finished: what one holds, others
//! wait for.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::Core;
use crate::streams::frames::MAX_DATUM_BYTES;

/// Bytes of begun frames that one consumer holds: room for two of the largest.
const BEGUN_BYTES: usize = 2 * MAX_DATUM_BYTES;
/// So long a frame may take that others wait for.
const BEGUN_FOR: Duration = Duration::from_secs(60);
/// How often it is looked who takes longer, while somebody waits.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What is left for frames that are begun. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Somebody has begun to wait.
    waited_for: Notify,
}

#[derive(Debug)]
struct Inner {
    left: usize,
    waiting: Vec<Waker>,
}

/// Room for one frame, given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    budget: Budget,
    bytes: usize,
    since: Instant,
}

impl Budget {
    pub(super) fn new() -> Self {
        let inner = Mutex::new(Inner { left: BEGUN_BYTES, waiting: Vec::new() });
        Self(Arc::new(Shared { inner, waited_for: Notify::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for a frame of so many bytes; if there is none, the waker is woken when there may be.
    pub(super) fn reserve(&self, bytes: usize, waker: &Waker) -> Option<Room> {
        let mut inner = self.lock();
        match inner.left.checked_sub(bytes) {
            Some(left) => {
                inner.left = left;
                Some(Room { budget: self.clone(), bytes, since: Instant::now() })
            }
            None => {
                if !inner.waiting.iter().any(|other| other.will_wake(waker)) {
                    inner.waiting.push(waker.clone());
                }
                self.0.waited_for.notify_one();
                None
            }
        }
    }

    pub(super) fn is_waited_for(&self) -> bool {
        !self.lock().waiting.is_empty()
    }
}

impl Room {
    /// Its producer has had the time that it may take.
    pub(super) fn is_overdue(&self) -> bool {
        self.since.elapsed() >= BEGUN_FOR
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let waiting = {
            let mut inner = self.budget.lock();
            inner.left += self.bytes;
            std::mem::take(&mut inner.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Ends the data of producers that do not finish what others wait for; for ever.
pub(super) async fn end_overdue(core: &Core) {
    let budget = core.reader().budget().clone();
    loop {
        budget.0.waited_for.notified().await;
        while budget.is_waited_for() {
            sleep(LOOK_INTERVAL).await;
            core.reader().end_overdue();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_given_back_is_there_for_those_who_wait() {
        let budget = Budget::new();
        let waker = Waker::noop();
        let first = budget.reserve(MAX_DATUM_BYTES, waker).expect("there is room");
        let second = budget.reserve(MAX_DATUM_BYTES, waker).expect("there is room");
        assert!(!budget.is_waited_for());
        assert!(budget.reserve(1, waker).is_none());
        assert!(budget.is_waited_for());
        assert!(!second.is_overdue());
        tokio::time::advance(BEGUN_FOR).await;
        assert!(second.is_overdue());
        drop(first);
        assert!(!budget.is_waited_for());
        assert!(budget.reserve(MAX_DATUM_BYTES, waker).is_some());
    }
}
