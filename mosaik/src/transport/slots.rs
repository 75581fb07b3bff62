//! Slots: the streams that this side expects on a lane beside control, by the ids that it chose.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::{
    close::CloseReason,
    connection::{Connection, Side},
    error::{OpenError, StreamError},
    link::{Hold, Link},
    stream::{RecvStream, SendStream},
};

/// First byte of a stream that is for a slot.
const DATA: u8 = 1;
const HEADER: usize = 9;
/// Streams for one slot that may wait to be taken; beyond that the oldest gives way, since whoever
/// opens another one has given it up.
const MAX_WAITING: usize = 4;

/// Where the streams of a slot go.
#[derive(Debug)]
pub(super) enum Slot {
    /// One stream, once.
    Once(oneshot::Sender<RecvStream>),
    /// A stream both ways, and others after it.
    Again(Arc<Waiting>),
}

/// Streams both ways that have arrived and wait to be taken.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    streams: Mutex<VecDeque<(SendStream, RecvStream)>>,
    arrived: Notify,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, VecDeque<(SendStream, RecvStream)>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, streams: (SendStream, RecvStream)) {
        let mut waiting = self.lock();
        let oldest = if waiting.len() >= MAX_WAITING { waiting.pop_front() } else { None };
        waiting.push_back(streams);
        drop(waiting);
        self.arrived.notify_one();
        // Outside of the lock: it tells the peer.
        drop(oldest);
    }

    /// The stream that has waited longest. For one taker. Cancel safe.
    pub(super) async fn next(&self) -> (SendStream, RecvStream) {
        loop {
            let first = self.lock().pop_front();
            match first {
                Some(streams) => return streams,
                None => self.arrived.notified().await,
            }
        }
    }
}

/// The slots of one lane.
#[derive(Debug)]
pub(super) struct Slots {
    expected: Mutex<BTreeMap<u64, Slot>>,
    next: AtomicU64,
    /// Slots that are expected or in use: so many streams the peer may open.
    reserved: AtomicU32,
}

impl Slots {
    pub(super) fn new() -> Self {
        Self { expected: Mutex::default(), next: AtomicU64::new(1), reserved: AtomicU32::new(0) }
    }

    pub(super) fn reserved(&self) -> u32 {
        self.reserved.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Slot>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a stream to whoever expects it.
    pub(super) fn hand_over(&self, id: u64, mut arrival: Arrival) -> Result<(), CloseReason> {
        let mut expected = self.lock();
        match (expected.get(&id), arrival.send.take()) {
            (Some(Slot::Again(waiting)), Some(send)) => {
                let waiting = waiting.clone();
                drop(expected);
                waiting.push((send, arrival.recv));
                Ok(())
            }
            (Some(Slot::Once(_)), None) => {
                let slot = expected.remove(&id);
                drop(expected);
                if let Some(Slot::Once(slot)) = slot {
                    // A slot that was dropped meanwhile stops the stream with it.
                    drop(slot.send(arrival.recv));
                }
                Ok(())
            }
            (_, send) => {
                drop(expected);
                arrival.send = send;
                arrival.refuse(CloseReason::StreamNotFound);
                Err(CloseReason::StreamNotFound)
            }
        }
    }
}

/// A stream that the peer has opened on a lane.
#[derive(Debug)]
pub(super) struct Arrival {
    /// None if it goes one way.
    send: Option<SendStream>,
    recv: RecvStream,
}

impl Arrival {
    /// The next one. Cancel safe.
    pub(super) async fn next(side: Side, connection: &Connection) -> Result<Self, CloseReason> {
        match side {
            Side::Bulk => Ok(Self { send: None, recv: connection.accept_uni().await? }),
            Side::Log => {
                let (send, recv) = connection.accept_bi().await?;
                Ok(Self { send: Some(send), recv })
            }
        }
    }

    /// Reads what comes before the data: the slot's id. `None`: the stream is not one of ours.
    pub(super) async fn read_header(&mut self) -> Option<u64> {
        let mut header = [0; HEADER];
        let mut filled = 0;
        while filled < HEADER {
            let mut chunk = self.recv.read_chunk().await.ok()??;
            let part = chunk.split_to(chunk.len().min(HEADER - filled));
            header[filled..filled + part.len()].copy_from_slice(&part);
            filled += part.len();
            self.recv.unread(chunk);
        }
        slot_of(header)
    }

    pub(super) fn refuse(&mut self, reason: CloseReason) {
        if let Some(send) = &mut self.send {
            send.reset(reason);
        }
        self.recv.stop(reason);
    }
}

/// Says which slot a stream is for.
pub(super) async fn write_header(send: &mut SendStream, id: u64) -> Result<(), OpenError> {
    let mut header = [DATA; HEADER];
    header[1..].copy_from_slice(&id.to_le_bytes());
    let lost = |error: StreamError| {
        OpenError::Lost(error.reason().unwrap_or(CloseReason::UnexpectedClose))
    };
    send.write_all_chunks(&mut [Bytes::copy_from_slice(&header)]).await.map_err(lost)
}

/// The slot that a stream is for.
pub(super) fn slot_of([kind, id @ ..]: [u8; HEADER]) -> Option<u64> {
    (kind == DATA).then(|| u64::from_le_bytes(id))
}

/// A slot, for as long as its streams are in use: the peer may open as many as there are slots.
#[derive(Debug)]
pub(super) struct Reserved {
    id: u64,
    link: Link,
    side: Side,
    hold: Hold,
}

impl Reserved {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn hold(&self) -> &Hold {
        &self.hold
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let slots = &self.link.0.side(self.side).slots;
        let slot = slots.lock().remove(&self.id);
        // Outside of the lock: streams that nobody took are given up.
        drop(slot);
        slots.reserved.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    /// Reserves an id for streams that the peer is about to open towards us.
    pub(super) fn reserve(&self, side: Side, slot: Slot) -> Reserved {
        let lane = self.0.side(side);
        let id = lane.slots.next.fetch_add(1, Ordering::Relaxed);
        lane.slots.lock().insert(id, slot);
        let reserved = lane.slots.reserved.fetch_add(1, Ordering::Relaxed) + 1;
        if reserved.is_power_of_two() {
            lane.allow_more();
        }
        Reserved { id, link: self.clone(), side, hold: self.hold() }
    }
}
