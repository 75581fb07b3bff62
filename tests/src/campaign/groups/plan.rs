//! What is done to the members of one run, and when: by the seed alone, as plain values.

use std::time::Duration;

use mosaik::private::DeliberateFault;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};

use super::super::fault::{Fault, pair};

/// The longest an episode lasts.
const EPISODE_MAX_MS: u64 = 16_000;

/// What one seed stands for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many nodes there are, each of them a member.
    pub nodes: usize,
    /// `Strict(n)`, or elastic.
    pub strict: Option<usize>,
    /// After how many commands a snapshot is taken.
    pub snapshot_every: u64,
    /// How many clients each member has.
    pub clients: u32,
    /// How many more only read: they do not wait for long where nothing is answered.
    pub readers: u32,
    /// The longest pause of a client between two calls.
    pub pause: Duration,
    /// The nodes are split in two when they join.
    pub split: Option<Fault>,
    /// What is done, one spell of faults after the other; between them all must be well.
    pub episodes: Vec<Episode>,
}

/// A spell of faults: what is done, at how much time after its beginning; in order.
pub type Episode = Vec<(Duration, Fault)>;

impl Plan {
    /// The plan of a seed. With a deliberate fault it is one in which that shows.
    #[must_use]
    pub fn new(seed: u64, deliberate: Option<DeliberateFault>) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        match deliberate {
            Some(deliberate) => Self::provoke(&mut rng, deliberate),
            None => Self::random(&mut rng),
        }
    }

    fn random(rng: &mut StdRng) -> Self {
        let nodes = rng.random_range(3..=5);
        let strict = match rng.random_range(0..3) {
            0 => None,
            1 => Some(3),
            _ => Some(if nodes == 5 { 5 } else { 3 }),
        };
        let split =
            (strict.is_none() && rng.random_bool(0.5)).then(|| Fault::partition(rng, nodes));
        let episodes = rng.random_range(1..=2);
        let mut plan = Self {
            nodes,
            strict,
            snapshot_every: [5, 50, 20_000][rng.random_range(0..3)],
            clients: rng.random_range(1..=2),
            readers: 0,
            pause: Duration::from_millis([50, 200, 500][rng.random_range(0..3)]),
            split,
            episodes: (0..episodes).map(|_| episode(rng, nodes, strict)).collect(),
        };
        plan.readers = rng.random_range(0..=1);
        plan
    }

    /// What is done is what a fault shows by, and it is done soon.
    fn provoke(rng: &mut StdRng, deliberate: DeliberateFault) -> Self {
        let snapshots = deliberate == DeliberateFault::ForgetsSessions;
        let (nodes, away) = match deliberate {
            // Somebody who reads is to be away with the leader.
            DeliberateFault::ReadsUnchecked => (5, 2),
            _ => (3, 1),
        };
        Self {
            nodes,
            strict: Some(3),
            snapshot_every: 5,
            // Enough that the log is purged.
            clients: if snapshots { 6 } else { 2 },
            readers: if away > 1 { 1 } else { 0 },
            pause: Duration::from_millis(if snapshots { 5 } else { 100 }),
            split: None,
            episodes: vec![if snapshots { late(rng, nodes) } else { turns(rng, nodes, away) }],
        }
    }
}

/// A node comes back, and gets all from a snapshot.
fn late(rng: &mut StdRng, nodes: usize) -> Episode {
    let node = rng.random_range(0..nodes);
    let back = Duration::from_millis(rng.random_range(7_000..8_000));
    vec![(Duration::from_secs(1), Fault::Crash(node)), (back, Fault::Restart(node))]
}

/// Whoever leads is away for a while: it is each one's turn, so many at once.
fn turns(rng: &mut StdRng, nodes: usize, away: usize) -> Episode {
    let mut places: Vec<usize> = (0..nodes).collect();
    places.shuffle(rng);
    let mut at = Duration::ZERO;
    let mut faults = Vec::new();
    for turn in places.chunks(away) {
        let others = (0..nodes).filter(|node| !turn.contains(node)).collect();
        at += Duration::from_millis(rng.random_range(700..1_200));
        faults.push((at, Fault::Partition(turn.to_vec(), others)));
        at += Duration::from_millis(rng.random_range(1_000..1_500));
        faults.push((at, Fault::Heal));
    }
    faults
}

/// So few nodes are crashed at once that the logs of most voters are left: groups are in memory.
fn episode(rng: &mut StdRng, nodes: usize, strict: Option<usize>) -> Episode {
    let mut faults = Vec::new();
    let at = |rng: &mut StdRng| {
        let from = rng.random_range(0..EPISODE_MAX_MS / 2);
        let until = rng.random_range(from + 100..EPISODE_MAX_MS);
        (Duration::from_millis(from), Duration::from_millis(until))
    };
    let most = if strict == Some(5) { 2 } else { 1 };
    let mut places: Vec<usize> = (0..nodes).collect();
    places.shuffle(rng);
    for place in &places[..rng.random_range(0..=most)] {
        let (from, until) = at(rng);
        faults.push((from, Fault::Crash(*place)));
        faults.push((until, Fault::Restart(*place)));
    }
    for _ in 0..rng.random_range(1..=4) {
        let (from, until) = at(rng);
        let (fault, undo) = fault(rng, nodes);
        faults.push((from, fault));
        faults.push((until, undo));
    }
    faults.sort_by_key(|(at, _)| *at);
    faults
}

/// A fault, and what undoes it.
fn fault(rng: &mut StdRng, nodes: usize) -> (Fault, Fault) {
    let (from, to) = pair(rng, nodes);
    match rng.random_range(0..9) {
        0..=2 => (Fault::partition(rng, nodes), Fault::Heal),
        3..=5 => (Fault::Cut { from, to }, Fault::Mend { from, to }),
        6 => Fault::link(rng, from, to),
        7 => Fault::links(rng),
        _ => (Fault::skew(rng, from), Fault::Skew(from, 0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_its_plan() {
        let plans = [1, 1, 2].map(|seed| format!("{:?}", Plan::new(seed, None)));
        assert_eq!(plans[0], plans[1]);
        assert_ne!(plans[1], plans[2]);
    }

    #[test]
    fn each_node_is_away_once_if_something_is_done_wrong() {
        let plan = Plan::new(1, Some(DeliberateFault::AcknowledgesEarly));
        let is_away = |node| {
            let away = |fault: &Fault| matches!(fault, Fault::Partition(one, _) if one == &[node]);
            plan.episodes[0].iter().filter(|(_, fault)| away(fault)).count() == 1
        };
        assert!((0..plan.nodes).all(is_away), "{plan:?}");
    }

    #[test]
    fn most_logs_are_left_and_every_kind_of_group_occurs() {
        let plans: Vec<_> = (0..200).map(|seed| Plan::new(seed, None)).collect();
        for plan in &plans {
            assert!((3..=5).contains(&plan.nodes));
            for episode in &plan.episodes {
                assert!(episode.is_sorted_by_key(|(at, _)| *at));
                let is_crash = |(_, fault): &&(Duration, Fault)| matches!(fault, Fault::Crash(_));
                assert!(episode.iter().filter(is_crash).count() <= (plan.nodes - 1) / 2);
            }
        }
        for strict in [None, Some(3), Some(5)] {
            assert!(plans.iter().any(|plan| plan.strict == strict));
        }
        assert!(plans.iter().any(|plan| plan.split.is_some()));
    }
}
