//! What the parts of a node count, as a sampler reads it.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::Metric;
use crate::id::{StreamId, UniqueId};

/// A part of a node that has values to publish, a source. Its counters never go down.
pub(crate) trait Metered: Send + Sync {
    /// Writes down all values of this moment.
    fn sample(&self, sample: &mut Sample);
}

/// What a value stands for: a metric and its labels, but for the network.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Series {
    pub(super) metric: &'static Metric,
    /// The stream or the group that it belongs to, as the metric's labels say.
    pub(super) subject: Option<UniqueId>,
    pub(super) reason: Option<Cow<'static, str>>,
}

/// The values of one source at one moment.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    pub(super) values: Vec<(Series, u64)>,
}

impl Sample {
    pub(crate) fn add(&mut self, metric: &'static Metric, value: u64) {
        self.values.push((Series { metric, subject: None, reason: None }, value));
    }

    /// A value that belongs to one stream or group.
    pub(crate) fn of(&mut self, subject: UniqueId, metric: &'static Metric, value: u64) {
        self.values.push((Series { metric, subject: Some(subject), reason: None }, value));
    }

    /// How often something happened for one reason, which is given as its type names it.
    pub(crate) fn of_reason(
        &mut self,
        stream: Option<StreamId>,
        metric: &'static Metric,
        reason: impl Into<Cow<'static, str>>,
        value: u64,
    ) {
        self.values.push((Series { metric, subject: stream, reason: Some(reason.into()) }, value));
    }
}

/// Counts by reason of what happens rarely. Reasons come from a fixed set in the code, never from
/// the wire.
#[derive(Default)]
pub(crate) struct Reasons(Mutex<BTreeMap<&'static str, u64>>);

impl Reasons {
    pub(crate) fn count(&self, reason: &'static str) {
        *self.lock().entry(reason).or_default() += 1;
    }

    pub(crate) fn sample(
        &self,
        sample: &mut Sample,
        metric: &'static Metric,
        stream: Option<StreamId>,
    ) {
        for (reason, count) in &*self.lock() {
            sample.of_reason(stream, metric, *reason, *count);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Reasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&*self.lock()).finish()
    }
}
