//! What a consumer was built with.

use std::{fmt, sync::Arc};

use crate::{
    discovery::PeerInfo,
    id::{StreamId, UniqueId},
    streams::{
        Criteria,
        config::BackoffFactory,
        producer::{OnlineWhen, Require},
        when::guarded,
    },
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
            group: None,
            backoff,
            online_when: Arc::new(|condition| condition.minimum_of(0)),
        }
    }

    pub(super) fn accepts(&self, peer: &PeerInfo) -> bool {
        self.require.iter().all(|holds| guarded(|| holds(peer)))
    }
}

impl fmt::Debug for ConsumerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsumerConfig")
            .field("stream_id", &self.stream_id)
            .field("criteria", &self.criteria)
            .field("require", &self.require.len())
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
