//! What is done to the nodes of one run, and when: by the seed alone, as plain values.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::fault::{Fault, pair};

/// The longest a fault lasts before what it did is undone.
const FAULT_MAX_MS: u64 = 40_000;

/// What one seed stands for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many nodes there are.
    pub nodes: usize,
    /// For each stream who produces it and who consumes it.
    pub streams: Vec<Stream>,
    /// What is done, at how much time after the start; in order.
    pub faults: Vec<(Duration, Fault)>,
}

/// What a stream does with consumers that lag or share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// The producer waits for them.
    #[default]
    Block,
    /// They skip what is oldest, and are slow enough to have to.
    DropOldest,
    /// All consumers are in one group.
    Shared,
}

#[derive(Clone, Debug)]
pub struct Stream {
    pub kind: Kind,
    pub producers: Vec<usize>,
    pub consumers: Vec<usize>,
    /// The longest pause between two datums.
    pub pause: Duration,
    /// The largest datum in bytes.
    pub datum_bytes: usize,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = rng.random_range(5..=9);
        let count = rng.random_range(1..=3);
        let mut streams: Vec<_> =
            (0..count).map(|_| stream(&mut rng, nodes, Kind::Block)).collect();
        let mut faults = Vec::new();
        let mut at = Duration::from_secs(1);
        for _ in 0..rng.random_range(3..=12) {
            at += Duration::from_millis(rng.random_range(100..15_000));
            let until = at + Duration::from_millis(rng.random_range(100..FAULT_MAX_MS));
            let (fault, undo) = fault(&mut rng, nodes);
            faults.push((at, fault));
            faults.extend(undo.map(|undo| (until, undo)));
        }
        faults.sort_by_key(|(at, _)| *at);
        let kind = if rng.random_bool(0.5) { Kind::DropOldest } else { Kind::Shared };
        streams.push(stream(&mut rng, nodes, kind));
        Self { nodes, streams, faults }
    }
}

fn stream(rng: &mut StdRng, nodes: usize, kind: Kind) -> Stream {
    let mut places: Vec<usize> = (0..nodes).collect();
    let mut some = |most: usize| {
        places.shuffle(rng);
        let count = rng.random_range(1..=most);
        places[..count].to_vec()
    };
    let (producers, consumers) = (some(2), some(nodes.min(4)));
    Stream {
        kind,
        producers,
        consumers,
        pause: Duration::from_millis([10, 100, 500][rng.random_range(0..3)]),
        datum_bytes: [16, 1_000, 50_000][rng.random_range(0..3)],
    }
}

/// A fault, and what undoes it.
fn fault(rng: &mut StdRng, nodes: usize) -> (Fault, Option<Fault>) {
    let (from, to) = pair(rng, nodes);
    match rng.random_range(0..10) {
        0 | 1 => (Fault::partition(rng, nodes), Some(Fault::Heal)),
        2 | 3 => (Fault::Cut { from, to }, Some(Fault::Mend { from, to })),
        4 | 5 => undone(Fault::link(rng, from, to)),
        6 => undone(Fault::links(rng)),
        7 | 8 => (Fault::Crash(from), Some(Fault::Restart(from))),
        _ => (Fault::skew(rng, from), None),
    }
}

fn undone((fault, undo): (Fault, Fault)) -> (Fault, Option<Fault>) {
    (fault, Some(undo))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_its_plan() {
        let plans = [1, 1, 2].map(|seed| format!("{:?}", Plan::new(seed)));
        assert_eq!(plans[0], plans[1]);
        assert_ne!(plans[1], plans[2]);
    }

    #[test]
    fn plans_stay_within_their_nodes() {
        for seed in 0..200 {
            let plan = Plan::new(seed);
            assert!((5..=9).contains(&plan.nodes));
            assert!(plan.streams.iter().any(|stream| stream.kind == Kind::Block));
            assert!(plan.faults.is_sorted_by_key(|(at, _)| *at));
            for (_, fault) in &plan.faults {
                if let Fault::Cut { from, to } | Fault::Mend { from, to } = fault {
                    assert!(from != to && *from < plan.nodes && *to < plan.nodes);
                }
            }
        }
    }
}
