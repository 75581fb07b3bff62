//! What can go wrong when entries are changed or peers are contacted.

use std::error::Error as StdError;

use crate::id::{NetworkId, PeerId};

/// The error of operations on entries, the catalog and other peers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The entry belongs to another key than the one it was to be signed with. Nothing was
    /// signed; sign with the key of the entry's own peer.
    #[error("the entry of peer {0} cannot be signed with the key of {1}")]
    InvalidSecretKey(PeerId, PeerId),

    /// The entry belongs to another network. Nothing changed.
    #[error("the entry belongs to network {remote_network}, this node to {local_network}")]
    DifferentNetwork {
        /// The network of this node.
        local_network: NetworkId,
        /// What the entry says about its network: a tag derived from its id, never the id.
        remote_network: NetworkId,
    },

    /// The signature does not match the entry. Nothing changed; the entry was forged or damaged.
    #[error("the signature does not match the entry")]
    InvalidSignature,

    /// An address of another peer was given. The entry is unchanged.
    #[error("the address is that of peer {1}, the entry that of peer {0}")]
    PeerIdChanged(PeerId, PeerId),

    /// The change would make the entry larger than other nodes accept. The entry is unchanged;
    /// remove something first.
    #[error("an entry of {size} bytes is above the limit of {limit}")]
    TooLarge {
        /// The size that the entry would have had, in bytes.
        size: usize,
        /// The largest size of an entry, in bytes.
        limit: usize,
    },

    /// The change would make the tickets of the entry larger than other nodes accept. The entry is
    /// unchanged; remove one first.
    #[error("tickets of {size} bytes are above the limit of {limit}")]
    TicketsTooLarge {
        /// What the tickets would have taken together, in bytes, with 64 bytes for each beside its
        /// data.
        size: usize,
        /// The most that they may take.
        limit: usize,
    },

    /// The peer could not be reached. Nothing changed; it may be reachable later, or elsewhere.
    #[error("peer {peer} cannot be reached")]
    Unreachable {
        /// The peer that was dialled.
        peer: PeerId,
        /// Why the dial failed.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The exchange with the peer broke off. What had been exchanged by then is kept; try again.
    #[error("the exchange with peer {peer} broke off")]
    Interrupted {
        /// The peer on the other side.
        peer: PeerId,
        /// What broke it off.
        source: Box<dyn StdError + Send + Sync>,
    },

    /// The peer did not answer in time. What had been exchanged by then is kept; try again.
    #[error("peer {0} did not answer in time")]
    Timeout(PeerId),

    /// The clocks of the peer and of this node differ too much: what the one that is ahead signs is
    /// not believed by the other. What they had to tell of others was exchanged. Set the clock that
    /// is wrong.
    #[error("{0}")]
    ClockSkew(super::ClockSkew),

    /// The network was shut down. Nothing changed.
    #[error("the network was shut down")]
    Cancelled,
}
