//! The backend for real networks: QUIC by iroh.

mod connection;
mod endpoint;

pub(super) use connection::{Connection, RecvStream, SendStream};
pub(crate) use endpoint::Options;
pub use endpoint::BindError;
pub(super) use endpoint::{Endpoint, Incoming};
