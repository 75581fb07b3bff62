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
    place::{Attach, Attached, Denied, Join, Place, Request},
    ring::{Position, Progress},
    stall::Stall,
};
use crate::{
    discovery::PeerInfo,
    streams::protocol::{self, Answer, Refusal, Subscribe, Word, next_known},
    transport::{CloseReason, Link, MessageError, MessageReader, MessageWriter, StreamError},
};

/// How long a refused consumer is kept waiting for a change; then it must ask by itself.
const WAIT_FOR_CHANGE: Duration = Duration::from_secs(30);
/// How long a consumer may keep the producer from saying something to it.
const SAY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a consumer that has been sent everything may take nothing of what it has not read.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(600);

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
        if self.say(&Answer::Refused(refusal)).await.is_ok() {
            self.writer.finish();
        }
    }

    /// Says something to the consumer, unless it does not listen.
    async fn say(&mut self, answer: &Answer) -> Result<(), End> {
        match timeout(SAY_TIMEOUT, self.writer.send(answer)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if is_broken(&error) => Err(End::Broken),
            Ok(Err(_)) => Err(End::Left),
            Err(_) => {
                self.writer.reset(CloseReason::Timeout);
                Err(End::Cut(CloseReason::TooSlow))
            }
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
        let answer = match core.requests.unbounded_send(Request::Join(Box::new(Join {
            peer,
            request,
            reply,
        }))) {
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
                place.too_slow = matches!(end, End::Cut(CloseReason::TooSlow));
                // What a member of a group could not take in time is for others, who may come yet.
                place.broken = matches!(end, End::Broken) || (place.too_slow && is_member);
                self.end(&core, place, &outlet, end).await;
            }
            Err(reason) => {
                drop(place);
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
        if self.say(&Answer::Refused(Refusal::new(reason))).await.is_err() {
            return;
        }
        let changed = tokio::select! {
            changed = timeout(WAIT_FOR_CHANGE, ask_again) => matches!(changed, Ok(Ok(()))),
            // The consumer has nothing more to say: it is gone.
            _ = self.reader.next_bytes() => return,
        };
        if !changed || self.say(&Answer::AskAgain).await.is_ok() {
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
        let attach = Request::Attach(Box::new(Attach { place: place.number, stream, reply }));
        let ended = CloseReason::StreamNotFound;
        core.requests.unbounded_send(attach).map_err(|_| ended)?;
        let Attached { outlet, from: Position { frames: next, .. } } =
            attached.await.map_err(|_| ended)?;
        let accepted = Answer::Accepted(protocol::Place { epoch: core.epoch, next });
        let said = self.say(&accepted).await;
        place.broken = matches!(said, Err(End::Broken));
        place.too_slow = matches!(said, Err(End::Cut(_)));
        said.map(|()| outlet).map_err(|_| CloseReason::Cancelled)
    }

    async fn run(
        &mut self,
        core: &Core,
        place: &mut Place,
        outlet: &Outlet,
        is_member: bool,
    ) -> End {
        let heard = hear(&mut self.reader, core, outlet, u64::MAX);
        // Who has been sent everything may read it as late as it likes, almost.
        let ended = || core.closing.is_cancelled();
        let waiting =
            |progress: &Progress| if ended() { progress.unsent } else { progress.waiting };
        let stalled = stalled(core, outlet, core.config.stall_timeout, waiting);
        let waits = core.config.on_lag == OnLag::Block || is_member;
        tokio::pin!(heard, stalled);
        tokio::select! {
            undriven = outlet.drive(core, false) => {
                return undriven.map_or_else(End::from, |()| End::Complete);
            }
            end = &mut heard => return end,
            () = &mut stalled, if waits => return End::Cut(CloseReason::TooSlow),
            reason = &mut place.ended => if let Ok(reason) = reason {
                return End::Cut(reason);
            },
            () = core.closing.cancelled() => {}
        }
        let unread = UNREAD_TIMEOUT.max(core.config.stall_timeout);
        let unread = self::stalled(core, outlet, unread, |progress| progress.waiting);
        // What was sent before the last handle was dropped, or the worker ended, still arrives; if
        // the consumer takes it, and as long as it may.
        tokio::select! {
            driven = outlet.drive(core, true) => driven.map_or_else(End::from, |()| End::Complete),
            end = &mut heard => end,
            () = &mut stalled => End::Cut(CloseReason::TooSlow),
            // What it has not taken others shall get, who are waited with until then.
            () = unread, if is_member => End::Cut(CloseReason::TooSlow),
            Ok(reason) = &mut place.ended, if !place.ended.is_terminated() => End::Cut(reason),
        }
    }

    async fn end(mut self, core: &Core, mut place: Place, outlet: &Outlet, end: End) {
        match end {
            End::Complete => outlet.finish(),
            End::Cut(reason) => {
                outlet.reset(reason);
                // Nobody shall wait for it while it is told.
                drop(place);
                if self.say(&Answer::Ended { code: reason.code() }).await.is_ok() {
                    self.writer.finish();
                }
                return;
            }
            End::Left | End::Broken => return outlet.reset(CloseReason::Cancelled),
        }
        let ended = Answer::Ended { code: CloseReason::StreamNotFound.code() };
        if self.say(&ended).await.is_err() {
            return;
        }
        self.writer.finish();
        // The link must not be closed as unused while the consumer has not read everything.
        tokio::select! {
            _ = hear(&mut self.reader, core, outlet, core.sent()) => {}
            () = stalled(core, outlet, UNREAD_TIMEOUT, |_| true) => outlet.reset(CloseReason::TooSlow),
            Ok(reason) = &mut place.ended, if !place.ended.is_terminated() => outlet.reset(reason),
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

/// Resolves when the producer has waited for the consumer long enough; `waiting`: whether it does.
async fn stalled(
    core: &Core,
    outlet: &Outlet,
    limit: Duration,
    waiting: impl Fn(&Progress) -> bool,
) {
    let mut stall = Stall::new(limit, Instant::now());
    loop {
        sleep_until(stall.look_again()).await;
        // Who has no place any more is cut already.
        let Some(mut progress) = core.progress(outlet.cursor()) else { continue };
        progress.waiting = waiting(&progress);
        if stall.observe(progress, Instant::now()) {
            return;
        }
    }
}
