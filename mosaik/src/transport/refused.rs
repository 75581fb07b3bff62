//! How often somebody was turned away, by reason.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use super::close::CloseReason;

/// Counts of the connections and streams that this node turned away since it started.
#[derive(Debug, Default)]
pub(super) struct Refused(Mutex<HashMap<CloseReason, u64>>);

impl Refused {
    pub(super) fn count(&self, reason: CloseReason) {
        // Codes that only a peer knows count as one: there may be four billion of them.
        let reason = match reason {
            CloseReason::Unknown(_) => CloseReason::Unknown(0),
            known => known,
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(reason).or_default() += 1;
    }

    /// All reasons that occurred, by their numbers.
    pub(super) fn all(&self) -> Vec<(CloseReason, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = counts.iter().map(|(reason, count)| (*reason, *count)).collect();
        all.sort_by_key(|(reason, _)| reason.code());
        all
    }
}
