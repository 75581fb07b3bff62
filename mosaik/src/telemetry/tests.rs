use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit, set_default_local_recorder, with_local_recorder,
};
use tokio::time::{sleep, timeout};

use super::*;
use crate::{
    Network, discovery,
    id::{NetworkId, StreamId},
};

const INTERVAL_OF_LOOKS: Duration = Duration::from_millis(50);

/// Keeps what is published by name and labels.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, u64>>>);

struct Cell(Kept, String);

impl Kept {
    fn at(&self, series: &str) -> Option<u64> {
        self.0.lock().unwrap().get(series).copied()
    }

    fn cell(&self, key: &Key) -> Arc<Cell> {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        Arc::new(Cell(self.clone(), key.name().to_owned() + &labels.collect::<String>()))
    }
}

impl CounterFn for Cell {
    fn increment(&self, more: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += more;
    }

    fn absolute(&self, _: u64) {
        panic!("deltas only");
    }
}

impl GaugeFn for Cell {
    fn increment(&self, _: f64) {
        panic!("totals only");
    }

    fn decrement(&self, _: f64) {
        panic!("totals only");
    }

    fn set(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value as u64);
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("there are no histograms");
    }
}

/// A stream's end that has sent so many datums to one consumer.
#[derive(Default)]
struct End {
    stream: Option<StreamId>,
    sent: AtomicU64,
    reasons: Reasons,
}

impl End {
    fn of(stream: &StreamId, sent: u64) -> Arc<Self> {
        let end = Self { stream: Some(*stream), ..Self::default() };
        end.sent.store(sent, Ordering::Relaxed);
        Arc::new(end)
    }
}

impl Metered for End {
    fn sample(&self, sample: &mut Sample) {
        let stream = self.stream.unwrap();
        sample.of(stream, &PRODUCER_ITEMS_SENT, self.sent.load(Ordering::Relaxed));
        sample.of(stream, &PRODUCER_CONSUMERS, 1);
        self.reasons.sample(sample, &PRODUCER_REJECTED, Some(stream));
    }
}

fn id() -> StreamId {
    StreamId::from_bytes([0xab; 32])
}

/// A series of the stream [`id`] in a network, as [`Kept`] names it.
fn series(metric: &Metric, network: &NetworkId) -> String {
    let network = sampler::network_label(network);
    format!("{} network={network} stream=ababababab", metric.name)
}

#[test]
fn values_are_published_as_they_change_and_ends_leave_no_trace_in_gauges() {
    let (kept, network) = (Kept::default(), NetworkId::random());
    with_local_recorder(&kept, || {
        let (mut sampler, meters) = Sampler::new(&network);
        let [first, second] = [End::of(&id(), 5), End::of(&id(), 1)];
        meters.add(first.clone());
        meters.add(second.clone());
        sampler.round();
        let (sent, consumers) =
            (series(&PRODUCER_ITEMS_SENT, &network), series(&PRODUCER_CONSUMERS, &network));
        assert_eq!((kept.at(&sent), kept.at(&consumers)), (Some(6), Some(2)));
        first.sent.store(7, Ordering::Relaxed);
        drop(first);
        sampler.round();
        assert_eq!((kept.at(&sent), kept.at(&consumers)), (Some(8), Some(1)));
        second.sent.store(3, Ordering::Relaxed);
        sampler.round();
        assert_eq!((kept.at(&sent), kept.at(&consumers)), (Some(10), Some(1)));
        second.sent.store(4, Ordering::Relaxed);
        drop(sampler);
        assert_eq!((kept.at(&sent), kept.at(&consumers)), (Some(11), Some(0)));
    });
}

#[test]
fn a_sampler_that_never_ran_publishes_nothing() {
    let (kept, network) = (Kept::default(), NetworkId::random());
    with_local_recorder(&kept, || {
        let (sampler, meters) = Sampler::new(&network);
        let end = End::of(&id(), 5);
        meters.add(end.clone());
        drop(sampler);
    });
    assert!(kept.0.lock().unwrap().is_empty());
}

#[test]
fn nodes_of_one_network_are_added_up() {
    let (kept, network) = (Kept::default(), NetworkId::random());
    with_local_recorder(&kept, || {
        let (mut one, of_one) = Sampler::new(&network);
        let (mut other, of_other) = Sampler::new(&network);
        let ends = [End::of(&id(), 2), End::of(&id(), 3)];
        of_one.add(ends[0].clone());
        of_other.add(ends[1].clone());
        one.round();
        other.round();
        let (sent, consumers) =
            (series(&PRODUCER_ITEMS_SENT, &network), series(&PRODUCER_CONSUMERS, &network));
        assert_eq!((kept.at(&sent), kept.at(&consumers)), (Some(5), Some(2)));
        drop(one);
        assert_eq!((kept.at(&sent), kept.at(&consumers)), (Some(5), Some(1)));
    });
}

#[test]
fn a_recorder_that_is_installed_late_sees_all_gauges_after_ten_rounds() {
    let (kept, network) = (Kept::default(), NetworkId::random());
    let (mut sampler, meters) = Sampler::new(&network);
    let end = End::of(&id(), 2);
    meters.add(end.clone());
    sampler.round();
    with_local_recorder(&kept, || {
        (0..10).for_each(|_| sampler.round());
        assert_eq!(kept.at(&series(&PRODUCER_CONSUMERS, &network)), Some(1));
    });
}

#[test]
fn reasons_are_labels_in_snake_case() {
    let (kept, network) = (Kept::default(), NetworkId::random());
    with_local_recorder(&kept, || {
        let (mut sampler, meters) = Sampler::new(&network);
        let end = End::of(&id(), 0);
        end.reasons.count("NotAllowed");
        end.reasons.count("NotAllowed");
        meters.add(end.clone());
        sampler.round();
        let rejected = series(&PRODUCER_REJECTED, &network);
        assert_eq!(kept.at(&format!("{rejected} reason=not_allowed")), Some(2));
    });
}

#[test]
fn every_name_stands_once_in_the_table() {
    let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len());
    for metric in ALL {
        let is_plain = |letter: char| letter.is_ascii_lowercase() || "._".contains(letter);
        assert!(metric.name.starts_with("mosaik.") && metric.name.chars().all(is_plain));
        let in_bytes = metric.name.contains("bytes");
        assert_eq!(metric.unit, if in_bytes { Unit::Bytes } else { Unit::Count });
    }
}

/// The row of a metric in the guide.
fn row(metric: &Metric) -> String {
    let Metric { name, kind, labels, description, .. } = metric;
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    format!("| `{name}` | {kind} | {} | {description} |", labels.names().join(", "))
}

#[test]
fn the_guide_s_table_is_the_one_in_the_code() {
    let guide = include_str!("../../docs/metrics.md");
    let rows: Vec<_> = guide.lines().filter(|line| line.starts_with("| `mosaik.")).collect();
    let expected: Vec<_> = ALL.iter().map(|metric| row(metric)).collect();
    assert_eq!(rows.join("\n"), expected.join("\n"));
}

/// The facade looks for a recorder of the thread before that of the process, and takes either: so
/// this one stands for a recorder that the program has installed.
#[tokio::test]
async fn a_recorder_of_the_program_gets_what_nodes_publish() {
    let kept = Kept::default();
    let _installed = set_default_local_recorder(&kept);
    let id = NetworkId::random();
    let node = async || {
        let discovery = discovery::Config::builder().with_local(false).with_mdns(false);
        let builder = Network::builder(id).offline().bind(([127, 0, 0, 1], 0).into());
        builder.with_discovery(discovery).build().await.unwrap()
    };
    let (one, other) = (node().await, node().await);
    other.discovery().dial(one.local().addr()).await;
    let producer = one.streams().producer::<u64>().with_stream_id(self::id()).build().unwrap();
    let consumer = other.streams().consumer::<u64>().with_stream_id(self::id()).build();
    producer.send(7).await.unwrap();
    let network = format!("{} network={}", CATALOG_SIZE.name, sampler::network_label(&id));
    let arrived = async {
        while kept.at(&series(&PRODUCER_ITEMS_SENT, &id)) != Some(1) || kept.at(&network) != Some(2)
        {
            sleep(INTERVAL_OF_LOOKS).await;
        }
    };
    timeout(Duration::from_secs(20), arrived).await.expect("both nodes publish every second");
    drop(consumer);
    assert_eq!(kept.at(&network), Some(2), "one each, added up");
}
