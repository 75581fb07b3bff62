//! What a producer was built with.

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::ring::{RingConfig, Window};
use crate::{
    discovery::{Discovery, PeerEntry, PeerInfo},
    id::{NetworkId, StreamId},
    streams::{
        eligible::{Require, admits},
        when::Conditions,
    },
    ticket::{Denial, Expiration},
    tickets::{self, TicketValidator},
};

/// Makes of the condition "at least one is connected" the one under which an end is online.
pub(in crate::streams) type OnlineWhen = Arc<dyn Fn(Conditions) -> Conditions + Send + Sync>;

/// Bytes that a subscriber may be behind, whatever the number of frames: 4 MiB, and in any case
/// one frame.
const WINDOW_BYTES: usize = 4 * 1024 * 1024;

/// What becomes of a consumer that is too far behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnLag {
    /// The producer waits for it, at most [`stall_timeout`](super::Builder::with_stall_timeout)
    /// without any progress: nothing is lost.
    #[default]
    Block,
    /// It skips the oldest datums that were not sent to it yet, and is told how many.
    DropOldest,
    /// It is cut with [`TooSlow`](crate::transport::CloseReason::TooSlow), and comes back for what
    /// is sent from then on.
    Disconnect,
}

/// What a producer was built with, see [`Builder`](super::Builder).
#[derive(Clone)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// The stream.
    pub stream_id: StreamId,
    /// The network it is in.
    pub network_id: NetworkId,
    /// How many datums a consumer may be behind before `on_lag` applies.
    pub buffer_size: usize,
    /// What becomes of a consumer that is further behind.
    pub on_lag: OnLag,
    /// How many datums a late consumer gets first.
    pub retain: usize,
    /// For how long the place of a consumer is held whose connection broke.
    pub resume_window: Duration,
    /// For how long at most the producer waits for a consumer that makes no progress.
    pub stall_timeout: Duration,
    /// How many consumers are served at once.
    pub max_consumers: usize,
    /// Who may consume: all of these must hold.
    pub require: Vec<Require>,
    /// What the tickets of consumers must pass: all of these.
    pub ticket_validators: Vec<Arc<dyn TicketValidator>>,
    /// When the producer is online.
    pub online_when: OnlineWhen,
}

impl ProducerConfig {
    pub(super) fn new(stream_id: StreamId, network_id: NetworkId) -> Self {
        Self {
            stream_id,
            network_id,
            buffer_size: 1024,
            on_lag: OnLag::Block,
            retain: 0,
            resume_window: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            max_consumers: usize::MAX,
            require: Vec::new(),
            ticket_validators: Vec::new(),
            online_when: Arc::new(|condition| condition),
        }
    }

    pub(super) fn window(&self) -> Window {
        // An empty window would never let anything through.
        Window { frames: self.buffer_size.max(1), bytes: WINDOW_BYTES }
    }

    /// `recover`: frames that nobody acknowledged are wanted back.
    pub(super) fn ring(&self, recover: bool) -> RingConfig {
        RingConfig { window: self.window(), on_lag: self.on_lag, retain: self.retain, recover }
    }

    /// Has tickets fetched that are to be judged and are not here.
    pub(super) fn want_tickets(&self, peer: &PeerEntry, discovery: &Discovery) {
        if tickets::are_lacking(&self.ticket_validators, peer) {
            discovery.want_tickets(*peer.id());
        }
    }

    /// Whether a peer is served at this date, and until when.
    pub(super) fn admits(
        &self,
        peer: &PeerInfo,
        held: Option<Expiration>,
        now: DateTime<Utc>,
    ) -> Result<Expiration, Denial> {
        admits(&self.require, &self.ticket_validators, peer, held, now)
    }
}

impl fmt::Debug for ProducerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerConfig")
            .field("stream_id", &self.stream_id)
            .field("network_id", &self.network_id)
            .field("buffer_size", &self.buffer_size)
            .field("on_lag", &self.on_lag)
            .field("retain", &self.retain)
            .field("max_consumers", &self.max_consumers)
            .field("require", &self.require.len())
            .field("ticket_validators", &self.ticket_validators)
            .finish_non_exhaustive()
    }
}
