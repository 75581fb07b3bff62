//! An admitted peer: its control connection, its streams, and whether anything uses it.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use iroh::EndpointAddr;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::timeout,
};

use super::{
    StreamKind,
    close::CloseReason,
    connection::{Connection, Side},
    error::OpenError,
    hello::{Claim, Signal, Tag},
    side::SideLane,
    stream::{RecvStream, SendStream},
    tokens::Tokens,
};
use crate::id::PeerId;

/// What the clocks of the two ends showed when they met, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clocks {
    pub(crate) ours_ms: i64,
    pub(crate) theirs_ms: i64,
}

/// One admitted peer. Clones share it; it lives until one side closes it, or nothing has used it
/// for a while.
#[derive(Clone)]
pub(crate) struct Link(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) claim: Claim,
    pub(super) connection: Connection,
    /// Where the peer was reached, for the lanes that follow; none if it dialled us.
    pub(super) dialled: Option<EndpointAddr>,
    pub(super) signals: mpsc::Sender<Signal>,
    pub(super) tokens: Arc<Tokens>,
    bulk: SideLane,
    log: SideLane,
    closed_by_us: OnceLock<CloseReason>,
    /// How many holds there are.
    uses: Arc<watch::Sender<usize>>,
    /// How many more streams of a kind this side may open.
    shares: HashMap<StreamKind, Arc<Semaphore>>,
    open_timeout: Duration,
}

impl Inner {
    pub(super) fn side(&self, side: Side) -> &SideLane {
        match side {
            Side::Bulk => &self.bulk,
            Side::Log => &self.log,
        }
    }
}

impl Link {
    pub(super) fn new(
        claim: Claim,
        connection: Connection,
        dialled: Option<EndpointAddr>,
        signals: mpsc::Sender<Signal>,
        tokens: Arc<Tokens>,
        open_timeout: Duration,
    ) -> Self {
        let share = |kind: StreamKind| (kind, Arc::new(Semaphore::new(kind.share())));
        Self(Arc::new(Inner {
            claim,
            connection,
            dialled,
            signals,
            tokens,
            bulk: SideLane::new(Side::Bulk),
            log: SideLane::new(Side::Log),
            closed_by_us: OnceLock::new(),
            uses: Arc::new(watch::Sender::new(0)),
            shares: StreamKind::ALL.into_iter().map(share).collect(),
            open_timeout,
        }))
    }

    pub(crate) fn peer(&self) -> PeerId {
        self.0.claim.peer
    }

    /// What the clocks of both ends showed in the hello.
    pub(crate) fn clocks(&self) -> Clocks {
        self.0.claim.clocks
    }

    pub(super) fn tag(&self) -> Tag {
        self.0.claim.tag
    }

    /// A secret that only the two ends of the control connection know, one per label (RFC 5705).
    pub(crate) fn channel_binding(&self, label: &str) -> [u8; 32] {
        self.0.connection.channel_binding(label)
    }

    /// The smoothed round-trip time, including the delay of acknowledgements.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.0.connection.rtt()
    }

    /// Opens a stream both ways on the control lane; waits while as many of its kind are open as
    /// the peer takes. Cancel safe: a stream that was opened meanwhile is reset.
    pub(crate) async fn open(
        &self,
        kind: StreamKind,
    ) -> Result<(SendStream, RecvStream), OpenError> {
        let share = self.0.shares[&kind].clone();
        let opening = async {
            // The semaphore is never closed.
            let permit = share.acquire_owned().await.ok();
            let hold = self.hold_with(permit);
            let (mut send, recv) = self.0.connection.open_bi().await?;
            let kind = Bytes::copy_from_slice(&[kind as u8]);
            send.write_all_chunks(&mut [kind]).await.map_err(|error| {
                OpenError::Lost(error.reason().unwrap_or(CloseReason::UnexpectedClose))
            })?;
            Ok((send.holding(hold.clone()), recv.holding(hold)))
        };
        match timeout(self.0.open_timeout, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(OpenError::Lost(CloseReason::Timeout)),
        }
    }

    /// Closes the link and all its lanes at once; the first reason given counts.
    pub(crate) fn close(&self, reason: CloseReason) {
        if !self.is_closed() {
            let _ = self.0.closed_by_us.set(reason);
        }
        Side::ALL.into_iter().for_each(|side| self.0.side(side).close(reason));
        self.0.connection.close(reason);
    }

    /// Waits until the link is closed, by either side or by silence. Cancel safe.
    pub(crate) async fn closed(&self) -> CloseReason {
        let reason = self.0.connection.closed().await;
        self.0.closed_by_us.get().copied().unwrap_or(reason)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.connection.is_closed()
    }

    /// Keeps the link from being closed as unused.
    pub(crate) fn hold(&self) -> Hold {
        self.hold_with(None)
    }

    pub(super) fn hold_with(&self, permit: Option<OwnedSemaphorePermit>) -> Hold {
        self.0.uses.send_modify(|uses| *uses += 1);
        Hold(Arc::new(Use { uses: self.0.uses.clone(), _permit: permit }))
    }

    /// Waits until nothing has used the link for `span`.
    pub(super) async fn unused(&self, span: Duration) {
        let mut uses = self.0.uses.subscribe();
        loop {
            // The sender lives in this link.
            let _ = uses.wait_for(|uses| *uses == 0).await;
            if timeout(span, uses.wait_for(|uses| *uses > 0)).await.is_err() {
                return;
            }
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

/// A use of a link; clones count as one.
#[derive(Clone, Debug)]
pub(crate) struct Hold(#[expect(dead_code, reason = "held for its Drop")] Arc<Use>);

#[derive(Debug)]
struct Use {
    uses: Arc<watch::Sender<usize>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Use {
    fn drop(&mut self) {
        self.uses.send_modify(|uses| *uses -= 1);
    }
}
