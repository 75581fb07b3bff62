//! Round-trip times: as measured on the connections in use, and by pings to those peers that
//! something on this node could use.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use iroh::EndpointAddr;
use tokio::sync::watch;

use super::{
    ask::{Question, ask},
    config::Config,
    reach::Reach,
};
use crate::{id::PeerId, random::Random};

/// The part by which the intervals of probes vary at random.
const JITTER: f64 = 0.5;
/// Peers that are probed at once.
const PROBES: usize = 16;
/// A change by this part of what was told before is told again: conditions may depend on it.
const CHANGE: f64 = 0.1;

/// A smoothed round-trip time, by RFC 6298: each sample counts an eighth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    smoothed: Duration,
    told: Duration,
}

impl Estimate {
    pub(super) fn of(sample: Duration) -> Self {
        Self { smoothed: sample, told: sample }
    }

    /// Takes a sample in; says whether the time has changed noticeably since that was said last.
    pub(super) fn take(&mut self, sample: Duration) -> bool {
        self.smoothed = self.smoothed * 7 / 8 + sample / 8;
        let change = self.smoothed.abs_diff(self.told).as_secs_f64();
        let is_noticeable = change > self.told.as_secs_f64() * CHANGE;
        if is_noticeable {
            self.told = self.smoothed;
        }
        is_noticeable
    }

    pub(super) fn smoothed(&self) -> Duration {
        self.smoothed
    }

    pub(super) fn told(&self) -> Duration {
        self.told
    }
}

/// The peers that are being probed.
#[derive(Clone, Debug, Default)]
pub(super) struct Probes(Arc<watch::Sender<HashSet<PeerId>>>);

impl Probes {
    /// Measures the time to a peer: that of the link that is up, or else by a ping. One at a time
    /// for each peer; others wait for it. Cancel safe.
    pub(super) async fn probe(&self, reach: &Reach, to: EndpointAddr) {
        let peer = to.id;
        if !self.0.send_if_modified(|probed| probed.insert(peer)) {
            // The sender is here.
            let _ = self.0.subscribe().wait_for(|probed| !probed.contains(&peer)).await;
            return;
        }
        let _place = Place { probes: self, peer };
        if let Some(sample) = measure(reach, to).await {
            reach.shared().sample_rtt(&peer, sample);
        }
    }
}

/// Given back when the probe is over or given up.
struct Place<'a> {
    probes: &'a Probes,
    peer: PeerId,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.probes.0.send_if_modified(|probed| probed.remove(&self.peer));
    }
}

async fn measure(reach: &Reach, to: EndpointAddr) -> Option<Duration> {
    if let Some(rtt) = reach.transport.link(&to.id).and_then(|link| link.rtt()) {
        return Some(rtt);
    }
    let peer = to.id;
    let link = match reach.connect(to).await {
        Ok(link) => link,
        Err(error) => {
            tracing::debug!(%peer, %error, "a peer could not be probed");
            return None;
        }
    };
    match ask(reach.shared(), &link, &Question::Ping).await {
        Ok((_, took)) => Some(took),
        Err(error) => {
            tracing::debug!(%peer, %error, "a ping was not answered");
            link.rtt()
        }
    }
}

/// Measures the time to all peers that something on this node could use, again and again.
pub(super) async fn run(reach: Reach, probes: Probes, config: Arc<Config>, random: Random) {
    loop {
        tokio::time::sleep(random.jittered(config.rtt_probe_interval, JITTER)).await;
        let peers = reach.shared().used_peers();
        let probes = peers.into_iter().map(|to| probes.probe(&reach, to));
        stream::iter(probes).buffer_unordered(PROBES).for_each(async |_| {}).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn each_sample_counts_an_eighth() {
        let mut estimate = Estimate::of(80 * MS);
        estimate.take(160 * MS);
        assert_eq!(estimate.smoothed(), 90 * MS);
        estimate.take(10 * MS);
        assert_eq!(estimate.smoothed(), 80 * MS);
    }

    #[test]
    fn only_a_noticeable_change_is_told_again() {
        let mut estimate = Estimate::of(100 * MS);
        assert!(!estimate.take(150 * MS));
        assert!(estimate.take(150 * MS), "now it is 11 % more");
        assert!(!estimate.take(150 * MS));
        assert!((0..100).any(|_| estimate.take(10 * MS)));
        for _ in 0..100 {
            estimate.take(10 * MS);
        }
        assert!(estimate.smoothed() < 11 * MS);
    }
}
