//! What applications hear about peers.

use super::entry::PeerEntry;
use crate::id::PeerId;

/// A change in who is known to be out there.
///
/// Every peer's events come in order: discovered once, updated at each newer version of its
/// entry, departed once; then, if it comes back, discovered again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer was seen for the first time, or again after it had departed.
    PeerDiscovered(PeerEntry),
    /// A peer changed its entry.
    PeerUpdated(PeerEntry),
    /// A peer said goodbye, or gave no sign of life for `purge_after`.
    PeerDeparted(PeerId),
}
