//! The backend for real networks: QUIC by iroh.

mod connection;
mod endpoint;

pub(super) use connection::{Connection, RecvStream, SendStream};
pub use endpoint::BindError;
pub(crate) use endpoint::Options;
pub(super) use endpoint::{Endpoint, Incoming};
