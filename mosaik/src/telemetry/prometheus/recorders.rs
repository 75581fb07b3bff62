//! Where values are kept between scrapes. For the whole process: a recorder cannot be uninstalled.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;
use tokio::time::Instant;

use crate::telemetry::sampler::TARGET;

/// Series of mosaik that have not been published for so long are dropped: those of streams that
/// this node has ended with.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// How often they are looked for: the recorder itself does so only when it is scraped.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

static RECORDERS: OnceLock<Recorders> = OnceLock::new();
/// How many exporters there are.
static EXPORTING: AtomicUsize = AtomicUsize::new(0);

struct Recorders {
    /// What mosaik itself publishes.
    own: PrometheusRecorder,
    /// What the application publishes, if the process's recorder is ours.
    installed: Option<PrometheusHandle>,
}

fn recorders() -> &'static Recorders {
    RECORDERS.get_or_init(|| {
        let own = forgetful(IDLE_TIMEOUT);
        let application = PrometheusBuilder::new().build_recorder();
        let handle = application.handle();
        // The application may have a recorder of its own, which stays: then only what mosaik
        // publishes is exported here.
        let installed = metrics::set_global_recorder(Gated(application)).is_ok().then_some(handle);
        Recorders { own, installed }
    })
}

/// A recorder that drops series which have not changed for so long.
fn forgetful(after: Duration) -> PrometheusRecorder {
    PrometheusBuilder::new().idle_timeout(MetricKindMask::ALL, Some(after)).build_recorder()
}

/// Publishes to the exporter, if there has been one.
pub(in crate::telemetry) fn publish(publish: &dyn Fn(&dyn Recorder)) {
    if let Some(recorders) = RECORDERS.get() {
        publish(&recorders.own);
    }
}

/// Has the exporter let go of what is idle, now and then. Whoever publishes calls this: there may
/// be nobody who scrapes, and no exporter any more.
pub(in crate::telemetry) fn tidy() {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let Some(recorders) = RECORDERS.get() else { return };
    if is_due(&mut LAST.lock().unwrap_or_else(PoisonError::into_inner), Instant::now()) {
        forget_idle(&recorders.own);
        upkeep();
    }
}

fn is_due(last: &mut Option<Instant>, now: Instant) -> bool {
    let due = last.is_none_or(|last| now.saturating_duration_since(last) >= TIDY_INTERVAL);
    if due {
        *last = Some(now);
    }
    due
}

/// The recorder looks for idle series only while it writes a text.
fn forget_idle(recorder: &PrometheusRecorder) {
    drop(recorder.handle().render());
}

/// Everything in Prometheus' text format.
pub(super) fn render() -> String {
    let recorders = recorders();
    let mut text = recorders.own.handle().render();
    if let Some(installed) = &recorders.installed {
        text.push_str(&installed.render());
    }
    text
}

/// Works off what the application's histograms have gathered since the last time.
pub(super) fn upkeep() {
    if let Some(installed) = &recorders().installed {
        installed.run_upkeep();
    }
}

/// As long as this lives somebody may scrape.
#[derive(Debug)]
pub(super) struct Exporting(());

impl Exporting {
    pub(super) fn begin() -> Self {
        EXPORTING.fetch_add(1, Ordering::Relaxed);
        recorders();
        Self(())
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        EXPORTING.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The recorder for the application: it leaves out what mosaik publishes, which is kept elsewhere.
/// It outlives the last exporter; from then on nobody would work off what histograms gather, so
/// they gather nothing.
struct Gated(PrometheusRecorder);

struct GatedHistogram(Histogram);

impl HistogramFn for GatedHistogram {
    fn record(&self, value: f64) {
        if EXPORTING.load(Ordering::Relaxed) > 0 {
            self.0.record(value);
        }
    }
}

impl Recorder for Gated {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_counter(name, unit, description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_gauge(name, unit, description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.0.describe_histogram(name, unit, description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        match metadata.target() {
            TARGET => Counter::noop(),
            _ => self.0.register_counter(key, metadata),
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        match metadata.target() {
            TARGET => Gauge::noop(),
            _ => self.0.register_gauge(key, metadata),
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        let inner = self.0.register_histogram(key, metadata);
        Histogram::from_arc(Arc::new(GatedHistogram(inner)))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use metrics::Level;

    use super::*;

    #[test]
    fn idle_series_are_dropped_though_nobody_scrapes() {
        // Its clock is the machine's and cannot be set.
        const IDLE: Duration = Duration::from_millis(20);
        let metadata = Metadata::new(TARGET, Level::INFO, None);
        let recorders = [forgetful(IDLE), forgetful(IDLE)];
        let [tidied, untidied] = &recorders;
        for recorder in &recorders {
            recorder.register_counter(&Key::from_static_name("idle"), &metadata).increment(1);
        }
        forget_idle(tidied);
        thread::sleep(IDLE * 2);
        tidied.register_counter(&Key::from_static_name("used"), &metadata).increment(1);
        forget_idle(tidied);
        let text = tidied.handle().render();
        assert!(text.contains("used 1") && !text.contains("idle"), "{text}");
        // What is not tidied is kept until the first scrape, which shows it once more.
        assert!(untidied.handle().render().contains("idle 1"));
    }

    #[test]
    fn it_is_tidied_once_a_minute_and_often_enough_for_what_is_idle() {
        let (mut last, now) = (None, Instant::now());
        assert!(is_due(&mut last, now) && !is_due(&mut last, now + TIDY_INTERVAL / 2));
        assert!(is_due(&mut last, now + TIDY_INTERVAL));
        assert!(!is_due(&mut last, now), "another node's time may be behind");
        assert!(TIDY_INTERVAL * 2 < IDLE_TIMEOUT);
    }
}
