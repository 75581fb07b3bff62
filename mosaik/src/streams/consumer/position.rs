//! Where a subscription stands in its producer's stream. The numbers come from the producer, which
//! may say whatever it likes.

use crate::streams::{frames::Mark, protocol::Place};

#[derive(Debug)]
pub(in crate::streams) struct Position {
    /// Which run of the producer it is in; none in a share group, where places mean nothing.
    epoch: Option<u64>,
    /// The number of the next datum for the application; in a share group, how many it was given.
    next: u64,
    /// So many datums are passed over: the application has them from an earlier subscription.
    skip: u64,
    /// So many datums were given to another member of the share group before.
    redelivered: u64,
}

/// Datums that the application does not get; none if it cannot be known how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::streams) struct Missing(pub(in crate::streams) Option<u64>);

impl Position {
    /// None: in a share group.
    pub(in crate::streams) fn new(place: Option<Place>) -> Self {
        Self {
            epoch: place.map(|place| place.epoch),
            next: place.map_or(0, |place| place.next),
            skip: 0,
            redelivered: 0,
        }
    }

    /// The place of the next datum for the application.
    pub(in crate::streams) fn place(&self) -> Option<Place> {
        self.epoch.map(|epoch| Place { epoch, next: self.next })
    }

    /// The number of that datum; in a share group, how many the application was given.
    pub(in crate::streams) fn next(&self) -> u64 {
        self.next
    }

    /// It follows on what the application has already: passes over what that has, and says what is
    /// missing.
    pub(in crate::streams) fn follow(&mut self, place: Place) -> Option<Missing> {
        let epoch = self.epoch?;
        if place.epoch != epoch {
            return Some(Missing(None));
        }
        if self.next > place.next {
            return Some(Missing(Some(self.next - place.next)));
        }
        self.skip = place.next - self.next;
        self.next = place.next;
        None
    }

    /// Whether the application has the datum already that comes next.
    #[inline]
    pub(in crate::streams) fn has_next(&self) -> bool {
        self.skip > 0
    }

    /// A datum has come that the application has.
    pub(in crate::streams) fn pass_over(&mut self) {
        self.skip = self.skip.saturating_sub(1);
    }

    /// The application takes a datum; true if it was redelivered.
    #[inline]
    pub(in crate::streams) fn take(&mut self) -> bool {
        // There may be no number after the one that the producer has begun with.
        self.next = self.next.saturating_add(1);
        let redelivered = self.redelivered > 0;
        self.redelivered -= u64::from(redelivered);
        redelivered
    }

    /// What the producer has to say at this place; says what is missing.
    #[cold]
    pub(in crate::streams) fn heed(&mut self, mark: Mark) -> Option<Missing> {
        match mark {
            Mark::Skipped(count) => {
                let known = count.min(self.skip);
                self.skip -= known;
                let missed = count - known;
                if self.epoch.is_some() {
                    self.next = self.next.saturating_add(missed);
                }
                return (missed > 0).then_some(Missing(Some(missed)));
            }
            Mark::Redelivered(count) => self.redelivered = count,
            Mark::Unknown => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_may_begin_at_the_last_number_there_is() {
        let mut position = Position::new(Some(Place { epoch: 1, next: u64::MAX }));
        assert!(!position.take());
        assert_eq!(position.next(), u64::MAX);
        let mut position = Position::new(Some(Place { epoch: 1, next: 7 }));
        assert_eq!(position.heed(Mark::Skipped(u64::MAX)), Some(Missing(Some(u64::MAX))));
        assert!(!position.take());
        assert_eq!(position.place(), Some(Place { epoch: 1, next: u64::MAX }));
    }

    #[test]
    fn what_the_application_has_is_passed_over_and_what_it_lacks_is_told() {
        let mut position = Position::new(Some(Place { epoch: 1, next: 5 }));
        assert_eq!(position.follow(Place { epoch: 1, next: 8 }), None);
        assert!(position.has_next());
        position.pass_over();
        assert_eq!(position.heed(Mark::Skipped(3)), Some(Missing(Some(1))));
        assert!(!position.has_next());
        assert_eq!(position.next(), 9);
        assert_eq!(position.follow(Place { epoch: 1, next: 4 }), Some(Missing(Some(5))));
        assert_eq!(position.follow(Place { epoch: 2, next: 4 }), Some(Missing(None)));
    }

    #[test]
    fn in_a_share_group_redelivered_datums_are_marked() {
        let mut position = Position::new(None);
        assert_eq!(position.heed(Mark::Redelivered(1)), None);
        assert!(position.take());
        assert!(!position.take());
        assert_eq!((position.place(), position.next()), (None, 2));
    }
}
