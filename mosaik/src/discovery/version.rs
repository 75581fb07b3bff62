//! The version of an entry: when its owner started, and when it last changed the entry.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Orders the entries of one peer: the later start wins, then the later change.
///
/// Both are dates in microseconds since 1970, told by the owner's clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PeerEntryVersion {
    start: u64,
    update: u64,
}

impl PeerEntryVersion {
    pub(crate) const fn new(start: u64, update: u64) -> Self {
        Self { start, update }
    }

    pub(crate) const fn start(&self) -> u64 {
        self.start
    }

    pub(crate) const fn update(&self) -> u64 {
        self.update
    }

    /// The next version of the same run: dated `now`, and later than this one in any case.
    pub(crate) fn next(self, now: u64) -> Self {
        Self { start: self.start, update: now.max(self.update.saturating_add(1)) }
    }

    /// When the owner of the entry started, by its own clock.
    pub fn started_at(&self) -> DateTime<Utc> {
        date(self.start)
    }

    /// When the owner last changed the entry, by its own clock.
    pub fn updated_at(&self) -> DateTime<Utc> {
        date(self.update)
    }
}

/// `start.update`, both in microseconds since 1970.
impl fmt::Display for PeerEntryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.start, self.update)
    }
}

/// A date in microseconds since 1970; dates before that count as 1970.
pub(crate) fn micros(date: DateTime<Utc>) -> u64 {
    u64::try_from(date.timestamp_micros()).unwrap_or(0)
}

/// A span in microseconds, cut to what 64 bits hold.
pub(crate) fn span_micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// The date of a number from the wire; one beyond chrono's range is shown as its last date.
pub(crate) fn date(micros: u64) -> DateTime<Utc> {
    i64::try_from(micros)
        .ok()
        .and_then(DateTime::from_timestamp_micros)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_start_wins_whatever_the_update() {
        assert!(PeerEntryVersion::new(2, 2) > PeerEntryVersion::new(1, 9));
        assert!(PeerEntryVersion::new(2, 3) > PeerEntryVersion::new(2, 2));
        assert_eq!(PeerEntryVersion::new(1, 2).to_string(), "1.2");
    }

    #[test]
    fn the_next_version_is_later_even_when_the_clock_is_not() {
        let version = PeerEntryVersion::new(5, 10);
        assert_eq!(version.next(20), PeerEntryVersion::new(5, 20));
        assert_eq!(version.next(3), PeerEntryVersion::new(5, 11));
    }

    #[test]
    fn dates_beyond_the_calendar_do_not_panic() {
        assert_eq!(date(u64::MAX), DateTime::<Utc>::MAX_UTC);
        assert_eq!(micros(date(1_000_000)), 1_000_000);
    }
}
