//! How many short packets of a subscription may be under way.
//!
//! A receiver keeps what arrives, and is not read or waits for a lost packet, in pieces; QUIC
//! implementations bound their number and close the connection beyond it (noq: 1,024 of a stream).
//! Full packets stay below that by the stream's window alone. Short ones do not: a datum now and
//! then, each in a packet of its own, and a consumer that does not read for a while. So only so
//! many writes may be unacknowledged; beyond that, data are gathered until they are worth several
//! packets. It is Nagle's algorithm (RFC 896) with more than one short segment allowed.

use std::collections::VecDeque;

/// Writes, each of which may end with a short packet, that may be unacknowledged.
const MAX_UNACKNOWLEDGED: usize = 128;
/// So many bytes are written even then: the short packet at their end is one of many.
const GATHERED_BYTES: u64 = 16 * 1024;

/// The writes that the consumer has not acknowledged.
#[derive(Debug, Default)]
pub(super) struct SmallWrites {
    /// The number of the frame behind each write.
    ends: VecDeque<u64>,
}

impl SmallWrites {
    /// Whether so many are under way that these few bytes wait for more, or for the consumer.
    pub(super) fn hold_back(&self, bytes: u64) -> bool {
        bytes < GATHERED_BYTES && self.is_full()
    }

    fn is_full(&self) -> bool {
        self.ends.len() >= MAX_UNACKNOWLEDGED
    }

    /// None of them arrives any more.
    pub(super) fn forget(&mut self) {
        self.ends.clear();
    }

    /// Everything before the frame `end` has been written.
    pub(super) fn wrote(&mut self, end: u64) {
        if self.ends.len() < MAX_UNACKNOWLEDGED {
            self.ends.push_back(end);
        } else if let Some(last) = self.ends.back_mut() {
            // A long write on top: with it, the last of the short ones is acknowledged later.
            *last = end;
        }
    }

    /// The consumer has taken everything before the frame `next`.
    pub(super) fn acknowledged(&mut self, next: u64) {
        let taken = self.ends.partition_point(|end| *end <= next);
        self.ends.drain(..taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_writes_are_counted_until_they_are_acknowledged() {
        let mut writes = SmallWrites::default();
        for end in 1..=MAX_UNACKNOWLEDGED as u64 {
            assert!(!writes.hold_back(1));
            writes.wrote(end);
        }
        assert!(writes.hold_back(1) && !writes.hold_back(GATHERED_BYTES));
        writes.acknowledged(0);
        assert!(writes.hold_back(1));
        writes.acknowledged(1);
        assert!(!writes.hold_back(1));
        writes.acknowledged(u64::MAX);
        assert!(writes.ends.is_empty());
    }

    #[test]
    fn a_long_write_on_top_takes_no_memory() {
        let mut writes = SmallWrites::default();
        (1..=1000).for_each(|end| writes.wrote(end));
        assert!(writes.is_full() && writes.ends.len() == MAX_UNACKNOWLEDGED);
        writes.acknowledged(999);
        assert_eq!(writes.ends, [1000]);
    }
}
