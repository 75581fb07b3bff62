//! How good a link is, as a user sets it.

use std::time::Duration;

/// The share of packets that may be lost before it counts as all of them.
const LOSS_MAX: f64 = 0.95;

/// How good the simulated link from one node to another is; each direction has its own.
///
/// ```
/// use std::time::Duration;
/// use mosaik::testing::LinkQuality;
///
/// let radio = LinkQuality::default().with_loss(0.1).with_jitter(Duration::from_millis(40));
/// assert_eq!(radio.bandwidth, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LinkQuality {
    /// How long a packet is under way at least. Default: what the seed drew for these two nodes,
    /// from 1 to 5 ms.
    pub latency: Option<Duration>,
    /// Up to how much longer it is under way, at random. Default 0. Packets of one stream keep
    /// their order, those of different streams and connections do not.
    pub jitter: Duration,
    /// The share of packets that is lost and sent again, from 0 to 1. Default 0. From 0.95 on it
    /// counts as 1, which cuts the link in this direction.
    pub loss: f64,
    /// Bytes that pass in a second; what is sent faster waits in line. Default: without limit.
    pub bandwidth: Option<u64>,
}

impl LinkQuality {
    /// Sets [`LinkQuality::latency`].
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }

    /// Sets [`LinkQuality::jitter`].
    #[must_use]
    pub fn with_jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// Sets [`LinkQuality::loss`].
    #[must_use]
    pub fn with_loss(mut self, loss: f64) -> Self {
        self.loss = loss;
        self
    }

    /// Sets [`LinkQuality::bandwidth`].
    #[must_use]
    pub fn with_bandwidth(mut self, bytes_per_second: u64) -> Self {
        self.bandwidth = Some(bytes_per_second);
        self
    }

    /// Whether nothing gets through.
    pub(super) fn is_dead(&self) -> bool {
        self.loss >= LOSS_MAX || self.bandwidth == Some(0)
    }
}
