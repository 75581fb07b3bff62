//! Judges what consumers received: observations go in, findings come out.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{outages::Outages, plan::Kind};

/// One opening of one end of a stream: node, run of that node, stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub node: usize,
    /// How often the node had been restarted.
    pub run: u32,
    pub stream: usize,
}

/// A datum that was received.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub consumer: Place,
    pub producer: Place,
    /// The producer's number for it.
    pub n: u64,
    /// It was marked as redelivered.
    pub redelivered: bool,
    /// How much time after the start.
    pub at: Duration,
}

/// What a consumer has of one run of a producer.
#[derive(Clone, Copy, Debug)]
struct Had {
    /// The number that it expects next.
    next: u64,
    /// When it received the last one.
    at: Duration,
}

/// What a consumer was told of a producer's node since the last datum from there.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    missing: u64,
    restarted: bool,
}

/// Nothing may be doubled or reordered between a subscribed consumer and its producer, and nothing
/// may be missing that was not reported; a consumer may begin anywhere. Where the producer waits
/// for its consumers, nothing may be missing at all unless the two were kept apart for too long.
/// In a share group each datum reaches somebody, and all deliveries of it but one are marked. That
/// one may be the last: who is cut off still has what came before.
#[derive(Debug, Default)]
pub struct Oracle {
    /// How each stream treats those who lag.
    kinds: Vec<Kind>,
    had: BTreeMap<(Place, Place), Had>,
    /// The latest run of a producer's node that a consumer received anything from.
    runs: BTreeMap<(Place, usize), u32>,
    told: BTreeMap<(Place, usize), Told>,
    /// All that a consumer was told is missing.
    told_in_all: BTreeMap<Place, u64>,
    /// What the share group got of each producer.
    shared: BTreeMap<Place, BTreeSet<u64>>,
    /// What it got of each producer that was not marked.
    originals: BTreeMap<Place, BTreeSet<u64>>,
    /// What was done to the links.
    pub outages: Outages,
    /// What is wrong.
    pub findings: Vec<String>,
    /// Datums that consumers received.
    pub received: u64,
    /// Datums that went missing, with a report.
    pub missed: u64,
}

impl Oracle {
    #[must_use]
    pub fn new(kinds: Vec<Kind>) -> Self {
        Self { kinds, ..Self::default() }
    }

    /// A consumer received a datum.
    pub fn received(&mut self, received: Received) {
        self.received += 1;
        match self.kinds.get(received.producer.stream).copied().unwrap_or_default() {
            Kind::Shared => self.shared(received),
            kind => self.alone(received, kind),
        }
    }

    /// By a consumer that is in no group.
    fn alone(&mut self, received: Received, kind: Kind) {
        let Received { consumer, producer, n, redelivered, at } = received;
        let told = self.told.remove(&(consumer, producer.node)).unwrap_or_default();
        if redelivered {
            self.complain(&received, "marked as redelivered outside of a group");
        }
        self.run(&received, told);
        let had = self.had.insert((consumer, producer), Had { next: n + 1, at });
        let Some(had) = had else { return };
        let Some(missing) = n.checked_sub(had.next) else {
            self.had.insert((consumer, producer), had);
            return self
                .complain(&received, &format!("expected {}: doubled or reordered", had.next));
        };
        self.missed += missing;
        if missing != told.missing {
            let told = told.missing;
            let text =
                format!("expected {}: {missing} are missing, {told} were reported", had.next);
            return self.complain(&received, &text);
        }
        let excused = || self.outages.excuse(consumer.node, producer.node, had.at, at);
        if missing > 0 && kind == Kind::Block && !excused() {
            let text = format!("expected {}: {missing} are lost, and nothing was wrong", had.next);
            self.complain(&received, &text);
        }
    }

    /// Is it of the run that it should be of?
    fn run(&mut self, received: &Received, told: Told) {
        let Received { consumer, producer, .. } = received;
        let before = self.runs.insert((*consumer, producer.node), producer.run);
        match before {
            Some(before) if before > producer.run => {
                self.complain(received, "after a later run of that node");
            }
            Some(before) if before < producer.run && !told.restarted => {
                self.complain(received, "and was not told that the producer is a new one");
            }
            Some(before) if before == producer.run && told.restarted => {
                self.complain(received, "and was told that the producer is a new one");
            }
            _ => {}
        }
    }

    /// By a member of a share group.
    fn shared(&mut self, received: Received) {
        let Received { consumer, producer, n, redelivered, at } = received;
        self.shared.entry(producer).or_default().insert(n);
        if redelivered {
            return;
        }
        if !self.originals.entry(producer).or_default().insert(n) {
            self.complain(&received, "which the group has, and neither is marked");
        }
        let had = self.had.insert((consumer, producer), Had { next: n + 1, at });
        if let Some(had) = had.filter(|had| n < had.next) {
            self.complain(&received, &format!("expected {} or later", had.next));
        }
    }

    /// A consumer was told that so many datums of a producer on this node are missing before the
    /// next one; `None`: that it is a new producer.
    pub fn reported(&mut self, consumer: Place, producer_node: usize, missing: Option<u64>) {
        *self.told_in_all.entry(consumer).or_default() += missing.unwrap_or_default();
        let told = self.told.entry((consumer, producer_node)).or_default();
        match missing {
            Some(missing) => told.missing += missing,
            None => told.restarted = true,
        }
    }

    /// How many datums a consumer was told are missing.
    #[must_use]
    pub fn told(&self, consumer: Place) -> u64 {
        self.told_in_all.get(&consumer).copied().unwrap_or_default()
    }

    /// What a consumer lacks of the first `count` datums of a producer, now that all should have
    /// arrived.
    #[must_use]
    pub fn lacks(&self, consumer: Place, producer: Place, count: u64) -> Option<String> {
        if self.kinds.get(producer.stream) == Some(&Kind::Shared) {
            let got = self.shared.get(&producer).map_or(0, |got| got.len() as u64);
            return (got != count)
                .then(|| format!("the group has {got} of {count} datums of {producer:?}"));
        }
        let next = self.had.get(&(consumer, producer)).map(|had| had.next);
        (next != Some(count))
            .then(|| format!("{consumer:?} expects {next:?} of {producer:?}, which sent {count}"))
    }

    fn complain(&mut self, received: &Received, text: &str) {
        let Received { consumer, producer, n, at, .. } = received;
        self.found(format!("{at:?}: {consumer:?} received {n} of {producer:?}, {text}"));
    }

    /// Something else is wrong.
    pub fn found(&mut self, finding: String) {
        self.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::fault::Fault;

    const A: Place = Place { node: 0, run: 0, stream: 0 };
    const B: Place = Place { node: 1, run: 0, stream: 0 };
    const C: Place = Place { node: 2, run: 0, stream: 0 };
    const AGAIN: Place = Place { run: 1, ..B };

    /// What an oracle finds in a history.
    fn findings(kind: Kind, history: impl FnOnce(&mut History)) -> Vec<String> {
        let mut history_of = History { oracle: Oracle::new(vec![kind]), at: 0 };
        history(&mut history_of);
        history_of.oracle.findings
    }

    struct History {
        oracle: Oracle,
        /// A second passes with every datum.
        at: u64,
    }

    impl History {
        fn got(&mut self, consumer: Place, producer: Place, numbers: &[u64]) -> &mut Self {
            numbers.iter().for_each(|n| self.got_one(consumer, producer, *n, false));
            self
        }

        fn got_one(&mut self, consumer: Place, producer: Place, n: u64, redelivered: bool) {
            self.at += 1;
            let at = Duration::from_secs(self.at);
            self.oracle.received(Received { consumer, producer, n, redelivered, at });
        }

        fn told(&mut self, missing: Option<u64>) -> &mut Self {
            self.oracle.reported(A, B.node, missing);
            self
        }

        fn cut(&mut self, secs: u64) -> &mut Self {
            for fault in [Fault::Cut { from: 1, to: 0 }, Fault::Heal] {
                self.oracle.outages.note(2, Duration::from_secs(self.at), &fault);
                self.at += secs;
            }
            self.at -= secs;
            self
        }
    }

    #[track_caller]
    fn one_finding(findings: &[String], about: &str) {
        assert!(findings.len() == 1 && findings[0].contains(about), "{findings:?}");
    }

    #[test]
    fn a_consumer_may_begin_anywhere_and_go_on_from_there() {
        assert!(
            findings(Kind::Block, |it| {
                it.got(A, B, &[5, 6, 7]);
            })
            .is_empty()
        );
    }

    #[test]
    fn what_is_lost_is_found() {
        for kind in [Kind::Block, Kind::DropOldest] {
            let found = findings(kind, |it| {
                it.got(A, B, &[0, 2, 3]);
            });
            one_finding(&found, "1 are missing, 0 were reported");
        }
    }

    #[test]
    fn what_is_doubled_or_reordered_is_found() {
        for kind in [Kind::Block, Kind::DropOldest] {
            let found = findings(kind, |it| {
                it.got(A, B, &[0, 1, 1, 2]);
            });
            one_finding(&found, "doubled or reordered");
            let found = findings(kind, |it| {
                it.got(A, B, &[0, 1, 2, 1, 3]);
            });
            one_finding(&found, "doubled or reordered");
        }
    }

    #[test]
    fn a_report_explains_as_much_as_it_says_and_no_more() {
        for (told, count) in [(4, 0), (3, 1), (5, 1)] {
            let found = findings(Kind::DropOldest, |it| {
                it.got(A, B, &[0]).told(Some(told)).got(A, B, &[5]);
            });
            assert_eq!(found.len(), count, "{found:?}");
        }
        let found = findings(Kind::DropOldest, |it| {
            it.got(A, B, &[0]).told(Some(4)).got(A, B, &[5, 7]);
        });
        one_finding(&found, "1 are missing, 0 were reported");
    }

    #[test]
    fn a_false_report_is_found() {
        let found = findings(Kind::DropOldest, |it| {
            it.got(A, B, &[0]).told(Some(1)).got(A, B, &[1]);
        });
        one_finding(&found, "0 are missing, 1 were reported");
    }

    #[test]
    fn a_reported_gap_without_a_cause_is_found_where_producers_wait() {
        let gap = |it: &mut History| {
            it.got(A, B, &[0]).told(Some(4)).got(A, B, &[5]);
        };
        one_finding(&findings(Kind::Block, gap), "4 are lost, and nothing was wrong");
        assert!(findings(Kind::DropOldest, gap).is_empty());
        for (secs, count) in [(9, 1), (10, 0)] {
            let found = findings(Kind::Block, |it| {
                it.got(A, B, &[0]).cut(secs).told(Some(4)).got(A, B, &[5]);
            });
            assert_eq!(found.len(), count, "{found:?}");
        }
        let found = findings(Kind::Block, |it| {
            it.got(A, B, &[0]).cut(30).got(A, B, &[1, 2]).told(Some(4)).got(A, B, &[7]);
        });
        one_finding(&found, "4 are lost, and nothing was wrong");
    }

    #[test]
    fn an_unreported_restart_is_found_and_a_false_report_of_one_as_well() {
        let silent = findings(Kind::Block, |it| {
            it.got(A, B, &[0]).got(A, AGAIN, &[0, 1]);
        });
        one_finding(&silent, "was not told that the producer is a new one");
        let said = findings(Kind::Block, |it| {
            it.got(A, B, &[0]).told(None).got(A, AGAIN, &[0, 1]);
        });
        assert!(said.is_empty(), "{said:?}");
        let lied = findings(Kind::Block, |it| {
            it.got(A, B, &[0]).told(None).got(A, B, &[1]);
        });
        one_finding(&lied, "and was told that the producer is a new one");
        let back = findings(Kind::Block, |it| {
            it.got(A, AGAIN, &[0]).got(A, B, &[0]);
        });
        one_finding(&back, "after a later run");
    }

    #[test]
    fn producers_consumers_and_their_runs_are_told_apart() {
        let found = findings(Kind::Block, |it| {
            it.got(A, B, &[0]).got(A, C, &[7]).got(Place { run: 1, ..A }, AGAIN, &[9]);
            assert_eq!(it.oracle.lacks(A, B, 1), None);
            assert!(it.oracle.lacks(A, B, 2).is_some() && it.oracle.lacks(C, B, 1).is_some());
        });
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn a_group_gets_each_datum_once_unless_it_is_marked() {
        let found = findings(Kind::Shared, |it| {
            it.got(A, B, &[0, 3]).got(C, B, &[1, 4]);
            it.got_one(C, B, 3, true);
            assert!(it.oracle.lacks(A, B, 5).is_some(), "nobody has 2");
            it.got_one(A, B, 2, true);
            assert_eq!(it.oracle.lacks(A, B, 5), None);
            it.got_one(A, B, 5, true);
            it.got_one(C, B, 5, false);
        });
        assert!(found.is_empty(), "{found:?}");
        let found = findings(Kind::Shared, |it| {
            it.got(A, B, &[0, 1]).got(C, B, &[1, 2]);
        });
        one_finding(&found, "neither is marked");
        let found = findings(Kind::Shared, |it| {
            it.got(A, B, &[0, 2, 1]);
        });
        one_finding(&found, "expected 3 or later");
    }
}
