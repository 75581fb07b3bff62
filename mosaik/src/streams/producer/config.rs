//! What a producer was built with.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};

use super::ring::Window;
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

/// What a producer was built with, see [`Builder`](super::Builder).
#[derive(Clone)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// The stream.
    pub stream_id: StreamId,
    /// The network it is in.
    pub network_id: NetworkId,
    /// How many datums the slowest consumer may be behind before the producer waits for it.
    pub buffer_size: usize,
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
            .field("max_consumers", &self.max_consumers)
            .field("require", &self.require.len())
            .field("ticket_validators", &self.ticket_validators)
            .finish_non_exhaustive()
    }
}
