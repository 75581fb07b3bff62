//! Streams that the other end has opened and nobody has accepted yet.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::path::Path;

/// A queue with the times at which its items arrive, which are in order.
#[derive(Debug)]
pub(super) struct Arrivals<T> {
    items: Mutex<VecDeque<(Instant, T)>>,
    changed: Notify,
}

impl<T> Arrivals<T> {
    pub(super) fn new() -> Self {
        Self { items: Mutex::default(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Instant, T)>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, at: Instant, item: T) {
        let mut items = self.lock();
        // As in QUIC, a stream that arrives opens those that were opened before it.
        items.iter_mut().rev().take_while(|(before, _)| *before > at).for_each(|(before, _)| {
            *before = at;
        });
        items.push_back((at, item));
        drop(items);
        self.changed.notify_one();
    }

    /// The next item, once it has come over `path`; for one caller at a time. Cancel safe: an
    /// item is taken only when it is returned.
    pub(super) async fn next(&self, path: &Mutex<Path>) -> T {
        loop {
            let next = {
                let mut items = self.lock();
                let path = path.lock().unwrap_or_else(PoisonError::into_inner);
                let at = items.front().map(|(at, _)| *at);
                match at {
                    Some(at) if path.is_through(at, Instant::now()) => {
                        if let Some((_, item)) = items.pop_front() {
                            return item;
                        }
                        None
                    }
                    at => at.filter(|at| !path.holds(*at)),
                }
            };
            match next {
                None => self.changed.notified().await,
                Some(at) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    /// What would have arrived after `since` arrives `again` at the earliest.
    pub(super) fn delay(&self, since: Instant, again: Instant) {
        self.lock().iter_mut().filter(|(at, _)| *at >= since).for_each(|(at, _)| {
            *at = again.max(*at);
        });
        self.changed.notify_one();
    }

    /// Somebody is to look again.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// What arrives later than `limit` never does.
    pub(super) fn lose_after(&self, limit: Instant) -> Vec<T> {
        let mut items = self.lock();
        let kept = items.partition_point(|(at, _)| *at <= limit);
        items.split_off(kept).into_iter().map(|(_, item)| item).collect()
    }

    /// Takes everything out.
    pub(super) fn drain(&self) -> VecDeque<(Instant, T)> {
        std::mem::take(&mut *self.lock())
    }
}
