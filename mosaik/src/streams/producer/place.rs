//! The places of consumers at a producer: what is asked of its worker, and what is kept for those
//! that may come back.

use std::sync::Arc;

use futures::channel::mpsc::UnboundedSender;
use tokio::{sync::oneshot, time::Instant};

use super::{
    core::Core,
    outlet::Outlet,
    ring::{CursorId, Position},
};
use crate::{
    discovery::PeerInfo,
    id::{PeerId, UniqueId},
    streams::protocol::Subscribe,
    transport::{CloseReason, SendStream},
};

/// What the subscribers' tasks ask of the worker. The long ones are boxed: each producer's queue
/// keeps room for dozens.
#[derive(Debug)]
pub(super) enum Request {
    /// A peer wants to subscribe.
    Join(Box<Join>),
    /// The way for the data is open: from now on the subscriber gets everything.
    Attach(Box<Attach>),
    /// The place is free again. If the connection broke, the consumer may come back; if it was too
    /// slow, nobody waits for it then.
    Leave { place: u64, broken: bool, too_slow: bool },
}

#[derive(Debug)]
pub(super) struct Join {
    pub(super) peer: PeerInfo,
    pub(super) request: Subscribe,
    pub(super) reply: oneshot::Sender<Result<Place, Denied>>,
}

#[derive(Debug)]
pub(super) struct Attach {
    pub(super) place: u64,
    pub(super) stream: SendStream,
    pub(super) reply: oneshot::Sender<Attached>,
}

/// A subscriber's way for its data, and the first frame on it.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) outlet: Arc<Outlet>,
    pub(super) from: Position,
}

/// A place among the consumers, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    /// Why the producer ends the subscription, if it does.
    pub(super) ended: oneshot::Receiver<CloseReason>,
    /// The connection broke: the consumer may come back.
    pub(super) broken: bool,
    /// The producer has waited for the consumer in vain.
    pub(super) too_slow: bool,
    pub(super) requests: UnboundedSender<Request>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Without a worker there are no places.
        let Self { number: place, broken, too_slow, .. } = *self;
        let leave = Request::Leave { place, broken, too_slow };
        let _ = self.requests.unbounded_send(leave);
    }
}

/// Tells consumers apart: the peer, and which of its consumers.
pub(super) type Key = (PeerId, u64);

/// Whose frames are kept though nobody is connected, and until when.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) what: Kept,
    pub(super) until: Instant,
}

#[derive(Debug)]
pub(super) enum Kept {
    /// The place of one consumer.
    Place(Key, CursorId),
    /// A group without members, and whose place among them was the last.
    Group { group: UniqueId, by: PeerId },
}

impl Held {
    /// Whether it is this group that is kept.
    pub(super) fn is_of(&self, group: &UniqueId) -> bool {
        matches!(&self.what, Kept::Group { group: of, .. } if of == group)
    }
}

impl Kept {
    pub(super) fn end(&self, core: &Core) {
        match self {
            Self::Place(_, cursor) => core.leave(*cursor),
            Self::Group { group, .. } => core.end_empty_group(group),
        }
    }
}

/// No place, and why.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) reason: CloseReason,
    /// Resolves when the answer may be another, if that may come to pass.
    pub(super) ask_again: Option<oneshot::Receiver<()>>,
}
