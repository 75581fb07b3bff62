//! The task of one subscriber, from its request to its end.

use std::{sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::timeout};

use super::{
    core::Core,
    outlet::Outlet,
    ring::Position,
    worker::{Denied, Place, Request},
};
use crate::{
    discovery::PeerInfo,
    streams::protocol::{Answer, Refusal, Subscribe},
    transport::{CloseReason, Link, MessageError, MessageReader, MessageWriter},
};

/// How long a refused consumer is kept waiting for a change; then it must ask by itself.
const WAIT_FOR_CHANGE: Duration = Duration::from_secs(30);

/// The control stream of one subscription, at the producer.
pub(in crate::streams) struct Subscriber {
    pub(in crate::streams) link: Link,
    pub(in crate::streams) writer: MessageWriter,
    pub(in crate::streams) reader: MessageReader,
}

/// How a subscription ended.
enum End {
    /// No more datums will come, and all were written.
    Complete,
    /// The producer does not serve this consumer any more.
    Cut(CloseReason),
    /// The consumer, or the connection to it, is gone.
    Gone,
}

impl Subscriber {
    /// Says no.
    pub(in crate::streams) async fn refuse(mut self, refusal: Refusal) {
        tracing::debug!(peer = %self.link.peer(), reason = %refusal.reason(), "refused");
        if self.writer.send(&Answer::Refused(refusal)).await.is_ok() {
            self.writer.finish();
        }
    }

    /// Serves the consumer until one of the two has had enough.
    pub(in crate::streams) async fn serve(
        mut self,
        core: Arc<Core>,
        peer: PeerInfo,
        request: Subscribe,
    ) {
        if let (Some(ours), Some(theirs)) = (core.fingerprint, request.fingerprint)
            && ours != theirs
        {
            core.meter.rejected(CloseReason::SchemaMismatch);
            return self.refuse(Refusal::mismatch(ours, theirs)).await;
        }
        let (reply, answer) = oneshot::channel();
        let join = Request::Join { peer, criteria: request.criteria, reply };
        let answer = match core.requests.send(join) {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        let mut place = match answer {
            Some(Ok(place)) => place,
            Some(Err(denied)) => return self.wait_for_change(denied).await,
            None => return self.refuse(Refusal::new(CloseReason::StreamNotFound)).await,
        };
        match self.attach(&core, &mut place, request.slot).await {
            Ok(outlet) => {
                let end = self.run(&core, &mut place, &outlet).await;
                self.end(&outlet, end).await;
            }
            Err(reason) => {
                core.meter.rejected(reason);
                self.refuse(Refusal::new(reason)).await;
            }
        }
    }

    /// Refuses, and says so when that may have changed.
    async fn wait_for_change(mut self, denied: Denied) {
        let Denied { reason, ask_again } = denied;
        let Some(ask_again) = ask_again else { return self.refuse(Refusal::new(reason)).await };
        tracing::debug!(peer = %self.link.peer(), %reason, "refused for now");
        if self.writer.send(&Answer::Refused(Refusal::new(reason))).await.is_err() {
            return;
        }
        let changed = tokio::select! {
            changed = timeout(WAIT_FOR_CHANGE, ask_again) => matches!(changed, Ok(Ok(()))),
            // The consumer has nothing more to say: it is gone.
            _ = self.reader.next_bytes() => return,
        };
        if !changed || self.writer.send(&Answer::AskAgain).await.is_ok() {
            self.writer.finish();
        }
    }

    /// Opens the way for the data and puts the consumer among those that are sent to.
    async fn attach(
        &mut self,
        core: &Core,
        place: &mut Place,
        slot: u64,
    ) -> Result<Arc<Outlet>, CloseReason> {
        let stream = tokio::select! {
            opened = self.link.open_bulk(slot) => opened.map_err(|error| {
                tracing::debug!(peer = %self.link.peer(), %error, "no way for the data");
                CloseReason::Timeout
            })?,
            _ = self.reader.next_bytes() => return Err(CloseReason::Cancelled),
            reason = &mut place.ended => return Err(reason.unwrap_or(CloseReason::StreamNotFound)),
        };
        let (reply, attached) = oneshot::channel();
        let attach = Request::Attach { place: place.number, stream, reply };
        let ended = CloseReason::StreamNotFound;
        core.requests.send(attach).map_err(|_| ended)?;
        let (outlet, Position { frames: next, .. }) = attached.await.map_err(|_| ended)?;
        let accepted = Answer::Accepted { epoch: core.epoch, next };
        match self.writer.send(&accepted).await {
            Ok(()) => Ok(outlet),
            Err(_) => Err(CloseReason::Cancelled),
        }
    }

    async fn run(&mut self, core: &Core, place: &mut Place, outlet: &Outlet) -> End {
        let left = gone(&mut self.reader);
        tokio::pin!(left);
        tokio::select! {
            error = outlet.drive(core, false) => {
                if let Err(error) = error {
                    tracing::debug!(peer = %self.link.peer(), %error, "cannot send to a consumer");
                }
                return End::Gone;
            }
            () = &mut left => return End::Gone,
            reason = &mut place.ended => if let Ok(reason) = reason {
                return End::Cut(reason);
            },
            () = core.closing.cancelled() => {}
        }
        // What was sent before the last handle was dropped, or the worker ended, still arrives.
        tokio::select! {
            driven = outlet.drive(core, true) => match driven {
                Ok(()) => End::Complete,
                Err(_) => End::Gone,
            },
            () = &mut left => End::Gone,
        }
    }

    async fn end(mut self, outlet: &Outlet, end: End) {
        let reason = match end {
            End::Complete => {
                outlet.finish();
                CloseReason::StreamNotFound
            }
            End::Cut(reason) => {
                outlet.reset(reason);
                reason
            }
            End::Gone => return outlet.reset(CloseReason::Cancelled),
        };
        if self.writer.send(&Answer::Ended { code: reason.code() }).await.is_ok() {
            self.writer.finish();
        }
    }
}

/// Resolves when the consumer ends the subscription: it has nothing to say after its request.
async fn gone(reader: &mut MessageReader) {
    match reader.next_bytes().await {
        Ok(Some(_)) => tracing::debug!("a consumer said what it should not"),
        Ok(None) | Err(MessageError::Stream(_)) => {}
        Err(error) => tracing::debug!(%error, "a consumer said what it should not"),
    }
}
