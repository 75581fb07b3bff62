//! One direction between two nodes, as a value: when does what is sent now arrive?

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{quality::LinkQuality, traffic::Counters};
use crate::random::Random;

/// What one packet carries.
const PACKET_BYTES: usize = 1200;
/// How long a sender waits, beyond a round trip, before it takes a packet for lost.
const LOSS_MARGIN: Duration = Duration::from_millis(25);
/// The longest pause before a packet is sent once more.
const RESEND_MAX: Duration = Duration::from_secs(1);
/// How often one packet is lost at most: the longest delay stays bounded.
const LOSSES_MAX: u32 = 16;

/// One direction between two nodes.
#[derive(Debug)]
pub(super) struct Path {
    /// The latency that the seed drew.
    drawn: Duration,
    quality: LinkQuality,
    /// Cut by hand, whatever its quality.
    cut: bool,
    /// Since when nothing gets through.
    dead_since: Option<Instant>,
    /// When the last byte in line has left.
    busy_until: Option<Instant>,
    random: Random,
    pub(super) counters: Arc<Counters>,
}

impl Path {
    pub(super) fn new(
        drawn: Duration,
        quality: LinkQuality,
        random: Random,
        counters: Arc<Counters>,
        now: Instant,
    ) -> Self {
        let mut path = Self {
            drawn,
            quality: LinkQuality::default(),
            cut: false,
            dead_since: None,
            busy_until: None,
            random,
            counters,
        };
        path.set_quality(quality, now);
        path
    }

    pub(super) fn latency(&self) -> Duration {
        self.quality.latency.unwrap_or(self.drawn)
    }

    /// When `bytes` that are sent now have arrived as a whole, if the path stays as it is.
    pub(super) fn arrival(&mut self, now: Instant, bytes: usize) -> Instant {
        let sent = match self.quality.bandwidth {
            Some(bandwidth) if bandwidth > 0 => {
                let begun = self.busy_until.map_or(now, |busy| busy.max(now));
                let sent = begun + Duration::from_secs_f64(bytes as f64 / bandwidth as f64);
                self.busy_until = Some(sent);
                sent
            }
            _ => now,
        };
        sent + self.latency() + self.jitter() + self.resending(bytes)
    }

    fn jitter(&self) -> Duration {
        let most = usize::try_from(self.quality.jitter.as_micros()).unwrap_or(usize::MAX - 1);
        if most == 0 {
            return Duration::ZERO;
        }
        Duration::from_micros(self.random.below(most + 1) as u64)
    }

    /// How much later the last of the packets arrives because some are lost.
    fn resending(&self, bytes: usize) -> Duration {
        if self.quality.loss <= 0.0 || self.quality.is_dead() {
            return Duration::ZERO;
        }
        let limit = (self.quality.loss * 1e6) as usize;
        let most = (0..bytes.div_ceil(PACKET_BYTES).max(1))
            .map(|_| (0..LOSSES_MAX).take_while(|_| self.random.below(1_000_000) < limit).count())
            .max();
        let first = self.latency() * 2 + LOSS_MARGIN;
        let pause = |n| RESEND_MAX.max(first).min(first * 2u32.pow(n as u32));
        (0..most.unwrap_or(0)).map(pause).sum()
    }

    /// Since when nothing gets through, if that is so.
    pub(super) fn dead_since(&self) -> Option<Instant> {
        self.dead_since
    }

    /// Whether what was to arrive `at` has got through by `now`.
    pub(super) fn is_through(&self, at: Instant, now: Instant) -> bool {
        at <= now && !self.holds(at)
    }

    /// Whether what was to arrive `at` is held up until the path works again.
    pub(super) fn holds(&self, at: Instant) -> bool {
        self.dead_since.is_some_and(|since| at >= since)
    }

    pub(super) fn quality(&self) -> &LinkQuality {
        &self.quality
    }

    /// Says what the change did to the path.
    pub(super) fn set_quality(&mut self, quality: LinkQuality, now: Instant) -> Change {
        self.quality = quality;
        self.busy_until = None;
        self.settle(now)
    }

    /// Says what the change did to the path.
    pub(super) fn set_cut(&mut self, cut: bool, now: Instant) -> Change {
        self.cut = cut;
        self.settle(now)
    }

    fn settle(&mut self, now: Instant) -> Change {
        match (self.cut || self.quality.is_dead(), self.dead_since) {
            (true, None) => {
                self.dead_since = Some(now);
                Change::Died(now)
            }
            (false, Some(since)) => {
                self.dead_since = None;
                // What was lost meanwhile is sent again once the sender hears of the far end.
                let again = now + self.latency() * 2;
                Change::Revived { since, again }
            }
            _ => Change::None,
        }
    }
}

/// What a change of its settings did to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// Nothing gets through from now on.
    Died(Instant),
    /// What would have arrived after `since` arrives `again` at the earliest.
    Revived {
        since: Instant,
        again: Instant,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn path(quality: LinkQuality, now: Instant) -> Path {
        Path::new(10 * MS, quality, Random::from_seed(1), Arc::default(), now)
    }

    #[test]
    fn what_is_sent_arrives_after_the_latency() {
        let now = Instant::now();
        assert_eq!(path(LinkQuality::default(), now).arrival(now, 5_000_000), now + 10 * MS);
        let near = LinkQuality::default().with_latency(MS);
        assert_eq!(path(near, now).arrival(now, 1), now + MS);
    }

    #[test]
    fn what_is_sent_faster_than_the_link_waits_in_line() {
        let now = Instant::now();
        let mut path = path(LinkQuality::default().with_bandwidth(1_000_000), now);
        assert_eq!(path.arrival(now, 20_000), now + 30 * MS);
        assert_eq!(path.arrival(now, 20_000), now + 50 * MS);
        let later = now + 100 * MS;
        assert_eq!(path.arrival(later, 20_000), later + 30 * MS);
    }

    #[test]
    fn jitter_lets_packets_overtake_each_other() {
        let now = Instant::now();
        let mut path = path(LinkQuality::default().with_jitter(20 * MS), now);
        let arrivals: Vec<_> = (0..100).map(|_| path.arrival(now, 1)).collect();
        assert!(arrivals.iter().all(|at| (now + 10 * MS..=now + 30 * MS).contains(at)));
        assert!(!arrivals.is_sorted());
    }

    #[test]
    fn a_lost_packet_comes_after_at_least_one_more_round_trip() {
        let now = Instant::now();
        let mut path = path(LinkQuality::default().with_loss(0.2), now);
        let delays: Vec<_> = (0..1000).map(|_| path.arrival(now, 1) - now).collect();
        let late: Vec<_> = delays.iter().filter(|delay| **delay > 10 * MS).collect();
        assert!((150..250).contains(&late.len()), "{}", late.len());
        assert!(late.iter().all(|delay| **delay >= 55 * MS));
        // Of many packets some are lost; the whole is there when the last one is.
        assert!(path.arrival(now, 1_000_000) > now + 55 * MS);
    }

    #[test]
    fn a_dead_path_holds_up_what_had_not_arrived_yet() {
        let now = Instant::now();
        let mut path = path(LinkQuality::default(), now);
        let before = path.arrival(now, 1);
        let cut = now + 11 * MS;
        assert_eq!(path.set_cut(true, cut), Change::Died(cut));
        assert_eq!(path.set_cut(true, cut + MS), Change::None);
        let during = path.arrival(now + 5 * MS, 1);
        assert!(path.is_through(before, cut));
        assert!(!path.is_through(during, now + 1000 * MS));
        let healed = now + 2000 * MS;
        let revived = Change::Revived { since: cut, again: healed + 20 * MS };
        assert_eq!(path.set_cut(false, healed), revived);
        assert!(path.is_through(during, healed + 20 * MS));
    }

    #[test]
    fn total_loss_is_a_cut() {
        let now = Instant::now();
        let mut path = path(LinkQuality::default(), now);
        assert_eq!(path.set_quality(LinkQuality::default().with_loss(1.0), now), Change::Died(now));
        assert!(matches!(path.set_quality(LinkQuality::default(), now), Change::Revived { .. }));
    }
}
