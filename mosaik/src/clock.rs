//! The node's view of the date: the system's, or a simulated one.

use std::{
    cell::RefCell,
    fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

/// Tells the date to everything that signs, judges or shows one.
///
/// Intervals and deadlines do not come from here but from `tokio::time`.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The date of the operating system.
    pub(crate) fn system() -> Self {
        Self(Arc::new(Utc::now))
    }

    /// A date that starts at `date` and follows tokio's clock, paused or not.
    pub(crate) fn starting_at(date: DateTime<Utc>) -> Self {
        let start = Instant::now();
        Self(Arc::new(move || date + to_delta(start.elapsed())))
    }

    /// A date that stands still.
    pub(crate) fn fixed(date: DateTime<Utc>) -> Self {
        Self(Arc::new(move || date))
    }

    /// Any other one.
    #[cfg(test)]
    pub(crate) fn from_fn(date: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(date))
    }

    /// This clock, ahead of its date by what `skew` says, in microseconds, or behind it.
    pub(crate) fn skewed(&self, skew: Arc<AtomicI64>) -> Self {
        let right = self.clone();
        Self(Arc::new(move || {
            let date = right.now();
            let skew = TimeDelta::microseconds(skew.load(Relaxed));
            date.checked_add_signed(skew).unwrap_or(date)
        }))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }

    /// Makes this the clock that [`now`] reads on this thread, until the scope is dropped. Scopes
    /// nest; they end in the reverse order of their beginning.
    pub(crate) fn set_for_thread(&self) -> ClockScope {
        let before = OF_THREAD.replace(Some(self.clone()));
        ClockScope { before, of_this_thread: PhantomData }
    }
}

thread_local! {
    static OF_THREAD: RefCell<Option<Clock>> = const { RefCell::new(None) };
}

/// The date for code that is not handed a clock: the one set for this thread, or else the
/// system's.
pub(crate) fn now() -> DateTime<Utc> {
    let clock = OF_THREAD.with_borrow(Clone::clone);
    clock.unwrap_or_else(Clock::system).now()
}

/// While it lives, [`now`] reads a certain clock on this thread.
#[derive(Debug)]
#[must_use = "the clock is read until this is dropped"]
pub(crate) struct ClockScope {
    before: Option<Clock>,
    of_this_thread: PhantomData<*const ()>,
}

impl Drop for ClockScope {
    fn drop(&mut self) {
        OF_THREAD.set(self.before.take());
    }
}

/// A span beyond chrono's range (292 million years) is cut to it.
pub(crate) fn to_delta(span: Duration) -> TimeDelta {
    TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}
