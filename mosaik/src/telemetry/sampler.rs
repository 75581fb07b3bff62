//! The task that publishes what a node's parts count.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use metrics::{Key, Label, Level, Metadata, Recorder, SharedString};
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

use super::{
    ALL, Kind,
    sample::{Metered, Sample, Series},
};
use crate::{fmt::ShortFmtExt, id::NetworkId};

/// How often values are published.
const INTERVAL: Duration = Duration::from_secs(1);
/// At every so many rounds all values are published, in between those that changed: a recorder
/// that was installed late sees all of them after this.
const ROUNDS_TO_ALL: u64 = 10;

/// By this a recorder can tell what mosaik publishes.
pub(super) const TARGET: &str = "mosaik";

static METADATA: Metadata<'static> = Metadata::new(TARGET, Level::INFO, Some("mosaik"));

/// What the process shows of each gauge: the sum over its nodes, since nodes of one network have
/// the same labels.
static GAUGES: LazyLock<Mutex<HashMap<Key, Total>>> = LazyLock::new(Mutex::default);

#[derive(Debug, Default)]
struct Total {
    value: u64,
    /// How many sources are part of it.
    sources: usize,
}

/// Where parts that come and go make themselves known.
#[derive(Clone)]
pub(crate) struct Meters(mpsc::UnboundedSender<Arc<dyn Metered>>);

impl Meters {
    /// Has a part sampled for as long as somebody else holds it, and one last time after that.
    /// Unbounded, but drained every second.
    pub(crate) fn add(&self, source: Arc<dyn Metered>) {
        // Without a sampler, or when it has ended, nobody asks.
        let _ = self.0.send(source);
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meters")
    }
}

/// Reads a node's sources and publishes what they hold.
pub(crate) struct Sampler {
    labels: Vec<Label>,
    added: mpsc::UnboundedReceiver<Arc<dyn Metered>>,
    sampled: Vec<Sampled>,
    rounds: u64,
}

/// A source, and what was published of it.
struct Sampled {
    source: Arc<dyn Metered>,
    /// Sampled as long as the node lives, whoever else holds it.
    is_permanent: bool,
    /// In the order in which the source gives its values: that seldom changes.
    published: Vec<Published>,
}

/// There are several for each subscription: keys are made when they are needed.
struct Published {
    series: Series,
    value: u64,
    round: u64,
}

impl Sampler {
    /// A sampler that has no sources yet.
    pub(crate) fn new(network: &NetworkId) -> (Self, Meters) {
        let (sender, added) = mpsc::unbounded_channel();
        let network = Arc::<str>::from(network_label(network));
        let labels = vec![Label::new("network", SharedString::from_shared(network))];
        (Self { labels, added, sampled: Vec::new(), rounds: 0 }, Meters(sender))
    }

    /// Adds a source for as long as the node lives.
    pub(crate) fn add(&mut self, source: Arc<dyn Metered>) {
        self.sampled.push(Sampled { source, is_permanent: true, published: Vec::new() });
    }

    /// Publishes until it is dropped; then once more. One that never ran publishes nothing.
    pub(crate) async fn run(mut self) {
        let mut rounds = interval(INTERVAL);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            self.round();
        }
    }

    /// Reads every source once and publishes what changed; sources that nobody else holds any more
    /// are forgotten.
    pub(super) fn round(&mut self) {
        let whole = self.rounds.is_multiple_of(ROUNDS_TO_ALL);
        self.rounds += 1;
        if whole {
            to_recorders(&|recorder| ALL.iter().for_each(|metric| metric.describe(recorder)));
        }
        #[cfg(feature = "prometheus")]
        super::prometheus::tidy();
        while let Ok(source) = self.added.try_recv() {
            self.sampled.push(Sampled { source, is_permanent: false, published: Vec::new() });
        }
        let (labels, round) = (&self.labels, self.rounds);
        self.sampled.retain_mut(|sampled| {
            // Looked at first: what the part counts before it is let go is sampled yet.
            let ended = !sampled.is_permanent && Arc::strong_count(&sampled.source) == 1;
            sampled.publish(labels, round, whole);
            if ended {
                sampled.retire(labels, |_| true);
            }
            !ended
        });
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        // That of a simulated node never runs.
        if self.rounds == 0 {
            return;
        }
        self.round();
        let labels = &self.labels;
        self.sampled.iter_mut().for_each(|sampled| sampled.retire(labels, |_| true));
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampler").field("labels", &self.labels).finish_non_exhaustive()
    }
}

impl Sampled {
    fn publish(&mut self, labels: &[Label], round: u64, whole: bool) {
        let mut sample = Sample::default();
        self.source.sample(&mut sample);
        let more = sample.values.len().saturating_sub(self.published.len());
        self.published.reserve_exact(more);
        for (at, (series, value)) in sample.values.into_iter().enumerate() {
            let is_same = |published: &Published| published.series == series;
            let known = match self.published.get(at) {
                Some(published) if is_same(published) => Some(at),
                _ => self.published.iter().position(is_same),
            };
            let is_new = known.is_none();
            let at = known.unwrap_or(self.published.len());
            if is_new {
                self.published.push(Published { series, value: 0, round });
            }
            let published = &mut self.published[at];
            published.round = round;
            if whole || is_new || published.value != value {
                published.publish(labels, value, is_new);
            }
        }
        self.retire(labels, |published| published.round != round);
    }

    /// Takes back what was published of some series: their gauges. Counters stay as they are.
    fn retire(&mut self, labels: &[Label], is_gone: impl Fn(&Published) -> bool) {
        for gone in self.published.extract_if(.., |published| is_gone(published)) {
            if gone.series.metric.kind == Kind::Gauge {
                take_from_total(&key(labels, &gone.series), gone.value);
            }
        }
    }
}

impl Published {
    fn publish(&mut self, labels: &[Label], value: u64, is_new: bool) {
        let key = key(labels, &self.series);
        match self.series.metric.kind {
            Kind::Counter => {
                let more = value.saturating_sub(self.value);
                to_recorders(&|to| to.register_counter(&key, &METADATA).increment(more));
            }
            Kind::Gauge => {
                let mut gauges = GAUGES.lock().unwrap_or_else(PoisonError::into_inner);
                let total = gauges.entry(key.clone()).or_default();
                total.sources += usize::from(is_new);
                total.value = total.value.saturating_sub(self.value) + value;
                set_gauge(&key, total.value);
            }
        }
        self.value = value;
    }
}

fn take_from_total(key: &Key, value: u64) {
    let mut gauges = GAUGES.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(total) = gauges.get_mut(key) else { return };
    total.sources -= 1;
    total.value = total.value.saturating_sub(value);
    set_gauge(key, total.value);
    if total.sources == 0 {
        gauges.remove(key);
    }
}

#[expect(clippy::cast_precision_loss, reason = "what is counted here stays below 2^53")]
fn set_gauge(key: &Key, value: u64) {
    to_recorders(&|to| to.register_gauge(key, &METADATA).set(value as f64));
}

/// The recorder that the process has installed, and the exporter's own.
fn to_recorders(publish: &dyn Fn(&dyn Recorder)) {
    #[cfg(feature = "prometheus")]
    super::prometheus::publish(publish);
    metrics::with_recorder(publish);
}

/// How a network is named in labels.
pub(super) fn network_label(network: &NetworkId) -> String {
    network.short().to_string()
}

fn key(labels: &[Label], series: &Series) -> Key {
    let mut labels = labels.to_vec();
    let metric = series.metric;
    let names = metric.labels.names();
    if let Some(subject) = &series.subject {
        labels.push(Label::new(names[1], subject.short().to_string()));
    }
    if let Some(reason) = &series.reason {
        labels.push(Label::new("reason", snake_case(reason)));
    }
    debug_assert!(labels.iter().map(Label::key).eq(names.iter().copied()), "{metric:?}");
    Key::from_parts(metric.name, labels)
}

/// `OwnId` as `own_id`.
fn snake_case(name: &str) -> SharedString {
    let mut snake = String::with_capacity(name.len() + 2);
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake.into()
}
