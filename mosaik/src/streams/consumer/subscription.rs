//! The task of one consumer for one producer: reaches it, subscribes, and does so again whenever
//! that ends, as long as the producer is in the catalog.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{
    Core,
    reader::{Source, SourceEnd},
    worker::Event,
};
use crate::{
    discovery::{Discovery, PeerEntry, PeerEntryVersion},
    id::PeerId,
    random::Random,
    streams::{
        config::{LONGEST_PAUSE, Pauses},
        error::SubscribeError,
        protocol::{Answer, MESSAGE_LIMIT, Subscribe, VERSION},
        status::{Channel, ChannelInfo, State, Stats},
    },
    transport::{
        BulkSlot, CloseReason, Link, MessageError, MessageReader, MessageWriter, OpenError,
        RecvStream, StreamKind, Transport,
    },
};

/// How long the producer may take to answer, and to open the way for the data.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A subscription that lasted this long was a success: the next failure is a new one.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// How often it is looked whether unread data have ended.
const SETTLE_INTERVAL: Duration = Duration::from_secs(1);
/// How long at most until a producer without a free place is asked again.
const CAPACITY_PAUSE: Duration = Duration::from_secs(1);

/// What all subscriptions of a consumer are made with.
#[derive(Clone, Debug)]
pub(super) struct Means {
    pub(super) transport: Transport,
    pub(super) discovery: Discovery,
    pub(super) random: Random,
    pub(super) events: mpsc::UnboundedSender<Event>,
}

#[derive(Debug)]
pub(super) struct Subscription {
    number: u64,
    core: Arc<Core>,
    means: Means,
    /// The producer's entry; `None` once it does not announce the stream any more.
    peer: watch::Receiver<Option<PeerEntry>>,
    pauses: Pauses,
    /// The data of the subscription before, which may not have been read to the end.
    draining: Option<oneshot::Receiver<SourceEnd>>,
    /// Catalogs were exchanged with the producer because it did not know us.
    introduced: bool,
}

/// An open control stream on which the producer may say that asking again makes sense.
struct Control {
    /// Dropped with it: that ends the subscription.
    _writer: MessageWriter,
    reader: MessageReader,
    /// What the producer said while something else was waited for.
    said: Option<Answer>,
}

impl Control {
    /// What the producer says next. Cancel safe.
    async fn next(&mut self) -> Result<Option<Answer>, MessageError> {
        match self.said.take() {
            Some(answer) => Ok(Some(answer)),
            None => self.reader.next().await,
        }
    }
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
    ) -> Self {
        let pauses = Pauses::new(core.config.backoff.clone(), means.random.clone());
        Self { number, core, means, peer, pauses, draining: None, introduced: false }
    }

    pub(super) async fn run(mut self) {
        // Without the worker nobody tells any more what becomes of the producer.
        while self.peer.has_changed().is_ok() {
            let Some(entry) = self.peer.borrow_and_update().clone() else { break };
            let version = entry.update_version();
            let peer = *entry.id();
            let (until, error) = self.attempt(entry).await;
            tracing::debug!(stream = %self.core.config.stream_id, %peer, %error, "not subscribed");
            self.core.set_refusal(peer, Some(error));
            self.wait(until, version).await;
        }
        let _ = self.means.events.send(Event::Ended { number: self.number });
    }

    /// One subscription from beginning to end; says why it ended and when to try again.
    async fn attempt(&mut self, entry: PeerEntry) -> (Until, SubscribeError) {
        let peer = *entry.id();
        let link = match self.means.transport.connect(entry.address().clone()).await {
            Ok(link) => link,
            Err(error) => return (Until::Pause, error.into()),
        };
        let slot = link.reserve_bulk();
        let mut control = match self.ask(&link, &slot).await {
            Ok(control) => control,
            Err(error) => return (Until::Pause, error),
        };
        match timeout(ANSWER_TIMEOUT, control.reader.next::<Answer>()).await {
            Ok(Ok(Some(Answer::Accepted { epoch, next }))) => {
                tracing::trace!(%peer, epoch, next, "accepted");
            }
            Ok(Ok(Some(Answer::Refused(refusal)))) => {
                return self.refused(entry, refusal.into(), Some(Box::new(control))).await;
            }
            Ok(Ok(_)) => return lost(CloseReason::ProtocolViolation),
            Ok(Err(error)) => return lost(reason_of(&error)),
            Err(_) => return lost(CloseReason::Timeout),
        }
        self.subscribed(entry, control, slot).await
    }

    async fn ask(&self, link: &Link, slot: &BulkSlot) -> Result<Control, SubscribeError> {
        let opened = link.open(StreamKind::Subscribe).await;
        let (send, recv) = opened.map_err(|error| match error {
            OpenError::Lost(reason) => SubscribeError::Lost(reason),
            OpenError::NoBulkLane(_) => SubscribeError::Lost(CloseReason::Timeout),
        })?;
        let mut writer = MessageWriter::new(send);
        let config = &self.core.config;
        let request = Subscribe {
            version: VERSION,
            stream: config.stream_id,
            fingerprint: self.core.fingerprint,
            criteria: config.criteria.clone(),
            slot: slot.id(),
        };
        writer.send(&request).await.map_err(|error| SubscribeError::Lost(reason_of(&error)))?;
        Ok(Control { _writer: writer, reader: MessageReader::new(recv, MESSAGE_LIMIT), said: None })
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
    ) -> (Until, SubscribeError) {
        let channel = Arc::new(Channel {
            stream: self.core.config.stream_id,
            criteria: self.core.config.criteria.clone(),
            producer: *entry.id(),
            consumer: self.means.transport.id(),
            stats: Stats::new(),
        });
        let (info, state) = ChannelInfo::new(channel.clone(), entry.clone());
        self.tell(Some(info.clone()));
        let Some(stream) = arrival(&mut slot, &mut control).await else {
            state.send_replace(State::Terminated);
            self.tell(None);
            return lost(CloseReason::Timeout);
        };
        let (source, mut ended) = Source::new(stream, slot, channel.clone());
        channel.stats.start();
        state.send_replace(State::Connected);
        self.core.add_source(self.number, source);
        self.core.set_refusal(*entry.id(), None);
        self.introduced = false;
        self.tell(Some(info));
        let (until, error) = self.until_ended(entry, &mut control, &mut ended).await;
        if channel.stats.uptime() >= Some(STABLE_AFTER) {
            self.pauses.reset();
        }
        drop(control);
        state.send_replace(State::Terminated);
        self.tell(None);
        self.drain(ended).await;
        (until, error)
    }

    /// At most one subscription's data wait to be read while the next one's come in: holds until
    /// those of the subscription before this one have been read.
    async fn drain(&mut self, ended: oneshot::Receiver<SourceEnd>) {
        self.core.settle(self.number);
        let Some(mut earlier) = self.draining.replace(ended) else { return };
        while timeout(SETTLE_INTERVAL, &mut earlier).await.is_err() {
            self.core.settle(self.number);
        }
    }

    async fn until_ended(
        &mut self,
        entry: PeerEntry,
        control: &mut Control,
        ended: &mut oneshot::Receiver<SourceEnd>,
    ) -> (Until, SubscribeError) {
        tokio::select! {
            said = control.next() => match said {
                Ok(Some(Answer::Ended { code })) => {
                    let error = SubscribeError::from_reason(CloseReason::from_code(code));
                    if matches!(error, SubscribeError::NotAllowed | SubscribeError::TicketsPending)
                    {
                        // Asking again makes the producer tell when that has changed.
                        return (Until::Pause, error);
                    }
                    self.refused(entry, error, None).await
                }
                Ok(None) => lost(CloseReason::UnexpectedClose),
                Ok(Some(_)) => lost(CloseReason::ProtocolViolation),
                Err(error) => lost(reason_of(&error)),
            },
            end = &mut *ended => match end {
                Ok(SourceEnd::Undecodable(error)) => {
                    let error = SubscribeError::Undecodable(error.to_string());
                    self.refused(entry, error, None).await
                }
                Ok(SourceEnd::Malformed(error)) => {
                    let error = SubscribeError::Undecodable(error.to_string());
                    self.refused(entry, error, None).await
                }
                // The control stream says why, or is gone as well.
                Ok(SourceEnd::Complete | SourceEnd::Lost(_)) | Err(_) => {
                    let said = timeout(ANSWER_TIMEOUT, control.next()).await;
                    match said {
                        Ok(Ok(Some(Answer::Ended { code }))) => {
                            let reason = CloseReason::from_code(code);
                            self.refused(entry, SubscribeError::from_reason(reason), None).await
                        }
                        _ => lost(CloseReason::UnexpectedClose),
                    }
                }
            },
        }
    }

    /// Tells the worker about the channel.
    fn tell(&self, channel: Option<ChannelInfo>) {
        let _ = self.means.events.send(Event::Channel { number: self.number, channel });
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
                if timeout(pause, self.peer.wait_for(restarted)).await.is_ok() {
                    self.pauses.reset();
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

/// Resolves when the producer says that asking again makes sense; never if it does not.
async fn invited(control: Option<Box<Control>>) {
    if let Some(mut control) = control
        && let Ok(Some(Answer::AskAgain)) = control.reader.next::<Answer>().await
    {
        return;
    }
    std::future::pending().await
}

/// The stream of data, if it comes while the producer keeps the subscription up.
async fn arrival(slot: &mut BulkSlot, control: &mut Control) -> Option<RecvStream> {
    let watched = async {
        loop {
            tokio::select! {
                biased;
                stream = slot.stream() => return stream.ok(),
                said = control.reader.next(), if control.said.is_none() => match said {
                    // The data may be on their way all the same, on the other lane.
                    Ok(Some(answer)) => control.said = Some(answer),
                    Ok(None) | Err(_) => return None,
                },
            }
        }
    };
    timeout(ANSWER_TIMEOUT, watched).await.ok().flatten()
}

fn lost(reason: CloseReason) -> (Until, SubscribeError) {
    (Until::Pause, SubscribeError::Lost(reason))
}

fn reason_of(error: &MessageError) -> CloseReason {
    match error {
        MessageError::Stream(error) => error.reason().unwrap_or(CloseReason::Cancelled),
        _ => CloseReason::ProtocolViolation,
    }
}

/// Whom a refusal is from, for [`Consumer::refusals`](super::Consumer::refusals).
pub(super) type Refusals = std::collections::BTreeMap<PeerId, SubscribeError>;
