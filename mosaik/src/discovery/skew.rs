//! Clocks that differ by more than is believed.

use std::{collections::HashMap, fmt, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::{
    id::PeerId,
    transport::{Clocks, Link},
};

/// A difference that lasts is told again after this time.
const TELL_AGAIN: Duration = Duration::from_secs(60 * 60);
/// Peers that are remembered at once.
const MAX_PEERS: usize = 1024;

/// A peer's clock and this node's differ by more than `max_time_drift`: what the one of the two
/// signs that is ahead is not believed by the other. Set the clock that is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSkew {
    /// The peer.
    pub peer: PeerId,
    /// What this node's clock showed.
    pub ours: DateTime<Utc>,
    /// What the peer's clock showed at that moment, or what it has dated so.
    pub theirs: DateTime<Utc>,
}

impl ClockSkew {
    /// What the clocks of both ends of a link showed in its hello.
    pub(super) fn between(link: &Link) -> Self {
        let Clocks { ours_ms, theirs_ms } = link.clocks();
        let date = |ms| DateTime::from_timestamp_millis(ms).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Self { peer: link.peer(), ours: date(ours_ms), theirs: date(theirs_ms) }
    }
}

impl fmt::Display for ClockSkew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { peer, ours, theirs } = self;
        let ahead = if theirs > ours { "ahead of" } else { "behind" };
        let by = (*theirs - *ours).abs().num_seconds();
        write!(f, "the clock of peer {} is {by} s {ahead} this node's ({theirs}, here {ours})", {
            peer.fmt_short()
        })
    }
}

/// The peers of which it was told not long ago.
#[derive(Debug, Default)]
pub(super) struct Skews {
    told: HashMap<PeerId, Instant>,
}

impl Skews {
    /// Whether this is to be told: once for each peer in a while.
    pub(super) fn is_news(&mut self, peer: &PeerId, now: Instant) -> bool {
        if self.told.get(peer).is_some_and(|at| *at + TELL_AGAIN > now) {
            return false;
        }
        if self.told.len() >= MAX_PEERS {
            self.told.retain(|_, at| *at + TELL_AGAIN > now);
        }
        // With that many in an hour, one more line of log helps nobody.
        self.told.len() < MAX_PEERS && self.told.insert(*peer, now).is_none_or(|at| at < now)
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn each_peer_is_told_of_once_in_a_while() {
        let id = |seed| SecretKey::from_bytes(&[seed; 32]).public();
        let (mut skews, now) = (Skews::default(), Instant::now());
        assert!(skews.is_news(&id(1), now));
        assert!(!skews.is_news(&id(1), now + TELL_AGAIN / 2));
        assert!(skews.is_news(&id(2), now));
        assert!(skews.is_news(&id(1), now + TELL_AGAIN));
    }

    #[test]
    fn the_text_says_who_is_ahead_and_by_how_much() {
        let peer = SecretKey::from_bytes(&[1; 32]).public();
        let ours: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        let theirs = ours + Duration::from_secs(90);
        let ahead = ClockSkew { peer, ours, theirs }.to_string();
        assert!(ahead.contains("90 s ahead of this node's"), "{ahead}");
        let behind = ClockSkew { peer, ours: theirs, theirs: ours }.to_string();
        assert!(behind.contains("90 s behind this node's"), "{behind}");
    }
}
