//! What kept two nodes apart, and when: what may excuse that something is missing.

use std::{collections::BTreeMap, time::Duration};

use mosaik::testing::LinkQuality;

use super::fault::Fault;

/// For so long a producer holds the place of a consumer whose connection broke.
const RESUME_WINDOW: Duration = Duration::from_secs(10);
/// For so long a producer waits for a consumer that makes no progress.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Two spells with less than this between them may have been one to a connection that came back in
/// between: neither end had noticed yet, or the redial fell into the second.
const RESPITE: Duration = Duration::from_secs(5);

/// Where packets are lost or late it takes several attempts, and so much longer, to come back.
const LABORIOUS: Duration = RESPITE;

/// From a node to a node.
type Way = (usize, usize);

/// All that was done to the links, at how much time after the start.
#[derive(Debug, Default)]
pub struct Outages {
    cuts: Spells,
    slow: Spells,
    poor: Spells,
}

impl Outages {
    /// A fault is about to take effect, or to be undone.
    pub fn note(&mut self, nodes: usize, at: Duration, fault: &Fault) {
        match fault {
            Fault::Partition(one, other) => {
                for (a, b) in one.iter().flat_map(|a| other.iter().map(move |b| (*a, *b))) {
                    self.cuts.begin((a, b), at);
                    self.cuts.begin((b, a), at);
                }
            }
            Fault::Cut { from, to } => self.cuts.begin((*from, *to), at),
            Fault::Mend { from, to } => self.cuts.end((*from, *to), at),
            Fault::Heal => self.cuts.end_all(at),
            Fault::Link { from, to, quality } => self.link((*from, *to), at, quality),
            Fault::Links(quality) => {
                for from in 0..nodes {
                    (0..nodes).for_each(|to| self.link((from, to), at, quality));
                }
            }
            Fault::Crash(_) | Fault::Restart(_) | Fault::Skew(..) => {}
        }
    }

    fn link(&mut self, way: Way, at: Duration, quality: &LinkQuality) {
        match quality.bandwidth {
            Some(_) => self.slow.begin(way, at),
            None => self.slow.end(way, at),
        }
        match quality.loss > 0.0 || quality.latency.is_some() {
            true => self.poor.begin(way, at),
            false => self.poor.end(way, at),
        }
    }

    /// Whether the two were kept apart in this time for so long that the producer need not have
    /// held the consumer's place any more.
    pub fn excuse(&self, one: usize, other: usize, from: Duration, to: Duration) -> bool {
        let between = (one, other);
        let kept_apart = |(begun, ended): (Duration, Duration)| {
            let laborious = self.poor.touching(between, ended, ended).next().is_some();
            ended - begun + if laborious { LABORIOUS } else { Duration::ZERO } >= RESUME_WINDOW
        };
        let slow = |(begun, ended): (Duration, Duration)| ended - begun >= STALL_TIMEOUT;
        self.cuts.touching(between, from, to).any(kept_apart)
            || self.slow.touching(between, from, to).any(slow)
    }
}

/// When something was so for the ways between nodes.
#[derive(Debug, Default)]
struct Spells {
    open: BTreeMap<Way, Duration>,
    past: Vec<(Way, Duration, Duration)>,
}

impl Spells {
    fn begin(&mut self, way: Way, at: Duration) {
        self.open.entry(way).or_insert(at);
    }

    fn end(&mut self, way: Way, at: Duration) {
        self.past.extend(self.open.remove(&way).map(|begun| (way, begun, at)));
    }

    fn end_all(&mut self, at: Duration) {
        let open = std::mem::take(&mut self.open);
        self.past.extend(open.into_iter().map(|(way, begun)| (way, begun, at)));
    }

    /// The spells between two nodes, whichever way, that touch this time.
    fn touching(
        &self,
        (one, other): Way,
        from: Duration,
        to: Duration,
    ) -> impl Iterator<Item = (Duration, Duration)> {
        let between = |way: &Way| [(one, other), (other, one)].contains(way);
        let past = self.past.iter().filter(|(way, ..)| between(way));
        let open = self.open.iter().filter(|(way, begun)| between(way) && **begun <= to);
        let mut spells: Vec<_> = past.map(|(_, begun, ended)| (*begun, *ended)).collect();
        spells.extend(open.map(|(_, begun)| (*begun, to)));
        spells.sort_unstable();
        let mut joined: Vec<(Duration, Duration)> = Vec::new();
        for (begun, ended) in spells {
            match joined.last_mut() {
                Some((_, last)) if begun <= *last + RESPITE => *last = ended.max(*last),
                _ => joined.push((begun, ended)),
            }
        }
        joined.into_iter().filter(move |(begun, ended)| *begun <= to && *ended >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: usize = 3;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn after(faults: &[(u64, Fault)]) -> Outages {
        let mut outages = Outages::default();
        faults.iter().for_each(|(at, fault)| outages.note(NODES, secs(*at), fault));
        outages
    }

    #[test]
    fn a_long_cut_excuses_what_came_after_it_between_those_two() {
        let outages =
            after(&[(10, Fault::Cut { from: 0, to: 1 }), (20, Fault::Mend { from: 0, to: 1 })]);
        assert!(outages.excuse(0, 1, secs(9), secs(25)));
        assert!(outages.excuse(1, 0, secs(15), secs(25)), "whichever way was cut");
        assert!(!outages.excuse(0, 2, secs(9), secs(25)), "others were not cut");
        assert!(!outages.excuse(0, 1, secs(21), secs(25)), "it was over before");
        assert!(!outages.excuse(0, 1, secs(5), secs(9)), "it had not begun");
    }

    #[test]
    fn a_short_cut_excuses_nothing_and_two_in_a_row_may() {
        let cut = |at, until| {
            let (from, to) = (0, 1);
            [(at, Fault::Cut { from, to }), (until, Fault::Mend { from, to })]
        };
        assert!(!after(&cut(10, 19)).excuse(0, 1, secs(9), secs(30)));
        let near = [cut(10, 16), cut(18, 23)].concat();
        assert!(after(&near).excuse(0, 1, secs(9), secs(30)));
        let far = [cut(10, 16), cut(22, 28)].concat();
        assert!(!after(&far).excuse(0, 1, secs(9), secs(30)));
    }

    #[test]
    fn a_partition_ends_with_the_healing_of_all() {
        let outages = after(&[(1, Fault::Partition(vec![0], vec![1, 2])), (8, Fault::Heal)]);
        assert!(!outages.excuse(0, 1, secs(0), secs(60)));
        let outages = after(&[(1, Fault::Partition(vec![0], vec![1, 2]))]);
        assert!(outages.excuse(2, 0, secs(0), secs(11)), "and goes on until then");
        assert!(!outages.excuse(1, 2, secs(0), secs(11)));
    }

    #[test]
    fn a_slow_link_excuses_when_it_was_slow_for_as_long_as_the_stall_rule_waits() {
        let slow = LinkQuality::default().with_bandwidth(50_000);
        let links = |until| {
            [(5, Fault::Links(slow.clone())), (until, Fault::Links(LinkQuality::default()))]
        };
        assert!(after(&links(35)).excuse(0, 1, secs(0), secs(40)));
        assert!(!after(&links(34)).excuse(0, 1, secs(0), secs(40)));
        let latency = LinkQuality::default().with_latency(secs(1));
        let outages = after(&[(0, Fault::Link { from: 0, to: 1, quality: latency })]);
        assert!(!outages.excuse(0, 1, secs(0), secs(90)), "late is not lost");
    }

    #[test]
    fn a_cut_excuses_earlier_where_coming_back_takes_several_attempts() {
        let lossy = LinkQuality::default().with_loss(0.2);
        let cut = |secs: u64| {
            let (from, to) = (0, 1);
            let cut = [(10, Fault::Cut { from, to }), (10 + secs, Fault::Mend { from, to })];
            [vec![(5, Fault::Links(lossy.clone()))], cut.into()].concat()
        };
        assert!(after(&cut(6)).excuse(0, 1, secs(9), secs(25)));
        assert!(!after(&cut(4)).excuse(0, 1, secs(9), secs(25)));
        let mut mended = cut(6);
        mended.insert(2, (12, Fault::Links(LinkQuality::default())));
        assert!(!after(&mended).excuse(0, 1, secs(9), secs(25)));
        assert!(!after(&cut(6)[..1]).excuse(0, 1, secs(9), secs(25)), "not by itself");
    }
}
