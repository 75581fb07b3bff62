//! What is done to the nodes of a run.

use std::time::Duration;

use mosaik::{
    Network,
    testing::{Faults, LinkQuality},
};
use rand::{RngExt, rngs::StdRng, seq::SliceRandom};

/// How far a clock is set ahead or behind.
const SKEW_MAX_MS: i64 = 10_000;

/// One thing that is done to the nodes.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Splits the nodes in two.
    Partition(Vec<usize>, Vec<usize>),
    /// Lets nothing through in one direction.
    Cut {
        /// Who sends.
        from: usize,
        /// Who gets nothing.
        to: usize,
    },
    /// Undoes that.
    Mend {
        /// Who sends.
        from: usize,
        /// Who gets it again.
        to: usize,
    },
    /// Undoes all cuts.
    Heal,
    /// Sets one direction between two nodes.
    Link {
        /// Who sends.
        from: usize,
        /// To whom.
        to: usize,
        /// What it is like from then on.
        quality: LinkQuality,
    },
    /// Sets all links.
    Links(LinkQuality),
    /// Ends a node without a goodbye.
    Crash(usize),
    /// Starts it again.
    Restart(usize),
    /// Sets a node's clock ahead by so many milliseconds, or behind.
    Skew(usize, i64),
}

impl Fault {
    /// Does it. Nodes that crash or start are the caller's: they have more to it.
    pub(super) fn disturb(self, nodes: &[Network]) {
        match self {
            Self::Partition(a, b) => nodes.partition(&[&a, &b]),
            Self::Cut { from, to } => nodes.cut(from, to),
            Self::Mend { from, to } => nodes.mend(from, to),
            Self::Heal => nodes.heal(),
            Self::Link { from, to, quality } => nodes.set_link(from, to, quality),
            Self::Links(quality) => nodes.set_links(quality),
            Self::Skew(node, by_ms) => {
                let by = Duration::from_millis(by_ms.unsigned_abs());
                match by_ms < 0 {
                    true => nodes.set_clock_behind(node, by),
                    false => nodes.set_clock_ahead(node, by),
                }
            }
            Self::Crash(_) | Self::Restart(_) => {}
        }
    }

    /// The nodes in two halves, none of them empty.
    pub(super) fn partition(rng: &mut StdRng, nodes: usize) -> Self {
        let mut places: Vec<usize> = (0..nodes).collect();
        places.shuffle(rng);
        let second = places.split_off(rng.random_range(1..nodes));
        Self::Partition(places, second)
    }

    pub(super) fn skew(rng: &mut StdRng, node: usize) -> Self {
        Self::Skew(node, rng.random_range(-SKEW_MAX_MS..=SKEW_MAX_MS))
    }

    /// A worse link in one direction between two nodes, and what makes it good again.
    pub(super) fn link(rng: &mut StdRng, from: usize, to: usize) -> (Self, Self) {
        let quality = quality(rng);
        let good = LinkQuality::default();
        (Self::Link { from, to, quality }, Self::Link { from, to, quality: good })
    }

    /// The same of all links.
    pub(super) fn links(rng: &mut StdRng) -> (Self, Self) {
        (Self::Links(quality(rng)), Self::good_links())
    }

    pub(super) fn good_links() -> Self {
        Self::Links(LinkQuality::default())
    }
}

/// Two nodes.
pub(super) fn pair(rng: &mut StdRng, nodes: usize) -> (usize, usize) {
    let from = rng.random_range(0..nodes);
    (from, (from + rng.random_range(1..nodes)) % nodes)
}

fn quality(rng: &mut StdRng) -> LinkQuality {
    let mut quality = LinkQuality::default();
    if rng.random_bool(0.5) {
        quality.latency = Some(Duration::from_millis(rng.random_range(1..300)));
    }
    if rng.random_bool(0.5) {
        quality.jitter = Duration::from_millis(rng.random_range(1..50));
    }
    if rng.random_bool(0.5) {
        quality.loss = rng.random_range(0.0..0.2);
    }
    if rng.random_bool(0.3) {
        quality.bandwidth = Some(rng.random_range(50_000..5_000_000));
    }
    quality
}
