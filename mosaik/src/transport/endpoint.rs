//! A node's endpoint, over either backend.

use std::net::IpAddr;

use ::iroh::EndpointAddr;
use tokio::sync::watch;

use super::{
    connection::{Connection, Lane},
    error::DialError,
    iroh, sim,
};

#[derive(Debug)]
pub(super) enum Endpoint {
    Iroh(iroh::Endpoint),
    Sim(sim::Endpoint),
}

impl Endpoint {
    pub(super) fn addr(&self) -> watch::Receiver<EndpointAddr> {
        match self {
            Self::Iroh(endpoint) => endpoint.addr(),
            Self::Sim(endpoint) => endpoint.addr(),
        }
    }

    /// Dials; bounded by the caller.
    pub(super) async fn connect(
        &self,
        to: EndpointAddr,
        lane: Lane,
    ) -> Result<Connection, DialError> {
        match self {
            Self::Iroh(endpoint) => endpoint.connect(to, lane).await.map(Connection::Iroh),
            Self::Sim(endpoint) => endpoint.connect(to, lane).await.map(Connection::Sim),
        }
    }

    /// The next connection attempt; `None` once the endpoint is closed.
    pub(super) async fn accept(&self) -> Option<Incoming> {
        match self {
            Self::Iroh(endpoint) => {
                endpoint.accept().await.map(|incoming| Incoming::Iroh(Box::new(incoming)))
            }
            Self::Sim(endpoint) => {
                let (lane, connection) = endpoint.accept().await?;
                Some(Incoming::Sim(lane, connection))
            }
        }
    }

    /// Tells every peer, and frees the socket.
    pub(super) async fn close(&self) {
        match self {
            Self::Iroh(endpoint) => endpoint.close().await,
            Self::Sim(endpoint) => endpoint.close(),
        }
    }
}

/// A connection attempt.
#[derive(Debug)]
pub(super) enum Incoming {
    Iroh(Box<iroh::Incoming>),
    Sim(Lane, sim::Connection),
}

impl Incoming {
    /// The address that it comes from, if it does so directly.
    pub(super) fn source(&self) -> Option<IpAddr> {
        match self {
            Self::Iroh(incoming) => incoming.source(),
            Self::Sim(..) => None,
        }
    }

    /// Completes the handshake. `None`: it failed.
    pub(super) async fn establish(self) -> Option<(Lane, Connection)> {
        match self {
            Self::Iroh(incoming) => {
                let (lane, connection) = incoming.establish().await?;
                Some((lane, Connection::Iroh(connection)))
            }
            Self::Sim(lane, connection) => Some((lane, Connection::Sim(connection))),
        }
    }

    /// Whether the dialler has shown that it is where it seems to be.
    pub(super) fn is_validated(&self) -> bool {
        match self {
            Self::Iroh(incoming) => incoming.is_validated(),
            Self::Sim(..) => true,
        }
    }

    /// Lets the dialler show that it is where it seems to be; it comes again.
    pub(super) fn retry(self) {
        match self {
            Self::Iroh(incoming) => incoming.retry(),
            // Its address is not in doubt, so that this is not asked.
            Self::Sim(_, connection) => drop(connection),
        }
    }

    /// Turns the dialler away before any work is done for it.
    pub(super) fn refuse(self) {
        match self {
            Self::Iroh(incoming) => incoming.refuse(),
            Self::Sim(_, connection) => drop(connection),
        }
    }
}
