//! What a consumer was built with.

use std::{fmt, sync::Arc};

use chrono::{DateTime, Utc};

use crate::{
    discovery::{Discovery, PeerEntry, PeerInfo},
    id::{StreamId, UniqueId},
    streams::{
        Criteria,
        config::BackoffFactory,
        eligible::{Require, admits},
        producer::OnlineWhen,
    },
    ticket::{Denial, Expiration},
    tickets::{self, TicketValidator},
};

/// What a consumer was built with, see [`Builder`](super::Builder).
#[derive(Clone)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// The stream.
    pub stream_id: StreamId,
    /// Which datums are wanted.
    pub criteria: Criteria,
    /// From whom: all of these must hold.
    pub require: Vec<Require>,
    /// What the tickets of producers must pass: all of these.
    pub ticket_validators: Vec<Arc<dyn TicketValidator>>,
    /// The share group that it is a member of, if it is.
    pub group: Option<UniqueId>,
    /// The pauses between attempts; `None` is the default of [`Config`](crate::streams::Config).
    pub backoff: Option<BackoffFactory>,
    /// When the consumer is online.
    pub online_when: OnlineWhen,
}

impl ConsumerConfig {
    pub(super) fn new(stream_id: StreamId, backoff: Option<BackoffFactory>) -> Self {
        Self {
            stream_id,
            criteria: Criteria::default(),
            require: Vec::new(),
            ticket_validators: Vec::new(),
            group: None,
            backoff,
            online_when: Arc::new(|condition| condition.minimum_of(0)),
        }
    }

    /// Has tickets fetched that are to be judged and are not here.
    pub(super) fn want_tickets(&self, peer: &PeerEntry, discovery: &Discovery) {
        if tickets::are_lacking(&self.ticket_validators, peer) {
            discovery.want_tickets(*peer.id());
        }
    }

    /// Whether a producer is followed at this date, and until when.
    pub(super) fn accepts(
        &self,
        peer: &PeerInfo,
        held: Option<Expiration>,
        now: DateTime<Utc>,
    ) -> Result<Expiration, Denial> {
        admits(&self.require, &self.ticket_validators, peer, held, now)
    }
}

impl fmt::Debug for ConsumerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerConfig")
            .field("stream_id", &self.stream_id)
            .field("criteria", &self.criteria)
            .field("require", &self.require.len())
            .field("ticket_validators", &self.ticket_validators)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
