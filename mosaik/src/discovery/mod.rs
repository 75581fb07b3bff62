//! Who is out there: entries, the catalog of them, and the ways in which they spread.

mod beat;
mod catalog;
mod derived;
mod entry;
mod error;
mod event;
mod gossip;
mod peer_info;
mod refusal;
mod version;

pub use catalog::Catalog;
pub use entry::{PeerEntry, SignedPeerEntry};
pub use error::Error;
pub use event::Event;
pub use peer_info::PeerInfo;
pub use refusal::{Refusal, Refusals};
pub use version::PeerEntryVersion;
