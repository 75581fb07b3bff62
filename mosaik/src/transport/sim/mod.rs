//! The backend for tests: an in-memory network in tokio's (paused) time.
//!
//! Connections behave as QUIC's do as far as upper layers can tell. Streams are ordered and
//! flow-controlled. What is sent arrives after the latency of its direction, which a seed draws,
//! plus jitter, the line before a narrow link, and the pauses until lost packets were sent again;
//! all of that delays a stream as a whole and no other one. While a direction is cut nothing gets
//! through; after that what was under way is sent again. An end that hears nothing for the idle
//! time ends its connection without a word, so the other end does after another idle time; so
//! does the far end of a node that crashed.
//!
//! Not modelled: congestion control, acknowledgements and keep-alives as traffic (a cut way back
//! does not slow a sender down until its connection ends), stateless resets, migration.

mod connection;
mod endpoint;
mod faults;
mod net;
mod path;
mod pipe;
mod quality;
mod queue;
#[cfg(test)]
mod tests;
mod traffic;

pub(super) use connection::Connection;
pub(super) use endpoint::Endpoint;
pub(crate) use net::{SimConfig, SimNet};
pub(super) use pipe::{RecvStream, SendStream};
pub use quality::LinkQuality;
pub use traffic::Traffic;
