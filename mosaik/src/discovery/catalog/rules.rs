//! What the merge is judged by.

use std::{cmp::max, time::Duration};

use crate::{
    discovery::{derived::NetworkTag, version::span_micros},
    id::NetworkId,
};

/// The most that the entries of a catalog take together, encoded; in memory it is about three times as
/// much.
const MAX_BYTES: usize = 24 * 1024 * 1024;
/// Each peer adds so much to the interval of announcements, in microseconds: however large the
/// network, each node hears 20 signs of life in a second.
const INTERVAL_PER_PEER: u64 = 50_000;
/// A peer in a network so large is purged after so many of its intervals.
const INTERVALS_MISSED: u64 = 4;
/// What the neighbours are told of one peer without a pause; an honest one announces a third of it.
pub(super) const TOLD_AT_ONCE: u64 = 30;
/// The pause between what they are told after that, in microseconds.
const TOLD_PAUSE: u64 = 250_000;

/// What the merge is judged by. Spans are in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) network_id: NetworkId,
    pub(crate) tag: NetworkTag,
    purge_after: u64,
    pub(super) max_time_drift: u64,
    announce_interval: u64,
    pub(super) max_bytes: usize,
    pub(super) max_rtt: Option<Duration>,
}

impl Rules {
    pub(crate) fn new(
        network_id: NetworkId,
        purge_after: Duration,
        max_time_drift: Duration,
    ) -> Self {
        Self {
            tag: NetworkTag::of(&network_id),
            network_id,
            purge_after: span_micros(purge_after),
            max_time_drift: span_micros(max_time_drift),
            announce_interval: span_micros(purge_after),
            max_bytes: MAX_BYTES,
            max_rtt: None,
        }
    }

    /// How often nodes announce while their network is small.
    pub(crate) fn with_announce_interval(self, interval: Duration) -> Self {
        Self { announce_interval: span_micros(interval), ..self }
    }

    /// Peers further away than this are not used.
    pub(crate) fn with_max_rtt(self, max_rtt: Option<Duration>) -> Self {
        Self { max_rtt, ..self }
    }

    /// Less room than nodes have.
    #[cfg(test)]
    pub(super) fn with_max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// How often a node announces in a network of this size.
    pub(super) fn interval(&self, size: usize) -> Duration {
        Duration::from_micros(max(self.announce_interval, stretched(size)))
    }

    /// After which silence a peer is purged that named this interval in its last sign of life.
    /// Only what the size of the network explains is granted beyond `purge_after`.
    pub(super) fn patience(&self, interval: u64, size: usize) -> u64 {
        let explained = interval.min(stretched(size));
        if explained > self.announce_interval {
            max(self.purge_after, explained.saturating_mul(INTERVALS_MISSED))
        } else {
            self.purge_after
        }
    }

    /// The pause between what the neighbours are told of one peer, where it is much: shorter where
    /// nodes give very frequent signs of life.
    pub(super) fn told_pause(&self) -> u64 {
        TOLD_PAUSE.min(self.announce_interval / 4)
    }

    /// After which silence a peer may have restarted and know nobody: two of the intervals that it
    /// named in its last sign of life, as far as it has so long.
    pub(super) fn suspicion(&self, interval: u64, size: usize) -> u64 {
        let two = max(interval, self.announce_interval).saturating_mul(2);
        two.min(self.patience(interval, size))
    }

    /// How long a departure is remembered: as long as anything that it ended would be believed.
    pub(super) fn memory(&self, size: usize) -> u64 {
        self.patience(u64::MAX, size)
    }
}

fn stretched(size: usize) -> u64 {
    INTERVAL_PER_PEER.saturating_mul(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn rules() -> Rules {
        Rules::new("net".into(), Duration::from_secs(300), Duration::from_secs(50))
            .with_announce_interval(Duration::from_secs(45))
    }

    #[test]
    fn the_interval_stretches_with_the_size_beyond_what_is_configured() {
        assert_eq!(rules().interval(10), Duration::from_secs(45));
        assert_eq!(rules().interval(900), Duration::from_secs(45));
        assert_eq!(rules().interval(2000), Duration::from_secs(100));
        assert_eq!(rules().interval(50_000), Duration::from_secs(2500));
    }

    #[test]
    fn a_peer_is_missed_after_two_of_its_intervals() {
        let rules = rules();
        assert_eq!(rules.suspicion(45 * SECOND, 10), 90 * SECOND);
        assert_eq!(rules.suspicion(SECOND, 10), 90 * SECOND);
        assert_eq!(rules.suspicion(500 * SECOND, 10_000), 1000 * SECOND);
        // It is missed at the latest when it is purged.
        assert_eq!(rules.suspicion(u64::MAX, 10), 300 * SECOND);
        assert_eq!(rules.suspicion(u64::MAX, 10_000), 2000 * SECOND);
    }

    #[test]
    fn a_peer_is_given_more_time_only_where_size_explains_its_interval() {
        let rules = rules();
        assert_eq!(rules.patience(45 * SECOND, 10), 300 * SECOND);
        // It says that it announces seldom, in a network that is small.
        assert_eq!(rules.patience(4000 * SECOND, 10), 300 * SECOND);
        assert_eq!(rules.patience(100 * SECOND, 2000), 400 * SECOND);
        // No more than size explains.
        assert_eq!(rules.patience(4000 * SECOND, 2000), 400 * SECOND);
        // It announces often although the network is large.
        assert_eq!(rules.patience(10 * SECOND, 2000), 300 * SECOND);
        assert_eq!(rules.memory(2000), 400 * SECOND);
        assert_eq!(rules.memory(10), 300 * SECOND);
    }
}
