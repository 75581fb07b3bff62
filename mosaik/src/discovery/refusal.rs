//! Why something that a peer told is not believed, and how often that happened.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::transport::MessageError;

/// Why a record, frame or file from elsewhere was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The bytes are not a message, or lie about themselves, or are not what was asked for; a file
    /// is none that a node has written.
    #[error("malformed")]
    Malformed,
    /// A signature does not match, or a record speaks for another peer.
    #[error("forged")]
    Forged,
    /// Older than what is known, or known and passed on already, or no sign of life within `purge_after`.
    #[error("stale")]
    Stale,
    /// Dated further ahead of this node's clock than `max_time_drift`.
    #[error("dated in the future")]
    Future,
    /// It belongs to another network.
    #[error("of another network")]
    Foreign,
    /// Larger than allowed.
    #[error("oversized")]
    Oversized,
    /// It speaks about this node itself.
    #[error("about this node itself")]
    OwnId,
    /// The neighbour that delivered it, or the peer that it is about, had used up its share.
    #[error("beyond the share of the neighbour or of the peer")]
    Flooded,
    /// The catalog is full.
    #[error("no room left")]
    Full,
    /// A message of a kind that this version does not know.
    #[error("of a later version")]
    Unknown,
    /// The peer did not get on with an exchange, or left the answer unread, for too long.
    #[error("not in time")]
    TimedOut,
}

impl Refusal {
    const ALL: [Self; 11] = [
        Self::Malformed,
        Self::Forged,
        Self::Stale,
        Self::Future,
        Self::Foreign,
        Self::Oversized,
        Self::OwnId,
        Self::Flooded,
        Self::Full,
        Self::Unknown,
        Self::TimedOut,
    ];

    /// As what a message is counted that could not be read; `None` if the peer has just gone.
    pub(super) fn of_message(error: &MessageError) -> Option<Self> {
        match error {
            MessageError::TooLarge { .. } => Some(Self::Oversized),
            MessageError::Malformed | MessageError::Truncated => Some(Self::Malformed),
            MessageError::Unknown => Some(Self::Unknown),
            MessageError::Stream(_) | MessageError::Encoding => None,
        }
    }
}

/// Counts of refusals by reason, since the node started.
#[derive(Default)]
pub struct Refusals {
    counts: [AtomicU64; Refusal::ALL.len()],
}

impl Refusals {
    pub(crate) fn count(&self, refusal: Refusal) {
        self.counts[refusal as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often something was refused for this reason.
    pub fn of(&self, refusal: Refusal) -> u64 {
        self.counts[refusal as usize].load(Ordering::Relaxed)
    }

    /// All reasons with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        Refusal::ALL.into_iter().map(|refusal| (refusal, self.of(refusal)))
    }

    /// How often anything was refused.
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Debug for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().filter(|(_, count)| *count > 0)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_count_of_its_own() {
        let refusals = Refusals::default();
        for (times, refusal) in Refusal::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| refusals.count(refusal));
        }
        for (times, (_, count)) in refusals.iter().enumerate() {
            assert_eq!(count, times as u64);
        }
        assert_eq!(refusals.total(), 55);
    }
}
