//! What a transport counts for whoever watches the node.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{close::CloseReason, endpoint::Endpoint};
use crate::telemetry::{self, Metered, Reasons, Sample};

/// Counts since the node started.
#[derive(Debug, Default)]
pub(super) struct Counts {
    opened: AtomicU64,
    refused: Reasons,
    streams_refused: Reasons,
}

impl Counts {
    /// A connection was made, by either side.
    pub(super) fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection from outside was not admitted, or closed for what came over it.
    pub(super) fn refused(&self, reason: CloseReason) {
        self.refused.count(reason.name());
    }

    /// A stream of an admitted peer was refused.
    pub(super) fn stream_refused(&self, reason: CloseReason) {
        self.streams_refused.count(reason.name());
    }
}

/// A transport, to be sampled. It does not hold the transport.
#[derive(Debug)]
pub(super) struct Meter {
    counts: Arc<Counts>,
    /// None on a simulated network, where there is no socket.
    socket: Option<iroh::metrics::EndpointMetrics>,
}

impl Meter {
    pub(super) fn new(counts: Arc<Counts>, endpoint: &Endpoint) -> Self {
        let socket = match endpoint {
            Endpoint::Iroh(endpoint) => Some(endpoint.inner().metrics().clone()),
            Endpoint::Sim(_) => None,
        };
        Self { counts, socket }
    }
}

impl Metered for Meter {
    fn sample(&self, sample: &mut Sample) {
        let opened = self.counts.opened.load(Ordering::Relaxed);
        sample.add(&telemetry::CONNECTIONS_OPENED, opened);
        self.counts.refused.sample(sample, &telemetry::CONNECTIONS_REFUSED, None);
        self.counts.streams_refused.sample(sample, &telemetry::STREAMS_REFUSED, None);
        if let Some(metrics) = &self.socket {
            let socket = &metrics.socket;
            let sent = [&socket.send_ipv4, &socket.send_ipv6, &socket.send_relay];
            let received = [
                &socket.recv_data_ipv4,
                &socket.recv_data_ipv6,
                &socket.recv_data_relay,
                &socket.recv_data_custom,
            ];
            sample.add(&telemetry::EGRESS_BYTES, sent.iter().map(|bytes| bytes.get()).sum());
            sample.add(&telemetry::INGRESS_BYTES, received.iter().map(|bytes| bytes.get()).sum());
        }
    }
}
