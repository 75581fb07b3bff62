//! The backend for real networks: QUIC by iroh.

mod connection;
mod endpoint;

pub(super) use connection::{Connection, RecvStream, SendStream};
pub(crate) use endpoint::{BindError, Options};
pub(super) use endpoint::{Endpoint, Incoming};
