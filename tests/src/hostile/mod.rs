//! Hostile peers: a raw QUIC client and nodes that speak the protocol and lie.
//!
//! Nothing here uses mosaik's own encoders: the wire format is written a second time, from its
//! description, so that an attack can say what no honest node would.

mod attacks;
mod campaign;
mod files;
mod node;
mod pair;
mod peer;
mod wire;

pub use attacks::{Attack, Victim};
pub use campaign::{Outcome, Scale, measure, withstand};
pub use files::HostileFiles;
pub use node::{attacked, honest};
pub use peer::{Attacker, Session};
