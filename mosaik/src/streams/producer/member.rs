//! One consumer that has a place at a producer.

use std::sync::Arc;

use tokio::sync::{oneshot, watch};

use super::{ProducerConfig, core::Core, outlet::Outlet, place::Key, ring::Start};
use crate::{
    discovery::{Discovery, PeerInfo},
    id::UniqueId,
    streams::{
        eligible,
        status::{Channel, ChannelInfo, State},
    },
    ticket::Expiration,
    transport::CloseReason,
};

#[derive(Debug)]
pub(super) struct Member {
    pub(super) key: Key,
    pub(super) start: Start,
    pub(super) group: Option<UniqueId>,
    pub(super) channel: Arc<Channel>,
    pub(super) info: ChannelInfo,
    pub(super) peer: PeerInfo,
    /// When its tickets are to be judged again.
    pub(super) until: Expiration,
    pub(super) state: watch::Sender<State>,
    pub(super) end: Option<oneshot::Sender<CloseReason>>,
    pub(super) outlet: Option<Arc<Outlet>>,
    /// It came as one for which nobody waits.
    pub(super) suspect: bool,
}

impl Member {
    /// Whether it came as one for which nobody waits, and is waited for now.
    pub(super) fn has_caught_up(&self, core: &Core) -> bool {
        let cursor = self.outlet.as_ref().map(|outlet| outlet.cursor());
        self.suspect && cursor.is_some_and(|cursor| core.is_awaited(cursor))
    }

    /// Judges the consumer again, and ends its subscription if it does not pass.
    pub(super) fn judge(&mut self, config: &ProducerConfig, discovery: &Discovery) {
        config.want_tickets(&self.peer, discovery);
        match config.admits(&self.peer, Some(self.until), discovery.date()) {
            Ok(until) => self.until = until,
            Err(denial) => {
                if let Some(end) = self.end.take() {
                    let _ = end.send(eligible::reason(denial));
                }
            }
        }
    }
}
