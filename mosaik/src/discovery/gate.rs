//! Who is let into this node's view of the network.

use chrono::{DateTime, Utc};

use super::entry::PeerEntry;
use crate::ticket::Verdict;

/// Judges the tickets of every peer. It is asked without any lock being held.
pub(crate) trait Gate: Send + Sync + 'static {
    /// What the peer's tickets come to at this date.
    fn judge(&self, peer: &PeerEntry, now: DateTime<Utc>) -> Verdict;

    /// Whether tickets that are judged are not here.
    fn lacks_tickets(&self, peer: &PeerEntry) -> bool;
}
