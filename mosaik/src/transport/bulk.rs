//! The bulk lane of a link: opened when first needed, and again when it broke.
//!
//! It is dialled by the side that dialled the control connection, with a token that the other
//! side gave out on the control connection: used once, bound to peer and connection.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use ::iroh::EndpointAddr;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    Transport,
    close::CloseReason,
    connection::{Allowance, Connection, Lane},
    error::OpenError,
    hello::{Signal, Tag},
    link::{Hold, Inner, Link},
    meter::Counts,
    stream::{RecvStream, SendStream},
};
use crate::{id::PeerId, random::Random};

/// How long opening the lane may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stream may take to say which slot it is for.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// First byte of a stream that carries a subscription's data.
const DATA: u8 = 1;
const HEADER: usize = 9;
/// How long after asking for the lane it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Streams that a peer may open beyond those that are expected, so that one that closes and one
/// that opens may overlap.
const SPARE_STREAMS: u32 = 16;
/// Of these, so many may be full.
const SPARE_WINDOWS: u32 = 2;

#[derive(Debug)]
pub(super) struct Bulk {
    /// The lane, while there is one.
    lane: watch::Sender<Option<Connection>>,
    /// The newest token that the peer has given us.
    offered: watch::Sender<Option<Tag>>,
    /// When this side last asked for the lane.
    asked: Mutex<Option<Instant>>,
    /// Streams that are expected, by the id that this side chose.
    slots: Mutex<BTreeMap<u64, oneshot::Sender<RecvStream>>>,
    next_slot: AtomicU64,
    /// Slots that are expected or in use: so many streams the peer may open.
    reserved: AtomicU32,
    tokens: Arc<Tokens>,
}

impl Bulk {
    pub(super) fn new(tokens: Arc<Tokens>) -> Self {
        Self {
            lane: watch::Sender::default(),
            offered: watch::Sender::default(),
            asked: Mutex::default(),
            slots: Mutex::default(),
            next_slot: AtomicU64::new(1),
            reserved: AtomicU32::new(0),
            tokens,
        }
    }

    fn slots(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<RecvStream>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self) -> Option<Connection> {
        self.lane.borrow().clone().filter(|connection| !connection.is_closed())
    }

    /// Lets the peer open as many streams as are reserved. To be called whenever `reserved` has
    /// become a power of two: the grant lasts until the next one.
    fn allow(&self, connection: &Connection) {
        let reserved = self.reserved.load(Ordering::Relaxed).min(1 << 20);
        let expected = (reserved + 1).next_power_of_two();
        connection.allow(Allowance {
            bi_streams: 1,
            uni_streams: expected + SPARE_STREAMS,
            // Each stream that is expected may be full: a consumer that does not read keeps no
            // other from reading. Those for nobody share what is left.
            window_bytes: Some(
                (expected + SPARE_WINDOWS).saturating_mul(Lane::Bulk.stream_window()),
            ),
        });
    }

    fn open(&self, connection: &Connection) {
        self.allow(connection);
        if let Some(old) = self.lane.send_replace(Some(connection.clone())) {
            old.close(CloseReason::Duplicate);
        }
        // What was reserved meanwhile did not find the lane yet.
        self.allow(connection);
    }

    pub(super) fn close(&self, reason: CloseReason) {
        if let Some(connection) = self.lane.send_replace(None) {
            connection.close(reason);
        }
    }

    /// Whether it is time to ask for the lane, for the first time or again.
    fn is_time_to_ask(&self) -> bool {
        let now = Instant::now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = asked.is_none_or(|last| now >= last + ASK_AGAIN);
        if is_time {
            *asked = Some(now);
        }
        is_time
    }
}

/// A stream that this side expects on the bulk lane. Keep it as long as the stream is read: the
/// peer may open as many streams as there are slots.
#[derive(Debug)]
pub(crate) struct BulkSlot {
    id: u64,
    link: Link,
    arrival: oneshot::Receiver<RecvStream>,
    _hold: Hold,
}

impl BulkSlot {
    /// What the peer names the stream by.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Waits for the stream. Cancel safe.
    pub(crate) async fn stream(&mut self) -> Result<RecvStream, OpenError> {
        tokio::select! {
            biased;
            arrived = &mut self.arrival => {
                arrived.map_err(|_| OpenError::Lost(CloseReason::UnexpectedClose))
            }
            reason = self.link.closed() => Err(OpenError::Lost(reason)),
        }
    }
}

impl Drop for BulkSlot {
    fn drop(&mut self) {
        self.link.0.bulk.slots().remove(&self.id);
        self.link.0.bulk.reserved.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    /// Reserves an id for a stream that the peer is about to open towards us.
    pub(crate) fn reserve_bulk(&self) -> BulkSlot {
        let bulk = &self.0.bulk;
        let id = bulk.next_slot.fetch_add(1, Ordering::Relaxed);
        let (sender, arrival) = oneshot::channel();
        bulk.slots().insert(id, sender);
        let reserved = bulk.reserved.fetch_add(1, Ordering::Relaxed) + 1;
        if reserved.is_power_of_two()
            && let Some(connection) = bulk.connection()
        {
            bulk.allow(&connection);
        }
        BulkSlot { id, link: self.clone(), arrival, _hold: self.hold() }
    }

    /// Opens a stream on the bulk lane for the id that the receiver reserved.
    pub(crate) async fn open_bulk(&self, id: u64) -> Result<SendStream, OpenError> {
        let opening = async {
            let connection = self.bulk_lane().await?;
            let mut send = connection.open_uni().await?;
            let mut header = [DATA; HEADER];
            header[1..].copy_from_slice(&id.to_le_bytes());
            let header = Bytes::copy_from_slice(&header);
            send.write_all_chunks(&mut [header]).await.map_err(|error| {
                OpenError::Lost(error.reason().unwrap_or(CloseReason::UnexpectedClose))
            })?;
            Ok(send.holding(self.hold()))
        };
        match timeout(OPEN_TIMEOUT, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(OpenError::NoBulkLane("it did not open in time".into())),
        }
    }

    /// The open lane; asks for one if there is none.
    async fn bulk_lane(&self) -> Result<Connection, OpenError> {
        let mut lane = self.0.bulk.lane.subscribe();
        loop {
            lane.mark_unchanged();
            if let Some(connection) = self.0.bulk.connection() {
                return Ok(connection);
            }
            if self.0.bulk.is_time_to_ask() {
                match self.0.dialled {
                    Some(_) => self.signal(Signal::AskBulk).await?,
                    None => self.grant_bulk().await?,
                }
            }
            tokio::select! {
                // The sender lives in this link.
                _ = lane.changed() => {}
                // Whoever asked may have been cancelled before the signal was sent.
                () = sleep(ASK_AGAIN) => {}
                reason = self.closed() => return Err(OpenError::Lost(reason)),
            }
        }
    }

    /// Lets the peer dial the bulk lane, once.
    async fn grant_bulk(&self) -> Result<(), OpenError> {
        let token = self.0.bulk.tokens.issue(&self.0);
        self.signal(Signal::BulkToken(token)).await
    }

    /// The peer wants the lane. If there is one, the peer will learn of it, or of its end, soon.
    pub(super) async fn bulk_asked(&self) -> Result<(), OpenError> {
        match self.0.bulk.connection() {
            Some(_) => Ok(()),
            None => self.grant_bulk().await,
        }
    }

    /// The peer grants the lane: the newest grant is the one that counts.
    pub(super) fn bulk_granted(&self, token: Tag) {
        self.0.bulk.offered.send_replace(Some(token));
    }

    async fn signal(&self, signal: Signal) -> Result<(), OpenError> {
        let closed = |_| OpenError::Lost(CloseReason::UnexpectedClose);
        self.0.signals.send(signal).await.map_err(closed)
    }

    /// Dials the lane whenever the peer grants it, one at a time, and serves it; for ever. The
    /// side that was dialled has nothing to do here.
    pub(super) async fn dial_bulk(&self, transport: &Transport) {
        let Some(addr) = self.0.dialled.clone() else { return std::future::pending().await };
        let mut offered = self.0.bulk.offered.subscribe();
        // The sender lives in this link.
        while offered.changed().await.is_ok() {
            let token = *offered.borrow_and_update();
            let (Some(token), None) = (token, self.0.bulk.connection()) else { continue };
            let dial = dial_lane(transport, addr.clone(), token);
            if let Ok(Some(connection)) = timeout(OPEN_TIMEOUT, dial).await {
                self.serve_bulk(&transport.0.counts, connection).await;
            }
        }
    }

    /// Takes the streams that the peer opens on the lane, until it ends.
    pub(super) async fn serve_bulk(&self, counts: &Counts, connection: Connection) {
        self.0.bulk.open(&connection);
        let mut headers = FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = connection.accept_uni() => match accepted {
                    Ok(stream) => headers.push(timeout(HEADER_TIMEOUT, read_header(stream))),
                    Err(_) => break,
                },
                Some(header) = headers.next() => {
                    let refused = match header {
                        Ok(Some((id, stream))) => self.hand_over(id, stream).err(),
                        Ok(None) => Some(CloseReason::ProtocolViolation),
                        Err(_) => Some(CloseReason::Timeout),
                    };
                    if let Some(reason) = refused {
                        counts.stream_refused(reason);
                    }
                }
            }
        }
        self.0
            .bulk
            .lane
            .send_if_modified(|lane| lane.take_if(|connection| connection.is_closed()).is_some());
    }

    /// Ends the lane as a fault would.
    #[cfg(test)]
    pub(super) fn break_bulk(&self) {
        self.0.bulk.close(CloseReason::Failed);
    }

    #[cfg(test)]
    pub(super) fn has_bulk(&self) -> bool {
        self.0.bulk.connection().is_some()
    }

    fn hand_over(&self, id: u64, mut stream: RecvStream) -> Result<(), CloseReason> {
        let slot = self.0.bulk.slots().remove(&id);
        match slot {
            // A slot that was dropped meanwhile stops the stream with it.
            Some(slot) => {
                drop(slot.send(stream));
                Ok(())
            }
            None => {
                stream.stop(CloseReason::StreamNotFound);
                Err(CloseReason::StreamNotFound)
            }
        }
    }
}

/// Dials the lane and shows the token. `None`: the lane could not be reached, or was refused.
async fn dial_lane(transport: &Transport, addr: EndpointAddr, token: Tag) -> Option<Connection> {
    let connection = transport.dial_lane(addr, Lane::Bulk).await.ok()?;
    let (mut send, mut recv) = connection.open_bi().await.ok()?;
    send.write_all_chunks(&mut [Bytes::copy_from_slice(&token)]).await.ok()?;
    send.finish();
    // The acceptor ends its half once the token is found good: no stream is opened before.
    match recv.read_chunk().await {
        Ok(None) => Some(connection),
        _ => None,
    }
}

/// Reads what comes before the data. `None`: the stream is not one of ours.
async fn read_header(mut stream: RecvStream) -> Option<(u64, RecvStream)> {
    let mut header = [0; HEADER];
    let mut filled = 0;
    while filled < HEADER {
        let mut chunk = stream.read_chunk().await.ok()??;
        let part = chunk.split_to(chunk.len().min(HEADER - filled));
        header[filled..filled + part.len()].copy_from_slice(&part);
        filled += part.len();
        stream.unread(chunk);
    }
    Some((slot_of(header)?, stream))
}

/// The slot that a stream is for.
pub(super) fn slot_of([kind, id @ ..]: [u8; HEADER]) -> Option<u64> {
    (kind == DATA).then(|| u64::from_le_bytes(id))
}

/// Tokens that were given out and not yet used.
#[derive(Debug)]
pub(super) struct Tokens {
    given: Mutex<HashMap<Tag, Weak<Inner>>>,
    random: Random,
}

impl Tokens {
    pub(super) fn new(random: Random) -> Self {
        Self { given: Mutex::default(), random }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Tag, Weak<Inner>>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link's token: the one that is not used yet, if there is one. A peer that keeps asking
    /// holds no memory, and what it is told twice is the same.
    fn issue(&self, link: &Arc<Inner>) -> Tag {
        let fresh = self.random.bytes();
        let mut given = self.lock();
        given.retain(|_, known| known.strong_count() > 0);
        let is_of = |known: &Weak<Inner>| std::ptr::eq(known.as_ptr(), Arc::as_ptr(link));
        match given.iter().find(|(_, known)| is_of(known)) {
            Some((token, _)) => *token,
            None => {
                given.insert(fresh, Arc::downgrade(link));
                fresh
            }
        }
    }

    /// The link that the token was given out on, if it is still up and leads to `peer`.
    pub(super) fn redeem(&self, token: &Tag, peer: &PeerId) -> Option<Link> {
        let link = Link(self.lock().remove(token)?.upgrade()?);
        (link.peer() == *peer && !link.is_closed()).then_some(link)
    }
}
