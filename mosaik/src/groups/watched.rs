//! How far a log is, for those who wait for it.

use std::collections::VecDeque;

use super::index::{Cursor, Index};

/// So many of the places that the log was cut back to are remembered.
const MAX_CUTS: usize = 16;

/// How far a log is, and to where it was cut back before: who waits for that may look too late to
/// see it shorter.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    end: Cursor,
    /// How often it was cut back.
    cuts: u64,
    /// The number and the place of the last cuts, without those that a later one went further
    /// back than.
    lowest: VecDeque<(u64, Index)>,
}

impl Watched {
    /// The last command.
    pub(crate) fn end(&self) -> Cursor {
        self.end
    }

    /// How often it was cut back until now.
    pub(crate) fn cuts(&self) -> u64 {
        self.cuts
    }

    /// It ends here now. Says whether that is new.
    pub(crate) fn set(&mut self, end: Cursor) -> bool {
        if end == self.end {
            return false;
        }
        let index = end.index();
        if index < self.end.index() {
            self.cuts += 1;
            while self.lowest.back().is_some_and(|(_, other)| *other >= index) {
                self.lowest.pop_back();
            }
            if self.lowest.len() >= MAX_CUTS {
                self.lowest.pop_front();
            }
            self.lowest.push_back((self.cuts, index));
        }
        self.end = end;
        true
    }

    /// Whether it was cut back to before this command since there were so many cuts.
    pub(crate) fn was_before(&self, index: Index, cuts: u64) -> bool {
        let mut since = self.lowest.iter().filter(|(number, _)| *number > cuts);
        since.any(|(_, lowest)| *lowest < index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::index::Term;

    fn at(term: u64, index: u64) -> Cursor {
        Cursor(Term(term), Index(index))
    }

    #[test]
    fn a_tail_that_was_replaced_is_seen_by_who_looks_late() {
        let mut log = Watched::default();
        assert!(log.set(at(1, 9)) && !log.set(at(1, 9)));
        let before = (log.end().index(), log.cuts());
        // A leader's first entry is no command.
        assert!(log.set(at(2, 9)));
        assert!(!log.was_before(before.0, before.1));
        assert!(log.set(at(2, 7)) && log.set(at(3, 20)));
        assert!(log.was_before(before.0, before.1));
        assert!(!log.was_before(Index(7), before.1));
        // Who asks from now on knows nothing of it.
        assert!(!log.was_before(log.end().index(), log.cuts()));
    }

    #[test]
    fn the_lowest_of_several_cuts_counts_and_few_are_kept() {
        let mut log = Watched::default();
        for low in [5, 3, 8] {
            log.set(at(1, 10));
            log.set(at(1, low));
        }
        assert_eq!(log.lowest, [(2, Index(3)), (3, Index(8))]);
        assert!(log.was_before(Index(4), 1) && !log.was_before(Index(4), 2));
        for low in 10..100 {
            log.set(at(2, low + 1));
            log.set(at(2, low));
        }
        assert_eq!(log.lowest.len(), MAX_CUTS);
        log.set(Cursor::zero());
        assert_eq!(log.lowest, [(log.cuts(), Index(0))]);
    }
}
