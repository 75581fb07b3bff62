//! The bulk lane of a link: opened when first needed, and again when it broke.
//!
//! It is dialled by the side that dialled the control connection, with a token that the other
//! side gave out on the control connection: used once, bound to peer and connection.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::{
    Transport,
    close::CloseReason,
    connection::{Allowance, Connection, Lane},
    error::OpenError,
    hello::{Signal, Tag},
    link::{Hold, Inner, Link},
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
/// Streams that a peer may open beyond those that are expected, so that one that closes and one
/// that opens may overlap.
const SPARE_STREAMS: u32 = 16;

#[derive(Debug)]
pub(super) struct Bulk {
    lane: watch::Sender<State>,
    /// Streams that are expected, by the id that this side chose.
    slots: Mutex<HashMap<u64, oneshot::Sender<RecvStream>>>,
    next_slot: AtomicU64,
    /// Slots that are expected or in use: so many streams the peer may open.
    reserved: AtomicU32,
    tokens: Arc<Tokens>,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Closed,
    /// Asked for: a connection will come, from here or from the other side.
    Opening,
    /// This side is dialling it.
    Dialling,
    Open(Connection),
}

impl State {
    fn is_under_way(&self) -> bool {
        matches!(self, Self::Opening | Self::Dialling)
    }

    fn is_open(&self) -> bool {
        matches!(self, Self::Open(connection) if !connection.is_closed())
    }
}

impl Bulk {
    pub(super) fn new(tokens: Arc<Tokens>) -> Self {
        Self {
            lane: watch::Sender::default(),
            slots: Mutex::default(),
            next_slot: AtomicU64::new(1),
            reserved: AtomicU32::new(0),
            tokens,
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<u64, oneshot::Sender<RecvStream>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self) -> Option<Connection> {
        match &*self.lane.borrow() {
            State::Open(connection) if !connection.is_closed() => Some(connection.clone()),
            _ => None,
        }
    }

    /// Lets the peer open as many streams as are reserved.
    fn allow(&self, connection: &Connection) {
        let reserved = self.reserved.load(Ordering::Relaxed).min(1 << 20);
        connection.allow(Allowance {
            bi_streams: 1,
            uni_streams: reserved.next_power_of_two() + SPARE_STREAMS,
            window_bytes: None,
        });
    }

    pub(super) fn close(&self, reason: CloseReason) {
        if let State::Open(connection) = self.lane.send_replace(State::Closed) {
            connection.close(reason);
        }
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
            Err(_) => {
                self.0.bulk.lane.send_if_modified(|state| {
                    let stuck = matches!(state, State::Opening);
                    if stuck {
                        *state = State::Closed;
                    }
                    stuck
                });
                Err(OpenError::NoBulkLane("it did not open in time".into()))
            }
        }
    }

    /// The open lane; asks for one if there is none.
    async fn bulk_lane(&self) -> Result<Connection, OpenError> {
        let mut lane = self.0.bulk.lane.subscribe();
        loop {
            if let Some(connection) = self.0.bulk.connection() {
                return Ok(connection);
            }
            let ours = self.0.bulk.lane.send_if_modified(|state| {
                let idle = !state.is_under_way();
                if idle {
                    *state = State::Opening;
                }
                idle
            });
            if ours {
                self.request_bulk().await?;
            }
            lane.mark_unchanged();
            if lane.borrow().is_under_way() {
                tokio::select! {
                    // The sender lives in this link.
                    _ = lane.changed() => {}
                    reason = self.closed() => return Err(OpenError::Lost(reason)),
                }
            }
        }
    }

    async fn request_bulk(&self) -> Result<(), OpenError> {
        let signal = match self.0.dialled {
            Some(_) => Signal::AskBulk,
            None => return self.grant_bulk().await,
        };
        self.signal(signal).await
    }

    /// Lets the peer dial the bulk lane, once.
    pub(super) async fn grant_bulk(&self) -> Result<(), OpenError> {
        let token = self.0.bulk.tokens.issue(&self.0);
        self.signal(Signal::BulkToken(token)).await
    }

    async fn signal(&self, signal: Signal) -> Result<(), OpenError> {
        let closed = |_| OpenError::Lost(CloseReason::UnexpectedClose);
        self.0.signals.send(signal).await.map_err(closed)
    }

    /// The peer granted us the lane: dial it.
    pub(super) async fn dial_bulk(&self, transport: &Transport, token: Tag) {
        let Some(addr) = self.0.dialled.clone() else { return };
        // Both sides may have asked at once. A second lane would replace the first, and with it
        // streams that were already opened on it.
        let ours = self.0.bulk.lane.send_if_modified(|state| {
            let ours = !matches!(state, State::Dialling) && !state.is_open();
            if ours {
                *state = State::Dialling;
            }
            ours
        });
        if !ours {
            return;
        }
        let opened = async {
            let connection = transport.dial_lane(addr, Lane::Bulk).await.ok()?;
            let (mut send, _) = connection.open_bi().await.ok()?;
            send.write_all_chunks(&mut [Bytes::copy_from_slice(&token)]).await.ok()?;
            send.finish();
            Some(connection)
        };
        match opened.await {
            Some(connection) => self.serve_bulk(connection).await,
            None => self.0.bulk.close(CloseReason::Failed),
        }
    }

    /// Takes the streams that the peer opens on the lane, until it ends.
    pub(super) async fn serve_bulk(&self, connection: Connection) {
        self.0.bulk.allow(&connection);
        if let State::Open(old) = self.0.bulk.lane.send_replace(State::Open(connection.clone())) {
            old.close(CloseReason::Duplicate);
        }
        let mut headers = futures::stream::FuturesUnordered::new();
        loop {
            tokio::select! {
                accepted = connection.accept_uni() => match accepted {
                    Ok(stream) => headers.push(timeout(HEADER_TIMEOUT, read_header(stream))),
                    Err(_) => break,
                },
                Some(header) = futures::StreamExt::next(&mut headers) => {
                    if let Ok(Some((id, stream))) = header {
                        self.hand_over(id, stream);
                    }
                }
            }
        }
        self.0.bulk.lane.send_if_modified(|state| {
            let ended = matches!(state, State::Open(current) if current.is_closed());
            if ended {
                *state = State::Closed;
            }
            ended
        });
    }

    fn hand_over(&self, id: u64, mut stream: RecvStream) {
        let slot = self.0.bulk.slots().remove(&id);
        match slot {
            // A slot that was dropped meanwhile stops the stream with it.
            Some(slot) => drop(slot.send(stream)),
            None => stream.stop(CloseReason::StreamNotFound),
        }
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
    let [kind, id @ ..] = header;
    (kind == DATA).then(|| (u64::from_le_bytes(id), stream))
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

    /// At most one unused token a link: a peer that keeps asking holds no memory, and does not
    /// void what it is about to show.
    fn issue(&self, link: &Arc<Inner>) -> Tag {
        let mut given = self.lock();
        given.retain(|_, known| known.strong_count() > 0);
        let unused =
            given.iter().find(|(_, known)| std::ptr::eq(known.as_ptr(), Arc::as_ptr(link)));
        if let Some((token, _)) = unused {
            return *token;
        }
        let token = self.random.bytes();
        given.insert(token, Arc::downgrade(link));
        token
    }

    /// The link that the token was given out on, if it is still up and leads to `peer`.
    pub(super) fn redeem(&self, token: &Tag, peer: &PeerId) -> Option<Link> {
        let link = Link(self.lock().remove(token)?.upgrade()?);
        (link.peer() == *peer && !link.is_closed()).then_some(link)
    }
}
