//! What goes between a member and the others.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a member has said and heard in one group, whatever the lane: messages, and their bytes
/// without framing and encryption. Heartbeats are left out: those of all groups travel together.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: Count,
    pub(crate) received: Count,
}

/// Messages of one direction.
#[derive(Debug, Default)]
pub(crate) struct Count {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Count {
    /// One message of this length.
    pub(super) fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
