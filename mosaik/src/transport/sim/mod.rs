//! The backend for tests: an in-memory network in tokio's (paused) time.
//!
//! Connections behave as QUIC's do as far as upper layers can tell: streams are ordered and
//! flow-controlled, arrive after the link's latency, survive a short partition and time out in a
//! long one. The same seed gives the same latencies.

mod connection;
mod endpoint;
mod net;
mod pipe;

pub(super) use connection::Connection;
pub(super) use endpoint::Endpoint;
pub(crate) use net::{SimConfig, SimNet};
pub(super) use pipe::{RecvStream, SendStream};
