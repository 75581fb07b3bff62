//! What a node does that meets a newer run of its own id: its past life, or a twin.
//!
//! Two nodes with one key cannot fight: each may take the other for its past life once, and only
//! while it is young. After that the one with the older start stops.

use std::time::Duration;

use tokio::time::Instant;

/// A node older than this knows its past life's last word: what is newer is a twin.
const YOUNG: Duration = Duration::from_secs(60);

/// How this run of the node began.
#[derive(Debug)]
pub(super) struct Incarnation {
    born: Instant,
    renewed: bool,
}

/// What follows from meeting a record of the own id that is newer than all that was signed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// It has been answered by a newer start already.
    Nothing,
    /// It is taken for one of the past life: from now on the run began at this time.
    Renew(u64),
    /// There is a live twin, and this is the older of the two.
    Stop,
}

impl Incarnation {
    pub(super) fn new(now: Instant) -> Self {
        Self { born: now, renewed: false }
    }

    /// A record of the own id that began at `theirs` was met; this run says that it began at
    /// `ours`.
    pub(super) fn meet(&mut self, ours: u64, theirs: u64, now: Instant) -> Meeting {
        if theirs < ours {
            return Meeting::Nothing;
        }
        let is_young = now.saturating_duration_since(self.born) < YOUNG;
        match theirs.checked_add(1) {
            Some(start) if is_young && !self.renewed => {
                self.renewed = true;
                Meeting::Renew(start)
            }
            _ => Meeting::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_young_node_takes_its_past_life_s_start_and_one_more_once() {
        let born = Instant::now();
        let mut run = Incarnation::new(born);
        assert_eq!(run.meet(10, 9, born), Meeting::Nothing);
        assert_eq!(run.meet(10, 20, born + YOUNG / 2), Meeting::Renew(21));
        // The same record by another way.
        assert_eq!(run.meet(21, 20, born + YOUNG / 2), Meeting::Nothing);
        assert_eq!(run.meet(21, 22, born + YOUNG / 2), Meeting::Stop);
    }

    #[test]
    fn an_older_node_stops_at_once() {
        let born = Instant::now();
        assert_eq!(Incarnation::new(born).meet(10, 11, born + YOUNG), Meeting::Stop);
        assert_eq!(Incarnation::new(born).meet(10, u64::MAX, born), Meeting::Stop);
    }

    proptest! {
        /// Whatever each learns of the other and when, at most one of two ends up stopped by the
        /// other's last word, and they come to rest after a few steps.
        #[test]
        fn two_never_fight(
            starts in (0_u64..1000, 0_u64..1000),
            ages in (0_u64..120, 0_u64..120),
            order in prop::collection::vec(any::<bool>(), 1..20),
        ) {
            let now = Instant::now() + Duration::from_secs(200);
            let born = |age| now - Duration::from_secs(age);
            let mut runs = [Incarnation::new(born(ages.0)), Incarnation::new(born(ages.1))];
            // Equal starts are told apart by what follows in the version.
            let mut starts = [starts.0 * 2, starts.1 * 2 + 1];
            let mut stopped = None;
            let mut changes = 0;
            for second in order.into_iter().chain([false, true].into_iter().cycle().take(10)) {
                let (me, other) = (usize::from(second), usize::from(!second));
                if stopped.is_some() {
                    break;
                }
                match runs[me].meet(starts[me], starts[other], now) {
                    Meeting::Nothing => {}
                    Meeting::Renew(start) => {
                        starts[me] = start;
                        changes += 1;
                    }
                    Meeting::Stop => stopped = Some(me),
                }
            }
            prop_assert!(changes <= 2);
            let stopped = stopped.expect("they do not go on for ever");
            prop_assert!(starts[1 - stopped] >= starts[stopped]);
        }
    }
}
