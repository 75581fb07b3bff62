//! Where values are kept between scrapes. For the whole process: a recorder cannot be uninstalled.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;

use crate::telemetry::sampler::TARGET;

/// Series of mosaik that have not been published for so long are dropped: those of streams that
/// this node has ended with.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

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
        let own = PrometheusBuilder::new()
            .idle_timeout(MetricKindMask::ALL, Some(IDLE_TIMEOUT))
            .build_recorder();
        let application = PrometheusBuilder::new().build_recorder();
        let handle = application.handle();
        // The application may have a recorder of its own, which stays: then only what mosaik
        // publishes is exported here.
        let installed = metrics::set_global_recorder(Gated(application)).is_ok().then_some(handle);
        Recorders { own, installed }
    })
}

/// Publishes to the exporter, if there has been one.
pub(in crate::telemetry) fn publish(publish: &dyn Fn(&dyn Recorder)) {
    if let Some(recorders) = RECORDERS.get() {
        publish(&recorders.own);
    }
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
