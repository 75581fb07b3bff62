//! Who is out there: entries, the catalog of them, and the ways in which they spread.

mod admission;
mod beat;
mod bootstrap;
mod catalog;
mod config;
mod derived;
mod entry;
mod error;
mod event;
mod gossip;
mod node_ticket;
mod peer_info;
mod refusal;
mod shared;
mod sync;
mod version;

pub use bootstrap::{Bootstrap, BootstrapError, BootstrapHost};
pub use catalog::Catalog;
pub use config::{Config, ConfigBuilder, ConfigBuilderError};
pub use entry::{PeerEntry, SignedPeerEntry};
pub use error::Error;
pub use event::Event;
pub use node_ticket::{NodeTicket, NodeTicketError};
pub use peer_info::PeerInfo;
pub use refusal::{Refusal, Refusals};
pub use version::PeerEntryVersion;
