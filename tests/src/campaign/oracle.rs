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

/// What one consumer has of one producer.
#[derive(Debug, Default)]
struct Channel {
    /// The number that comes next; none before the first datum.
    next: Option<u64>,
    /// How many times the link between the two may have ended since the last hole.
    breaks: u32,
    /// Datums that were reported as missing, and not yet found to be.
    reported: u64,
}

/// Nothing may be lost, doubled or reordered between a subscribed consumer and its producer; a
/// consumer may begin anywhere.
#[derive(Debug, Default)]
pub struct Oracle {
    channels: BTreeMap<(Place, Place), Channel>,
    pub findings: Vec<String>,
    pub received: u64,
    /// Datums that went missing where that is allowed.
    pub missed: u64,
}

impl Oracle {
    /// A consumer received the producer's datum number `n`.
    pub fn received(&mut self, consumer: Place, producer: Place, n: u64) {
        self.received += 1;
        let channel = self.channels.entry((consumer, producer)).or_default();
        let next = channel.next.replace(n + 1);
        let Some(expected) = next else { return };
        if n < expected {
            channel.next = Some(expected);
            let what = if n + 1 == expected { "twice" } else { "late or twice" };
            self.findings.push(format!("{consumer:?} received {n} of {producer:?} {what}"));
        } else if n > expected {
            if channel.allows(n - expected) {
                self.missed += n - expected;
            } else {
                self.findings.push(format!(
                    "{consumer:?} received {n} of {producer:?}, expected {expected}: lost without \
                     a word"
                ));
            }
        }
    }

    /// The link between two nodes may have ended, or one of them has.
    pub fn broke(&mut self, a: usize, b: usize) {
        for ((consumer, producer), channel) in &mut self.channels {
            if [(a, b), (b, a)].contains(&(consumer.node, producer.node)) {
                channel.breaks += 1;
            }
        }
    }

    /// The number that a consumer expects next of a producer.
    #[must_use]
    pub fn next(&self, consumer: Place, producer: Place) -> Option<u64> {
        self.channels.get(&(consumer, producer))?.next
    }

    pub fn found(&mut self, finding: String) {
        self.findings.push(finding);
    }
}

impl Channel {
    /// Whether so many datums may be missing here.
    ///
    /// Until streams resume and report gaps, a link that ended is what explains a hole. With that,
    /// only a report is.
    fn allows(&mut self, missing: u64) -> bool {
        if self.reported >= missing {
            self.reported -= missing;
            return true;
        }
        let explained = self.breaks > 0;
        self.breaks = self.breaks.saturating_sub(1);
        explained
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
    fn a_link_that_ended_explains_one_hole() {
        let mut oracle = Oracle::default();
        oracle.received(A, B, 0);
        oracle.broke(1, 0);
        oracle.received(A, B, 5);
        assert!(oracle.findings.is_empty());
        assert_eq!(oracle.missed, 4);
        oracle.received(A, B, 7);
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
