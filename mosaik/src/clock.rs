//! The node's view of the date: the system's, or a simulated one.

use std::{
    fmt,
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
