//! The task of one subscriber, from its request to its end.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, sleep_until, timeout},
};

use super::{
    OnLag,
    core::Core,
    outlet::{Outlet, Undriven},
    ring::Position,
    stall::Stall,
    worker::{Attached, Denied, Place, Request},
};
use crate::{
    discovery::PeerInfo,
    streams::protocol::{self, Answer, Refusal, Subscribe, Word, next_known},
    transport::{CloseReason, Link, MessageError, MessageReader, MessageWriter, StreamError},
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
    /// The consumer does not want any more.
    Left,
    /// The connection broke: it may come back.
    Broken,
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
        if let (Some(ours), Some(theirs)) = (&core.schema, request.fingerprint)
            && ours.fingerprint() != theirs
        {
            core.meter.rejected(CloseReason::SchemaMismatch);
            return self.refuse(Refusal::mismatch(ours, theirs)).await;
        }
        let (slot, is_member) = (request.slot, request.group.is_some());
        let (reply, answer) = oneshot::channel();
        let answer = match core.requests.send(Request::Join { peer, request, reply }) {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        let mut place = match answer {
            Some(Ok(place)) => place,
            Some(Err(denied)) => return self.wait_for_change(denied).await,
            None => return self.refuse(Refusal::new(CloseReason::StreamNotFound)).await,
        };
        match self.attach(&core, &mut place, slot).await {
            Ok(outlet) => {
                let end = self.run(&core, &mut place, &outlet, is_member).await;
                // What a member of a group could not take in time is for others, who may come yet.
                place.broken = match end {
                    End::Broken => true,
                    End::Cut(CloseReason::TooSlow) => is_member,
                    End::Complete | End::Cut(_) | End::Left => false,
                };
                self.end(&core, &outlet, end).await;
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
        let Attached { outlet, from: Position { frames: next, .. } } =
            attached.await.map_err(|_| ended)?;
        let accepted = Answer::Accepted(protocol::Place { epoch: core.epoch, next });
        match self.writer.send(&accepted).await {
            Ok(()) => Ok(outlet),
            Err(error) => {
                place.broken = is_broken(&error);
                Err(CloseReason::Cancelled)
            }
        }
    }

    async fn run(
        &mut self,
        core: &Core,
        place: &mut Place,
        outlet: &Outlet,
        is_member: bool,
    ) -> End {
        let heard = hear(&mut self.reader, core, outlet, u64::MAX);
        let stalled = stalled(core, outlet, is_member);
        tokio::pin!(heard, stalled);
        tokio::select! {
            undriven = outlet.drive(core, false) => {
                return undriven.map_or_else(End::from, |()| End::Complete);
            }
            end = &mut heard => return end,
            () = &mut stalled => return End::Cut(CloseReason::TooSlow),
            reason = &mut place.ended => if let Ok(reason) = reason {
                return End::Cut(reason);
            },
            () = core.closing.cancelled() => {}
        }
        // What was sent before the last handle was dropped, or the worker ended, still arrives.
        tokio::select! {
            driven = outlet.drive(core, true) => driven.map_or_else(End::from, |()| End::Complete),
            end = &mut heard => end,
        }
    }

    async fn end(mut self, core: &Core, outlet: &Outlet, end: End) {
        let reason = match end {
            End::Complete => {
                outlet.finish();
                CloseReason::StreamNotFound
            }
            End::Cut(reason) => {
                outlet.reset(reason);
                reason
            }
            End::Left | End::Broken => return outlet.reset(CloseReason::Cancelled),
        };
        if self.writer.send(&Answer::Ended { code: reason.code() }).await.is_err() {
            return;
        }
        self.writer.finish();
        if reason == CloseReason::StreamNotFound {
            // The link must not be closed as unused while the consumer has not read everything.
            hear(&mut self.reader, core, outlet, core.sent()).await;
        }
    }
}

impl From<Undriven> for End {
    fn from(undriven: Undriven) -> Self {
        match undriven {
            Undriven::TooSlow => Self::Cut(CloseReason::TooSlow),
            Undriven::Failed(StreamError::Lost(reason)) => Self::of_lost(reason),
            Undriven::Failed(StreamError::Stopped(CloseReason::UnexpectedClose)) => Self::Broken,
            Undriven::Failed(_) => Self::Left,
        }
    }
}

impl End {
    /// The link is gone: does that mean that the consumer is?
    fn of_lost(reason: CloseReason) -> Self {
        match reason {
            CloseReason::GracefulShutdown
            | CloseReason::Superseded
            | CloseReason::ProtocolViolation
            | CloseReason::NoTicket
            | CloseReason::TicketsPending
            | CloseReason::DifferentNetwork => Self::Left,
            _ => Self::Broken,
        }
    }
}

fn is_broken(error: &MessageError) -> bool {
    match error {
        MessageError::Stream(StreamError::Lost(reason)) => {
            matches!(End::of_lost(*reason), End::Broken)
        }
        // The consumer has lost the data's lane, and says so.
        MessageError::Stream(StreamError::Reset(CloseReason::UnexpectedClose)) => true,
        _ => false,
    }
}

/// Listens to how far the consumer has come, until it has taken `all` or ends the subscription.
async fn hear(reader: &mut MessageReader, core: &Core, outlet: &Outlet, all: u64) -> End {
    loop {
        match next_known(reader, &core.meter.unknown).await {
            Ok(Some(Word::Taken(next))) => {
                core.acknowledge(outlet.cursor(), next);
                outlet.go_on(core);
                if next >= all {
                    return End::Complete;
                }
            }
            Ok(None) => return End::Left,
            Err(error) if is_broken(&error) => return End::Broken,
            Err(error) if error.is_violation() => {
                core.meter.rejected(CloseReason::ProtocolViolation);
                return End::Left;
            }
            Err(_) => return End::Left,
        }
    }
}

/// Resolves when the producer has waited for the consumer long enough.
async fn stalled(core: &Core, outlet: &Outlet, is_member: bool) {
    if core.config.on_lag != OnLag::Block && !is_member {
        return std::future::pending().await;
    }
    let mut stall = Stall::new(core.config.stall_timeout, Instant::now());
    loop {
        sleep_until(stall.look_again(Instant::now())).await;
        // Who has no place any more is cut already.
        let Some(progress) = core.progress(outlet.cursor()) else { continue };
        if stall.observe(progress, Instant::now()) {
            return;
        }
    }
}
