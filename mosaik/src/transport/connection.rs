//! A connection between two endpoints, over either backend.

use std::time::Duration;

use super::{
    close::CloseReason,
    error::OpenError,
    iroh, sim,
    stream::{RecvStream, SendStream},
};
use crate::id::PeerId;

/// Bytes that one unread stream of a lane beside control may hold at the receiver. In full packets
/// of 1,200 bytes some 800 pieces: noq closes a connection when more than 1,024 of one stream are
/// unread, and short packets need some of them.
pub(super) const SIDE_WINDOW: u32 = 896 * 1024;

/// The lanes between two peers: separate connections, so that data never delay control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Hello, gossip, sync, pings, subscriptions, bonds; nothing over 64 KiB in one message.
    Control,
    /// One that is opened when first needed.
    Side(Side),
}

/// The lanes beside control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// Stream data, and what else is large.
    Bulk,
    /// Replication of logs: not behind bulk data, and not in front of heartbeats.
    Log,
}

impl Side {
    pub(crate) const ALL: [Self; 2] = [Self::Bulk, Self::Log];
}

impl Lane {
    pub(crate) const ALL: [Self; 3] =
        [Self::Control, Self::Side(Side::Bulk), Self::Side(Side::Log)];

    pub(crate) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Control => b"/mosaik/1",
            Self::Side(Side::Bulk) => b"/mosaik/1/bulk",
            Self::Side(Side::Log) => b"/mosaik/1/log",
        }
    }

    pub(crate) fn from_alpn(alpn: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.alpn() == alpn)
    }

    /// Bytes that one unread stream may hold at the receiver.
    pub(crate) const fn stream_window(self) -> u32 {
        match self {
            Self::Control => 256 * 1024,
            Self::Side(_) => SIDE_WINDOW,
        }
    }
}

/// What a peer may have in flight towards us on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allowance {
    /// Bidirectional streams that the peer may have open.
    pub(crate) bi_streams: u32,
    /// Unidirectional streams that the peer may have open.
    pub(crate) uni_streams: u32,
    /// Unread bytes over all streams; `None` leaves only each stream's own window.
    pub(crate) window_bytes: Option<u32>,
}

impl Allowance {
    /// Before the peer has proved that it belongs to the network.
    pub(crate) const STRANGER: Self =
        Self { bi_streams: 1, uni_streams: 0, window_bytes: Some(16 * 1024) };
    /// Between the proof and the admission: room for the hello's bodies.
    pub(crate) const PROVEN: Self =
        Self { bi_streams: 4, uni_streams: 0, window_bytes: Some(512 * 1024) };
}

/// One connection. Clones share it; when the last clone and stream are gone it closes.
#[derive(Clone, Debug)]
pub(crate) enum Connection {
    Iroh(iroh::Connection),
    Sim(sim::Connection),
}

impl Connection {
    /// The authenticated id of the other end.
    pub(crate) fn remote_id(&self) -> PeerId {
        match self {
            Self::Iroh(conn) => conn.remote_id(),
            Self::Sim(conn) => conn.remote_id(),
        }
    }

    /// A secret that only the two ends of this connection know, one per label (RFC 5705).
    pub(crate) fn channel_binding(&self, label: &str) -> [u8; 32] {
        match self {
            Self::Iroh(conn) => conn.channel_binding(label),
            Self::Sim(conn) => conn.channel_binding(label),
        }
    }

    /// Opens a stream both ways; waits while the peer allows no more. Cancel safe.
    pub(crate) async fn open_bi(&self) -> Result<(SendStream, RecvStream), OpenError> {
        match self {
            Self::Iroh(conn) => conn.open_bi().await,
            Self::Sim(conn) => conn.open_bi(),
        }
        .map_err(OpenError::Lost)
    }

    /// Opens a stream towards the peer; waits while the peer allows no more. Cancel safe.
    pub(crate) async fn open_uni(&self) -> Result<SendStream, OpenError> {
        match self {
            Self::Iroh(conn) => conn.open_uni().await,
            Self::Sim(conn) => conn.open_uni(),
        }
        .map_err(OpenError::Lost)
    }

    /// The next stream both ways that the peer opened. Cancel safe.
    pub(crate) async fn accept_bi(&self) -> Result<(SendStream, RecvStream), CloseReason> {
        match self {
            Self::Iroh(conn) => conn.accept_bi().await,
            Self::Sim(conn) => conn.accept_bi().await,
        }
    }

    /// The next one-way stream that the peer opened. Cancel safe.
    pub(crate) async fn accept_uni(&self) -> Result<RecvStream, CloseReason> {
        match self {
            Self::Iroh(conn) => conn.accept_uni().await,
            Self::Sim(conn) => conn.accept_uni().await,
        }
    }

    /// Sets what the peer may have in flight from now on.
    pub(crate) fn allow(&self, allowance: Allowance) {
        match self {
            Self::Iroh(conn) => conn.allow(allowance),
            // Simulated peers run our own code and keep to the same shares.
            Self::Sim(_) => {}
        }
    }

    /// The smoothed round-trip time of the path in use, if there is one.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        match self {
            Self::Iroh(conn) => conn.rtt(),
            Self::Sim(conn) => Some(conn.rtt()),
        }
    }

    /// Closes at once: what is unsent or unread on both sides is lost.
    pub(crate) fn close(&self, reason: CloseReason) {
        match self {
            Self::Iroh(conn) => conn.close(reason),
            Self::Sim(conn) => conn.close(reason),
        }
    }

    /// Waits for the end of the connection, whoever ends it. Cancel safe.
    pub(crate) async fn closed(&self) -> CloseReason {
        match self {
            Self::Iroh(conn) => conn.closed().await,
            Self::Sim(conn) => conn.closed().await,
        }
    }

    /// Whether the connection has ended.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Iroh(conn) => conn.is_closed(),
            Self::Sim(conn) => conn.is_closed(),
        }
    }
}
