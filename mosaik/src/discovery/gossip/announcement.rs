//! What is announced to everyone, and when.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::discovery::{
    beat::{Beat, Departure, Raw},
    entry::RawEntry,
    version::PeerEntryVersion,
};

/// Changes that come within this time go out as one.
const COALESCE: Duration = Duration::from_millis(20);
/// New neighbours are no reason to repeat the entry more than once in this time.
const REPEAT_PAUSE: Duration = Duration::from_secs(5);

/// The content of a gossip message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Announcement {
    Entry(RawEntry),
    Beat(Raw<Beat>),
    Departure(Raw<Departure>),
}

/// What is to be announced now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The entry as it is now.
    Entry,
    /// That this node is alive.
    Beat,
}

/// Decides when the node announces what, as a value: whoever drives it tells the time.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// When waiting changes go out.
    changes_at: Option<Instant>,
    /// When the next periodic beat goes out.
    beat_at: Instant,
    last_sent: Option<Instant>,
    /// The version that the neighbours were told.
    announced: Option<PeerEntryVersion>,
}

impl Schedule {
    pub(crate) fn new(first_beat: Instant) -> Self {
        Self { changes_at: None, beat_at: first_beat, last_sent: None, announced: None }
    }

    /// The entry changed, or there is a new neighbour who may not know of it.
    pub(crate) fn prompt(&mut self, now: Instant) {
        self.changes_at.get_or_insert(now + COALESCE);
    }

    /// When [`Schedule::due`] has something to say.
    pub(crate) fn next(&self) -> Instant {
        self.changes_at.map_or(self.beat_at, |at| at.min(self.beat_at))
    }

    /// What is to be announced at this time, if the entry is at `version`. With nobody to hear
    /// it there is nothing to announce: the first neighbour prompts again. A later one may lead
    /// to others who know nothing of us, so the entry is repeated, but not too often.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        version: PeerEntryVersion,
        has_neighbors: bool,
        beat_interval: impl FnOnce() -> Duration,
    ) -> Option<Due> {
        let prompted = self.changes_at.take_if(|at| *at <= now).is_some();
        let periodic = self.beat_at <= now;
        if periodic {
            self.beat_at = now + beat_interval();
        }
        if !has_neighbors {
            return None;
        }
        let repeat_at = self.last_sent.map(|at| at + REPEAT_PAUSE).filter(|at| *at > now);
        let due = match (prompted, repeat_at) {
            (true, Some(repeat_at)) if self.announced == Some(version) => {
                self.changes_at = Some(repeat_at);
                return None;
            }
            (true, _) => Due::Entry,
            (false, _) if periodic => Due::Beat,
            (false, _) => return None,
        };
        self.last_sent = Some(now);
        self.announced = Some(version);
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn version(update: u64) -> PeerEntryVersion {
        PeerEntryVersion::new(1, update)
    }

    #[test]
    fn changes_within_20_ms_go_out_as_one() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start + MINUTE);
        schedule.prompt(start);
        schedule.prompt(start + COALESCE / 2);
        assert_eq!(schedule.next(), start + COALESCE);
        assert_eq!(schedule.due(start + COALESCE / 2, version(1), true, || MINUTE), None);
        let now = start + COALESCE;
        assert_eq!(schedule.due(now, version(1), true, || MINUTE), Some(Due::Entry));
        assert_eq!(schedule.due(now, version(1), true, || MINUTE), None);
        assert_eq!(schedule.next(), start + MINUTE);
    }

    #[test]
    fn without_neighbours_nothing_counts_as_announced() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start + MINUTE);
        schedule.prompt(start);
        assert_eq!(schedule.due(start + COALESCE, version(1), false, || MINUTE), None);
        schedule.prompt(start + MINUTE / 2);
        let now = start + MINUTE / 2 + COALESCE;
        assert_eq!(schedule.due(now, version(1), true, || MINUTE), Some(Due::Entry));
    }

    #[test]
    fn further_neighbours_are_told_as_well_but_not_too_often() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start + MINUTE);
        let at = |ms| start + Duration::from_millis(ms);
        schedule.prompt(start);
        assert_eq!(schedule.due(at(20), version(1), true, || MINUTE), Some(Due::Entry));
        schedule.prompt(at(100));
        assert_eq!(schedule.due(at(120), version(1), true, || MINUTE), None);
        assert_eq!(schedule.next(), at(5020));
        assert_eq!(schedule.due(at(5020), version(1), true, || MINUTE), Some(Due::Entry));
        assert_eq!(schedule.due(at(9000), version(1), true, || MINUTE), None);
    }

    #[test]
    fn beats_are_periodic() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start + MINUTE);
        assert_eq!(schedule.due(start + MINUTE, version(1), true, || MINUTE), Some(Due::Beat));
        assert_eq!(schedule.next(), start + 2 * MINUTE);
    }
}
