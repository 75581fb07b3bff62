//! Who takes part in a group, and in which of its lives.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    fmt::ShortFmtExt,
    id::{PeerId, UniqueId},
};

/// A member as Raft knows it: a peer, and one life of its log.
///
/// A node that has lost its log is a new member: its session is another random number.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct MemberId {
    peer: [u8; 32],
    session: u64,
}

impl MemberId {
    pub(crate) fn new(peer: &PeerId, session: u64) -> Self {
        Self { peer: *peer.as_bytes(), session }
    }

    /// The peer; `None` if these bytes, which may come from anybody, are nobody's key.
    pub(crate) fn peer(&self) -> Option<PeerId> {
        PeerId::from_bytes(&self.peer).ok()
    }

    pub(crate) fn is_of(&self, peer: &PeerId) -> bool {
        self.peer == *peer.as_bytes()
    }

    pub(crate) fn session(&self) -> u64 {
        self.session
    }
}

/// Only openraft's own tests make members of numbers.
#[cfg(test)]
impl From<u64> for MemberId {
    fn from(number: u64) -> Self {
        let mut peer = [0; 32];
        peer[..8].copy_from_slice(&number.to_be_bytes());
        Self { peer, session: number }
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:08x}", UniqueId::from_bytes(self.peer).short(), self.session as u32)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One life of a group, within which everything is plain Raft. Of two, the older is the smaller.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct IncarnationId {
    created_us: u64,
    random: [u8; 16],
}

impl IncarnationId {
    /// `created_us`: microseconds since 1970 by the founder's clock.
    pub(crate) fn new(created_us: u64, random: [u8; 16]) -> Self {
        Self { created_us, random }
    }
}

impl IncarnationId {
    /// When it was founded, by the founder's clock: in milliseconds since 1970.
    pub(crate) fn founded_ms(&self) -> u64 {
        self.created_us / 1000
    }
}

impl fmt::Display for IncarnationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.random[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for IncarnationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
