//! Judges what consumers received: observations go in, findings come out.

use std::collections::BTreeMap;

/// One opening of one end of a stream: node, run of that node, stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub node: usize,
    /// How often the node had been restarted.
    pub run: u32,
    pub stream: usize,
}

/// Nothing may be lost without a report, doubled or reordered between a subscribed consumer and its
/// producer; a consumer may begin anywhere.
#[derive(Debug, Default)]
pub struct Oracle {
    /// The number that a consumer expects next of a producer.
    next: BTreeMap<(Place, Place), u64>,
    /// Datums that were reported as missing, and not yet found to be, by the producer's node.
    reported: BTreeMap<(Place, usize), u64>,
    /// What is wrong.
    pub findings: Vec<String>,
    /// Datums that consumers received.
    pub received: u64,
    /// Datums that went missing, with a report.
    pub missed: u64,
}

impl Oracle {
    /// A consumer received the producer's datum number `n`.
    pub fn received(&mut self, consumer: Place, producer: Place, n: u64) {
        self.received += 1;
        let reported = self.reported.remove(&(consumer, producer.node)).unwrap_or(0);
        let Some(next) = self.next.get_mut(&(consumer, producer)) else {
            self.next.insert((consumer, producer), n + 1);
            return;
        };
        let expected = *next;
        *next = expected.max(n + 1);
        let Some(missing) = n.checked_sub(expected) else {
            let text = format!("{consumer:?} received {n} of {producer:?}, expected {expected}");
            return self.found(text + ": doubled or out of order");
        };
        self.missed += missing;
        if missing != reported {
            let text = format!("{consumer:?} received {n} of {producer:?}, expected {expected}");
            self.found(format!("{text}: {missing} are missing, {reported} were reported"));
        }
    }

    /// A consumer was told that so many datums of a producer on this node are missing before the
    /// next one.
    pub fn reported(&mut self, consumer: Place, producer_node: usize, missing: u64) {
        *self.reported.entry((consumer, producer_node)).or_default() += missing;
    }

    /// The number that a consumer expects next of a producer.
    #[must_use]
    pub fn next(&self, consumer: Place, producer: Place) -> Option<u64> {
        self.next.get(&(consumer, producer)).copied()
    }

    /// Something else is wrong.
    pub fn found(&mut self, finding: String) {
        self.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Place = Place { node: 0, run: 0, stream: 0 };
    const B: Place = Place { node: 1, run: 0, stream: 0 };

    fn findings(numbers: &[u64]) -> usize {
        let mut oracle = Oracle::default();
        numbers.iter().for_each(|n| oracle.received(A, B, *n));
        oracle.findings.len()
    }

    #[test]
    fn a_consumer_may_begin_anywhere_and_go_on_from_there() {
        assert_eq!(findings(&[5, 6, 7]), 0);
    }

    #[test]
    fn what_is_lost_doubled_or_reordered_is_found() {
        assert_eq!(findings(&[0, 2]), 1);
        assert_eq!(findings(&[0, 1, 1, 2]), 1);
        assert_eq!(findings(&[0, 1, 2, 1, 3]), 1);
    }

    #[test]
    fn a_report_explains_as_much_as_it_says_and_no_more() {
        for (reported, findings) in [(4, 0), (3, 1), (5, 1)] {
            let mut oracle = Oracle::default();
            oracle.received(A, B, 0);
            oracle.reported(A, B.node, reported);
            oracle.received(A, B, 5);
            assert_eq!((oracle.findings.len(), oracle.missed), (findings, 4));
            oracle.received(A, B, 7);
            assert_eq!(oracle.findings.len(), findings + 1);
        }
    }

    #[test]
    fn a_false_report_is_found() {
        let mut oracle = Oracle::default();
        oracle.received(A, B, 0);
        oracle.reported(A, B.node, 1);
        oracle.received(A, B, 1);
        assert_eq!(oracle.findings.len(), 1);
    }

    #[test]
    fn producers_and_runs_are_told_apart() {
        let mut oracle = Oracle::default();
        oracle.received(A, B, 0);
        oracle.received(A, Place { run: 1, ..B }, 0);
        oracle.received(Place { run: 1, ..A }, B, 9);
        assert!(oracle.findings.is_empty());
        assert_eq!(oracle.next(A, B), Some(1));
    }
}
