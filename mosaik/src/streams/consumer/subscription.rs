//! The task of one consumer for one producer: reaches it, subscribes, and does so again whenever
//! that ends, as long as the producer is in the catalog.

use std::{sync::Arc, time::Duration};

use futures::channel::mpsc::UnboundedSender;
use tokio::{
    sync::{broadcast::error::RecvError, oneshot, watch},
    time::timeout,
};

use super::{
    Core,
    control::{Control, DataEnd, acknowledge, arrival, invited, linger},
    events::Event,
    source::{Source, SourceEnd, SourceParts, TakenSignal},
    worker::{Claim, Report},
};
use crate::{
    discovery::{Discovery, PeerEntry, PeerEntryVersion},
    id::PeerId,
    random::Random,
    streams::{
        config::{LONGEST_PAUSE, Pauses},
        error::SubscribeError,
        protocol::{Answer, From, Place, Subscribe, VERSION},
        status::{Channel, ChannelInfo, State, Stats},
    },
    tasks::Tasks,
    transport::{
        BulkSlot, CloseReason, Link, LinkEvent, MessageError, OpenError, StreamKind, Transport,
    },
};

/// How long the producer may take to answer, and to open the way for the data.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A subscription that lasted this long was a success: the next failure is a new one.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked whether unread data have ended.
pub(super) const SETTLE_INTERVAL: Duration = Duration::from_secs(1);
/// How long at most until a producer without a free place is asked again.
const CAPACITY_PAUSE: Duration = Duration::from_secs(1);

/// What all subscriptions of a consumer are made with.
#[derive(Clone, Debug)]
pub(super) struct Means {
    pub(super) transport: Transport,
    pub(super) discovery: Discovery,
    pub(super) random: Random,
    pub(super) reports: UnboundedSender<Report>,
    pub(super) tasks: Tasks,
}

#[derive(Debug)]
pub(super) struct Subscription {
    number: u64,
    core: Arc<Core>,
    means: Means,
    /// The producer's entry; `None` once it does not announce the stream any more.
    peer: watch::Receiver<Option<PeerEntry>>,
    claim: Claim,
    pauses: Pauses,
    /// The data of the subscription before, which may not have been read to the end.
    draining: Option<oneshot::Receiver<()>>,
    /// Catalogs were exchanged with the producer because it did not know us.
    introduced: bool,
    /// What was sent meanwhile is not wanted: it was too much, or cannot be decoded.
    live: bool,
}

/// How a subscription ended, for the producer and for what was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The producer has sent everything.
    Complete,
    /// The connection broke; this side comes back.
    Broken,
    /// One side does not want any more.
    Cut,
}

/// A subscription that is over: when to try again, and why.
struct Over {
    ending: Ending,
    until: Until,
    error: SubscribeError,
}

/// What to wait for before the next attempt.
enum Until {
    /// Nothing.
    Now,
    /// A pause of the backoff.
    Pause,
    /// The producer's invitation on this stream or a change of its entry, or else this time.
    Change(Option<Box<Control>>, Duration),
}

impl Subscription {
    pub(super) fn new(
        number: u64,
        core: Arc<Core>,
        means: Means,
        peer: watch::Receiver<Option<PeerEntry>>,
        claim: Claim,
    ) -> Self {
        let pauses = Pauses::new(core.config.backoff.clone(), means.random.clone());
        let (draining, introduced, live) = (None, false, false);
        Self { number, core, means, peer, claim, pauses, draining, introduced, live }
    }

    pub(super) async fn run(mut self) {
        // Without the worker nobody tells any more what becomes of the producer.
        while self.peer.has_changed().is_ok() {
            let Some(entry) = self.peer.borrow_and_update().clone() else {
                if self.is_read().await {
                    break;
                }
                continue;
            };
            let version = entry.update_version();
            let peer = *entry.id();
            let (until, error) = self.attempt(entry).await;
            tracing::debug!(stream = %self.core.config.stream_id, %peer, %error, "not subscribed");
            self.live |= matches!(error, SubscribeError::TooSlow | SubscribeError::Undecodable(_));
            self.tell_refusal(peer, Some(error));
            self.wait(until, version).await;
        }
        let _ = self.means.reports.unbounded_send(Report::Ended { number: self.number });
    }

    /// The producer announces the stream no more, and may send what it had yet: it is judged until
    /// that has been read. False if it announces the stream again before.
    async fn is_read(&mut self) -> bool {
        let Some(mut draining) = self.draining.take() else { return true };
        loop {
            tokio::select! {
                _ = &mut draining => return true,
                _ = self.peer.wait_for(Option::is_some) => break,
                () = tokio::time::sleep(SETTLE_INTERVAL) => self.core.reader().settle(self.number),
            }
        }
        self.draining = Some(draining);
        false
    }

    /// One subscription from beginning to end; says why it ended and when to try again.
    async fn attempt(&mut self, entry: PeerEntry) -> (Until, SubscribeError) {
        let link = match self.means.transport.connect(entry.address().clone()).await {
            Ok(link) => link,
            Err(error) => {
                let (number, peer) = (self.number, *entry.id());
                let _ = self.means.reports.unbounded_send(Report::Unreached { number, peer });
                return (Until::Pause, error.into());
            }
        };
        if !self.claim.reach() {
            // This task is being cancelled.
            return lost(CloseReason::Cancelled);
        }
        let slot = link.reserve_bulk();
        let mut control = match self.ask(&link, &slot).await {
            Ok(control) => control,
            Err(error) => return (Until::Pause, error),
        };
        let place = match timeout(ANSWER_TIMEOUT, control.next()).await {
            Ok(Ok(Some(Answer::Accepted(place)))) => place,
            Ok(Ok(Some(Answer::Refused(refusal)))) => {
                let error = SubscribeError::from_refusal(&refusal, self.core.schema.as_deref());
                return self.refused(entry, error, Some(Box::new(control))).await;
            }
            Ok(Ok(_)) => return lost(CloseReason::ProtocolViolation),
            Ok(Err(error)) => return lost(reason_of(&error)),
            Err(_) => return lost(CloseReason::Timeout),
        };
        self.subscribed(entry, control, slot, place).await
    }

    async fn ask(&self, link: &Link, slot: &BulkSlot) -> Result<Control, SubscribeError> {
        let opened = link.open(StreamKind::Subscribe).await;
        let (send, recv) = opened.map_err(|error| match error {
            OpenError::Lost(reason) => SubscribeError::Lost(reason),
            OpenError::NoLane(_) => SubscribeError::Lost(CloseReason::Timeout),
        })?;
        let mut control = Control::new(send, recv, self.core.meter.clone());
        let config = &self.core.config;
        let from = match self.core.reader().place(self.number) {
            Some(_) if self.live => From::Live,
            Some(place) => From::At(place),
            None => From::Retained,
        };
        let request = Subscribe {
            version: VERSION,
            stream: config.stream_id,
            fingerprint: self.core.schema.as_ref().map(|schema| schema.fingerprint()),
            criteria: config.criteria.clone(),
            slot: slot.id(),
            consumer: self.core.id,
            from,
            group: config.group,
        };
        let sent = control.writer.send(&request).await;
        sent.map_err(|error| SubscribeError::Lost(reason_of(&error)))?;
        Ok(control)
    }

    async fn refused(
        &mut self,
        entry: PeerEntry,
        error: SubscribeError,
        control: Option<Box<Control>>,
    ) -> (Until, SubscribeError) {
        let until = match &error {
            SubscribeError::NoCapacity => Until::Change(control, CAPACITY_PAUSE),
            SubscribeError::StreamNotFound
            | SubscribeError::NotAllowed
            | SubscribeError::TicketsPending
            | SubscribeError::SchemaMismatch { .. }
            | SubscribeError::Undecodable(_) => Until::Change(control, LONGEST_PAUSE),
            SubscribeError::Refused(CloseReason::UnknownPeer) if !self.introduced => {
                self.introduced = true;
                match self.means.discovery.sync_with(entry.address().clone()).await {
                    Ok(()) => Until::Now,
                    Err(_) => Until::Pause,
                }
            }
            _ => Until::Pause,
        };
        (until, error)
    }

    /// The producer has accepted: data flow until one of the two ends it.
    async fn subscribed(
        &mut self,
        entry: PeerEntry,
        mut control: Control,
        mut slot: BulkSlot,
        place: Place,
    ) -> (Until, SubscribeError) {
        let channel = Arc::new(Channel {
            stream: self.core.config.stream_id,
            criteria: self.core.config.criteria.clone(),
            producer: *entry.id(),
            consumer: self.means.transport.id(),
            stats: Stats::new(),
        });
        let place = self.core.config.group.is_none().then_some(place);
        if let Some(place) = place {
            self.core.reader().expect(self.number, place);
        }
        let (info, state) = ChannelInfo::new(channel.clone(), entry.clone());
        self.tell(Some(info.clone()));
        let Some(stream) = arrival(&mut slot, &mut control).await else {
            state.send_replace(State::Terminated);
            self.tell(None);
            let over = match control.said.take() {
                Some(said) => self.heard(entry, Ok(Some(said))).await,
                None => broken(CloseReason::Timeout),
            };
            self.part(control, over.ending);
            return (over.until, over.error);
        };
        let taken = Arc::new(TakenSignal::default());
        let parts =
            SourceParts { stream, slot, channel: channel.clone(), place, taken: taken.clone() };
        let (source, told) = Source::new(parts);
        let mut ended = DataEnd::new(told);
        channel.stats.start();
        state.send_replace(State::Connected);
        self.core.add_source(self.number, source);
        self.tell_refusal(*entry.id(), None);
        self.core.events.tell(Event::Connected { producer: channel.producer });
        self.introduced = false;
        self.live = false;
        self.tell(Some(info));
        let over = self.until_ended(entry, &mut control, &mut ended, &taken).await;
        if channel.stats.uptime() >= Some(STABLE_AFTER) {
            self.pauses.reset();
        }
        state.send_replace(State::Terminated);
        self.tell(None);
        let error = over.error.clone();
        self.core.events.tell(Event::Disconnected { producer: channel.producer, error });
        let complete = self.part(control, over.ending);
        self.drain(complete, ended, taken).await;
        (over.until, over.error)
    }

    /// Takes leave of the producer; gives the control stream back if there is still something to
    /// say on it.
    fn part(&self, mut control: Control, ending: Ending) -> Option<Control> {
        if ending == Ending::Complete {
            return Some(control);
        }
        if self.core.config.group.is_some() {
            // Others in the group get what has not been acknowledged.
            self.core.reader().abandon(self.number);
        }
        if ending == Ending::Broken {
            control.writer.reset(CloseReason::UnexpectedClose);
        }
        None
    }

    /// At most one subscription's data wait to be read while the next one's come in: holds until
    /// those of the subscription before this one have been read.
    async fn drain(&mut self, control: Option<Control>, ended: DataEnd, taken: Arc<TakenSignal>) {
        self.core.reader().settle(self.number);
        let (done, drained) = oneshot::channel();
        let lingering = linger(self.core.clone(), self.number, control, ended, taken);
        self.means.tasks.spawn("streams.unread", async move {
            lingering.await;
            // The subscription may have ended for good.
            let _ = done.send(());
        });
        let Some(mut earlier) = self.draining.replace(drained) else { return };
        while timeout(SETTLE_INTERVAL, &mut earlier).await.is_err() {
            self.core.reader().settle(self.number);
        }
    }

    async fn until_ended(
        &mut self,
        entry: PeerEntry,
        control: &mut Control,
        ended: &mut DataEnd,
        taken: &Arc<TakenSignal>,
    ) -> Over {
        let (core, number) = (self.core.clone(), self.number);
        let Control { writer, reader, said, .. } = control;
        let end = tokio::select! {
            said = Control::next_of(reader, said, &core.meter) => return self.heard(entry, said).await,
            // It ends only when the producer cannot be told any more: the stream says why.
            () = acknowledge(&core, number, writer, taken) => None,
            end = ended.end() => end,
        };
        let error = match end {
            Some(SourceEnd::Undecodable(error)) => SubscribeError::Undecodable(error.to_string()),
            Some(SourceEnd::Malformed(error)) => SubscribeError::Undecodable(error.to_string()),
            Some(SourceEnd::Lost(reason)) => return broken(reason),
            // The control stream says why, or is gone as well.
            Some(SourceEnd::Complete | SourceEnd::Cut(_)) | None => {
                let said = timeout(ANSWER_TIMEOUT, control.next()).await;
                return match said {
                    Ok(said) => self.heard(entry, said).await,
                    Err(_) => broken(CloseReason::Timeout),
                };
            }
        };
        let (until, error) = self.refused(entry, error, None).await;
        Over { ending: Ending::Cut, until, error }
    }

    /// What the producer says ends the subscription.
    async fn heard(
        &mut self,
        entry: PeerEntry,
        said: Result<Option<Answer>, MessageError>,
    ) -> Over {
        let reason = match said {
            Ok(Some(Answer::Ended { code })) => CloseReason::from_code(code),
            Ok(None) => return broken(CloseReason::UnexpectedClose),
            Ok(Some(_)) => return broken(CloseReason::ProtocolViolation),
            Err(error) => return broken(reason_of(&error)),
        };
        let error = SubscribeError::from_reason(reason);
        let ending =
            if reason == CloseReason::StreamNotFound { Ending::Complete } else { Ending::Cut };
        let (until, error) = match error {
            // Asking again makes the producer tell when that has changed.
            SubscribeError::NotAllowed | SubscribeError::TicketsPending => (Until::Pause, error),
            error => self.refused(entry, error, None).await,
        };
        Over { ending, until, error }
    }

    /// Tells the worker about the channel.
    fn tell(&self, channel: Option<ChannelInfo>) {
        let _ = self.means.reports.unbounded_send(Report::Channel { number: self.number, channel });
    }

    /// Tells the worker why the producer is not subscribed to, or that it is.
    fn tell_refusal(&self, peer: PeerId, error: Option<SubscribeError>) {
        let refused = Report::Refused { number: self.number, peer, error };
        let _ = self.means.reports.unbounded_send(refused);
    }

    /// Waits for the time of the next attempt; at most until the producer announces the stream no
    /// more.
    async fn wait(&mut self, until: Until, version: PeerEntryVersion) {
        let newer = |entry: &Option<PeerEntry>| {
            entry.as_ref().is_none_or(|entry| entry.update_version() != version)
        };
        match until {
            Until::Now => {}
            Until::Pause => {
                // One that was started again is at another address, or well again.
                let restarted = |entry: &Option<PeerEntry>| {
                    let start = entry.as_ref().map(|entry| entry.update_version().started_at());
                    start != Some(version.started_at())
                };
                let pause = self.pauses.next();
                let peer = self.peer.borrow().as_ref().map(|entry| *entry.id());
                tokio::select! {
                    _ = self.peer.wait_for(restarted) => self.pauses.reset(),
                    // Another subscription has reached the peer: all go on with its link.
                    () = linked(&self.means.transport, peer) => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
            Until::Change(control, at_most) => {
                tokio::select! {
                    _ = self.peer.wait_for(newer) => {}
                    () = invited(control) => {}
                    () = tokio::time::sleep(at_most) => {}
                }
            }
        }
    }
}

/// Resolves when a link to the peer goes up; never if there is one.
async fn linked(transport: &Transport, peer: Option<PeerId>) {
    let mut events = transport.events();
    let Some(peer) = peer.filter(|peer| transport.link(peer).is_none()) else {
        return std::future::pending().await;
    };
    loop {
        match events.recv().await {
            Ok(LinkEvent::Up(link)) if link.peer() == peer => return,
            Ok(_) => {}
            Err(RecvError::Lagged(_)) if transport.link(&peer).is_some() => return,
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}

fn broken(reason: CloseReason) -> Over {
    let (until, error) = lost(reason);
    Over { ending: Ending::Broken, until, error }
}

fn lost(reason: CloseReason) -> (Until, SubscribeError) {
    (Until::Pause, SubscribeError::Lost(reason))
}

pub(super) fn reason_of(error: &MessageError) -> CloseReason {
    match error {
        MessageError::Stream(error) => error.reason().unwrap_or(CloseReason::Cancelled),
        _ => CloseReason::ProtocolViolation,
    }
}

/// Whom a refusal is from, for [`Consumer::refusals`](super::Consumer::refusals).
pub(super) type Refusals = std::collections::BTreeMap<PeerId, SubscribeError>;
