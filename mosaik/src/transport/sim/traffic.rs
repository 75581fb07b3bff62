//! What is sent over the simulated network: counted by node, and digested over all.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use crate::id::PeerId;

/// What a simulated node has sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Writes to streams: about one for each message of a protocol. What QUIC sends by itself
    /// (handshakes, acknowledgements, keep-alives) is not counted.
    pub messages: u64,
    /// Their bytes, without headers of packets.
    pub bytes: u64,
    /// Connections that it dialled and that were established.
    pub dials: u64,
}

/// Counts what one node sends.
#[derive(Debug, Default)]
pub(super) struct Counters {
    messages: AtomicU64,
    bytes: AtomicU64,
    dials: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self, bytes: usize) {
        self.messages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn dialled(&self) {
        self.dials.fetch_add(1, Relaxed);
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            messages: self.messages.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            dials: self.dials.load(Relaxed),
        }
    }
}

/// What happened on the network.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) enum Event {
    Dialled,
    Sent(usize),
    Closed,
    Crashed,
    Joined,
    Left,
}

/// A running hash of all events and their times: two runs are the same if theirs are.
#[derive(Debug, Default)]
pub(super) struct Digest(DefaultHasher);

impl Digest {
    pub(super) fn add(&mut self, at: Duration, from: &PeerId, to: &PeerId, event: Event) {
        at.as_micros().hash(&mut self.0);
        from.as_bytes().hash(&mut self.0);
        to.as_bytes().hash(&mut self.0);
        event.hash(&mut self.0);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.finish()
    }
}
