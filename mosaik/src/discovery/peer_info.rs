//! A peer as predicates see it: its entry and what this node has measured itself.

use std::{ops::Deref, time::Duration};

use super::entry::PeerEntry;

/// A peer's entry with the round-trip time to it, as far as this node knows it.
///
/// Predicates of producers and consumers (`require(|peer| ..)`) are given one.
#[derive(Clone, Debug)]
pub struct PeerInfo {
    entry: PeerEntry,
    rtt: Option<Duration>,
}

impl PeerInfo {
    pub(crate) fn new(entry: PeerEntry, rtt: Option<Duration>) -> Self {
        Self { entry, rtt }
    }

    /// The round-trip time to the peer; `None` if this node has no connection to it.
    pub fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// Whether the round-trip time is below this limit; true when it is unknown.
    pub fn rtt_below(&self, limit: Duration) -> bool {
        self.rtt.is_none_or(|rtt| rtt < limit)
    }

    /// The entry alone.
    pub fn into_entry(self) -> PeerEntry {
        self.entry
    }
}

impl Deref for PeerInfo {
    type Target = PeerEntry;

    fn deref(&self) -> &PeerEntry {
        &self.entry
    }
}

impl AsRef<PeerEntry> for PeerInfo {
    fn as_ref(&self) -> &PeerEntry {
        &self.entry
    }
}

impl From<PeerInfo> for PeerEntry {
    fn from(info: PeerInfo) -> Self {
        info.entry
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn an_unknown_round_trip_time_passes_every_limit() {
        let entry = PeerEntry::new("net", SecretKey::from_bytes(&[1; 32]).public());
        let limit = Duration::from_millis(10);
        assert!(PeerInfo::new(entry.clone(), None).rtt_below(limit));
        assert!(PeerInfo::new(entry.clone(), Some(limit / 2)).rtt_below(limit));
        assert!(!PeerInfo::new(entry, Some(limit)).rtt_below(limit));
    }
}
