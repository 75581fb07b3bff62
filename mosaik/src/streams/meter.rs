//! What the ends of streams count for whoever watches the node.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use super::{consumer::SourceEnd, status::Stats};
use crate::{
    id::StreamId,
    telemetry::{self, Metered, Reasons, Sample},
    transport::CloseReason,
};

/// Subscriptions that no producer answers for: nobody produces the stream here, say.
#[derive(Debug, Default)]
pub(super) struct Unserved(Reasons);

impl Unserved {
    pub(super) fn rejected(&self, reason: CloseReason) {
        self.0.count(reason.name());
    }
}

impl Metered for Unserved {
    fn sample(&self, sample: &mut Sample) {
        sample.add(&telemetry::PRODUCERS_ACTIVE, 0);
        sample.add(&telemetry::SUBSCRIPTIONS_ACCEPTED, 0);
        self.0.sample(sample, &telemetry::SUBSCRIPTIONS_REJECTED, None);
    }
}

/// A producer, counted.
#[derive(Debug)]
pub(super) struct ProducerMeter {
    stream: StreamId,
    /// What was taken out of the ring for subscribers. Counted under the lock of the ring.
    pub(super) sent: Stats,
    dropped: AtomicU64,
    /// Messages about subscriptions that were not understood.
    pub(super) unknown: AtomicU64,
    accepted: AtomicU64,
    rejected: Reasons,
    consumers: AtomicUsize,
}

impl ProducerMeter {
    pub(super) fn new(stream: StreamId) -> Self {
        Self {
            stream,
            sent: Stats::new(),
            dropped: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            rejected: Reasons::default(),
            consumers: AtomicUsize::new(0),
        }
    }

    /// So many were not sent to consumers that lagged, since the start.
    pub(super) fn dropped(&self, total: u64) {
        self.dropped.store(total, Ordering::Relaxed);
    }

    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn rejected(&self, reason: CloseReason) {
        self.rejected.count(reason.name());
    }

    /// So many consumers are subscribed now.
    pub(super) fn consumers(&self, count: usize) {
        self.consumers.store(count, Ordering::Relaxed);
    }
}

impl Metered for ProducerMeter {
    fn sample(&self, sample: &mut Sample) {
        let accepted = self.accepted.load(Ordering::Relaxed);
        let consumers = self.consumers.load(Ordering::Relaxed) as u64;
        let (items, bytes) = (self.sent.datums() as u64, self.sent.bytes() as u64);
        sample.add(&telemetry::PRODUCERS_ACTIVE, 1);
        sample.add(&telemetry::SUBSCRIPTIONS_ACCEPTED, accepted);
        self.rejected.sample(sample, &telemetry::SUBSCRIPTIONS_REJECTED, None);
        let stream = self.stream;
        sample.of(stream, &telemetry::PRODUCER_CONSUMERS, consumers);
        sample.of(stream, &telemetry::PRODUCER_ACCEPTED, accepted);
        self.rejected.sample(sample, &telemetry::PRODUCER_REJECTED, Some(stream));
        sample.of(stream, &telemetry::PRODUCER_ITEMS_SENT, items);
        let dropped = self.dropped.load(Ordering::Relaxed);
        sample.of(stream, &telemetry::PRODUCER_ITEMS_DROPPED, dropped);
        sample.of(stream, &telemetry::PRODUCER_BYTES_SENT, bytes);
        let unknown = self.unknown.load(Ordering::Relaxed);
        sample.of(stream, &telemetry::MESSAGES_UNKNOWN, unknown);
        sample.of(stream, &telemetry::DATUMS_TOTAL, items);
        sample.of(stream, &telemetry::BYTES_TOTAL, bytes);
    }
}

/// A consumer, counted.
#[derive(Debug)]
pub(super) struct ConsumerMeter {
    stream: StreamId,
    /// Subscriptions that ended because of what the producer sent.
    faults: Reasons,
    /// Messages about subscriptions that were not understood.
    pub(super) unknown: AtomicU64,
    /// What was handed to the application. Counted under the lock of the reader.
    pub(super) received: Stats,
    producers: AtomicUsize,
}

impl ConsumerMeter {
    pub(super) fn new(stream: StreamId) -> Arc<Self> {
        Arc::new(Self {
            stream,
            faults: Reasons::default(),
            unknown: AtomicU64::new(0),
            received: Stats::new(),
            producers: AtomicUsize::new(0),
        })
    }

    /// The data of a subscription have ended: was that the producer's fault?
    pub(super) fn count_end(&self, end: &SourceEnd) {
        if let Some(fault) = end.fault() {
            self.faults.count(fault);
        }
    }

    /// It is subscribed to so many producers now.
    pub(super) fn producers(&self, count: usize) {
        self.producers.store(count, Ordering::Relaxed);
    }
}

impl Metered for ConsumerMeter {
    fn sample(&self, sample: &mut Sample) {
        let stream = self.stream;
        let producers = self.producers.load(Ordering::Relaxed) as u64;
        let (items, bytes) = (self.received.datums() as u64, self.received.bytes() as u64);
        sample.of(stream, &telemetry::CONSUMERS_ACTIVE, 1);
        self.faults.sample(sample, &telemetry::CONSUMER_FAULTS, Some(stream));
        let unknown = self.unknown.load(Ordering::Relaxed);
        sample.of(stream, &telemetry::MESSAGES_UNKNOWN, unknown);
        sample.of(stream, &telemetry::CONSUMER_PRODUCERS, producers);
        sample.of(stream, &telemetry::CONSUMER_ITEMS_RECEIVED, items);
        sample.of(stream, &telemetry::CONSUMER_BYTES_RECEIVED, bytes);
        sample.of(stream, &telemetry::DATUMS_TOTAL, items);
        sample.of(stream, &telemetry::BYTES_TOTAL, bytes);
    }
}
