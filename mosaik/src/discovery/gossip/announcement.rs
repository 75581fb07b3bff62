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
/// Changes that go out without a pause. Others do not pass on more than three times as many of one
/// peer.
const CHANGES_AT_ONCE: u32 = 10;
/// The pause between changes after that.
const CHANGES_PAUSE: Duration = Duration::from_millis(500);

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
    /// Until when this node's share of announcements is used up by those that went out.
    spent_until: Option<Instant>,
    /// The version that the neighbours were told.
    announced: Option<PeerEntryVersion>,
}

impl Schedule {
    pub(crate) fn new(first_beat: Instant) -> Self {
        Self {
            changes_at: None,
            beat_at: first_beat,
            last_sent: None,
            spent_until: None,
            announced: None,
        }
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
        let repeat_at = self.last_sent.map(|at| at + REPEAT_PAUSE);
        let repeat_at = repeat_at.filter(|_| self.announced == Some(version));
        let waits_until = repeat_at.max(self.next_change(now)).filter(|at| *at > now);
        let due = match (prompted, waits_until) {
            (true, Some(at)) => {
                self.changes_at = Some(at);
                return None;
            }
            (true, None) => Due::Entry,
            (false, _) if periodic => Due::Beat,
            (false, _) => return None,
        };
        self.last_sent = Some(now);
        self.announced = Some(version);
        if due == Due::Entry {
            let spent = self.spent_until.unwrap_or(now).max(now);
            self.spent_until = Some(spent + CHANGES_PAUSE);
        }
        Some(due)
    }

    /// When the entry may go out, if that is not now.
    fn next_change(&self, now: Instant) -> Option<Instant> {
        let ahead = self.spent_until?.saturating_duration_since(now);
        let wait = ahead.saturating_sub(CHANGES_PAUSE * (CHANGES_AT_ONCE - 1));
        (!wait.is_zero()).then(|| now + wait)
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
    fn many_changes_go_out_at_a_limited_rate_and_the_last_one_does() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start + 2 * MINUTE);
        let mut sent = Vec::new();
        let changes = 1000_u64;
        for ms in 0..20_000 {
            let now = start + Duration::from_millis(ms);
            let last = (ms / 10 + 1).min(changes);
            if ms % 10 == 0 && ms / 10 < changes {
                schedule.prompt(now);
            }
            if schedule.next() <= now
                && schedule.due(now, version(last), true, || MINUTE) == Some(Due::Entry)
            {
                sent.push((ms, last));
            }
        }
        let within = |from, to| sent.iter().filter(|(ms, _)| (from..to).contains(ms)).count();
        assert_eq!(within(0, 500), 10, "the first go out as they come");
        assert!(within(0, 10_000) <= 30, "{sent:?}");
        assert!(within(5000, 10_000) >= 9, "{sent:?}");
        let (at, last) = sent[sent.len() - 1];
        assert!(last == changes && at < 10_520, "{at}");
        assert!(sent.windows(2).all(|pair| pair[0].1 < pair[1].1), "{sent:?}");
    }

    #[test]
    fn beats_are_periodic() {
        let start = Instant::now();
        let mut schedule = Schedule::new(start + MINUTE);
        assert_eq!(schedule.due(start + MINUTE, version(1), true, || MINUTE), Some(Due::Beat));
        assert_eq!(schedule.next(), start + 2 * MINUTE);
    }
}
