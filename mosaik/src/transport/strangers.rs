//! Who is let in: a bounded number of strangers at a time, and of those who stay.
//!
//! A stranger costs memory for as long as it takes over its handshake and hello. When all places
//! are taken, the one that has taken longest gives way: an honest peer needs milliseconds, so
//! hundreds that say nothing do not keep it out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// For so long a stranger keeps its place, however many wait for it.
const UNDISTURBED: Duration = Duration::from_millis(500);

/// The strangers of one node. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Strangers(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    max: usize,
    next: u64,
    /// In the order in which they came.
    places: BTreeMap<u64, (Instant, CancellationToken)>,
}

/// A stranger's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    strangers: Strangers,
    number: u64,
    gives_way: CancellationToken,
}

impl Strangers {
    pub(super) fn new(max: usize) -> Self {
        Self(Arc::new(Mutex::new(Inner { max, next: 0, places: BTreeMap::new() })))
    }

    /// A place for one more; none if all are taken by strangers who came just now.
    pub(super) fn admit(&self, now: Instant) -> Option<Place> {
        let mut inner = self.lock();
        if inner.places.len() >= inner.max {
            let oldest = inner.places.first_entry()?;
            if oldest.get().0 + UNDISTURBED > now {
                return None;
            }
            oldest.remove().1.cancel();
        }
        let number = inner.next;
        inner.next += 1;
        let gives_way = CancellationToken::new();
        inner.places.insert(number, (now, gives_way.clone()));
        Some(Place { strangers: self.clone(), number, gives_way })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Does what the place is for, unless it has to give way: then `None`.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.gives_way.run_until_cancelled(work).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.strangers.lock().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_takes_longest_gives_way() {
        let strangers = Strangers::new(2);
        let now = Instant::now();
        let slow = strangers.admit(now).expect("there is room");
        let other = strangers.admit(now).expect("there is room");
        assert!(strangers.admit(now).is_none(), "both came just now");
        let later = now + UNDISTURBED;
        let newcomer = strangers.admit(later).expect("one gives way");
        assert_eq!(slow.during(std::future::pending::<()>()).await, None);
        assert_eq!(other.during(async { 7 }).await, Some(7));
        assert_eq!(newcomer.during(async { 7 }).await, Some(7));
        drop(slow);
        assert_eq!(strangers.lock().places.len(), 2);
    }

    #[tokio::test]
    async fn a_place_is_given_back() {
        let strangers = Strangers::new(1);
        let now = Instant::now();
        drop(strangers.admit(now));
        assert!(strangers.admit(now).is_some());
    }
}
