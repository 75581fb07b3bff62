//! A lane beside the control connection of a link: opened when first needed, and again when it
//! broke.
//!
//! It is dialled by the side that dialled the control connection, with a token that the other
//! side gave out on the control connection: used once, bound to lane, peer and connection.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use ::iroh::EndpointAddr;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    Transport,
    close::CloseReason,
    connection::{Allowance, Connection, Lane, SIDE_WINDOW, Side},
    error::OpenError,
    hello::{Signal, Tag},
    link::Link,
    meter::Counts,
    slots::{Arrival, Slots},
};

/// How long opening the lane may take.
const OPEN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stream may take to say which slot it is for.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long after asking for the lane it is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Streams that a peer may open beyond those that are expected, so that one that closes and one
/// that opens may overlap.
const SPARE_STREAMS: u32 = 16;
/// Of these, so many may be full.
const SPARE_WINDOWS: u32 = 2;

/// One such lane of a link.
#[derive(Debug)]
pub(super) struct SideLane {
    side: Side,
    /// The lane, while there is one.
    lane: watch::Sender<Option<Connection>>,
    /// The newest token that the peer has given us.
    offered: watch::Sender<Option<Tag>>,
    /// When this side last asked for the lane.
    asked: Mutex<Option<Instant>>,
    pub(super) slots: Slots,
}

impl SideLane {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            lane: watch::Sender::default(),
            offered: watch::Sender::default(),
            asked: Mutex::default(),
            slots: Slots::new(),
        }
    }

    fn connection(&self) -> Option<Connection> {
        self.lane.borrow().clone().filter(|connection| !connection.is_closed())
    }

    /// Lets the peer open as many streams as are reserved, if the lane is open. To be called
    /// whenever their number has become a power of two: the grant lasts until the next one.
    pub(super) fn allow_more(&self) {
        if let Some(connection) = self.connection() {
            self.allow(&connection);
        }
    }

    fn allow(&self, connection: &Connection) {
        let reserved = self.slots.reserved().min(1 << 20);
        let expected = (reserved + 1).next_power_of_two();
        let streams = expected + SPARE_STREAMS;
        let (bi_streams, uni_streams) = match self.side {
            Side::Bulk => (1, streams),
            Side::Log => (streams, 0),
        };
        connection.allow(Allowance {
            bi_streams,
            uni_streams,
            // Each stream that is expected may be full: one that is not read keeps no other from
            // being read. Those for nobody share what is left.
            window_bytes: Some((expected + SPARE_WINDOWS).saturating_mul(SIDE_WINDOW)),
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

    /// Takes the streams that the peer opens on the lane, until it ends.
    async fn serve(&self, counts: &Counts, connection: Connection) {
        self.open(&connection);
        let mut headers = FuturesUnordered::new();
        let with_header = |mut arrival: Arrival| async move {
            let header = timeout(HEADER_TIMEOUT, arrival.read_header()).await;
            (header, arrival)
        };
        loop {
            tokio::select! {
                accepted = Arrival::next(self.side, &connection) => match accepted {
                    Ok(arrival) => headers.push(with_header(arrival)),
                    Err(_) => break,
                },
                Some((header, mut arrival)) = headers.next() => {
                    let violation = match header {
                        Ok(Some(id)) => {
                            if let Err(reason) = self.slots.hand_over(id, arrival) {
                                counts.stream_refused(reason);
                            }
                            continue;
                        }
                        Ok(None) => CloseReason::ProtocolViolation,
                        Err(_) => CloseReason::Timeout,
                    };
                    arrival.refuse(violation);
                    counts.stream_refused(violation);
                }
            }
        }
        self.lane
            .send_if_modified(|lane| lane.take_if(|connection| connection.is_closed()).is_some());
    }
}

impl Link {
    /// Opens a stream on a lane beside control, as long as that may take.
    pub(super) async fn open_in_time<T>(
        &self,
        opening: impl Future<Output = Result<T, OpenError>>,
    ) -> Result<T, OpenError> {
        match timeout(OPEN_TIMEOUT, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(OpenError::NoLane("it did not open in time".into())),
        }
    }

    /// The open lane; asks for one if there is none. Cancel safe.
    pub(super) async fn lane(&self, side: Side) -> Result<Connection, OpenError> {
        let this = self.0.side(side);
        let mut lane = this.lane.subscribe();
        loop {
            lane.mark_unchanged();
            if let Some(connection) = this.connection() {
                return Ok(connection);
            }
            if this.is_time_to_ask() {
                match self.0.dialled {
                    Some(_) => self.signal(Signal::ask(side)).await?,
                    None => self.grant_lane(side).await?,
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

    /// Lets the peer dial the lane, once.
    async fn grant_lane(&self, side: Side) -> Result<(), OpenError> {
        let token = self.0.tokens.issue(side, &self.0);
        self.signal(Signal::token(side, token)).await
    }

    /// The peer wants the lane. If there is one, the peer will learn of it, or of its end, soon.
    pub(super) async fn lane_asked(&self, side: Side) -> Result<(), OpenError> {
        match self.0.side(side).connection() {
            Some(_) => Ok(()),
            None => self.grant_lane(side).await,
        }
    }

    /// The peer grants the lane: the newest grant is the one that counts.
    pub(super) fn lane_granted(&self, side: Side, token: Tag) {
        self.0.side(side).offered.send_replace(Some(token));
    }

    async fn signal(&self, signal: Signal) -> Result<(), OpenError> {
        let closed = |_| OpenError::Lost(CloseReason::UnexpectedClose);
        self.0.signals.send(signal).await.map_err(closed)
    }

    /// Dials the lane whenever the peer grants it, one at a time, and serves it; for ever. The
    /// side that was dialled has nothing to do here.
    pub(super) async fn dial_granted(&self, side: Side, transport: &Transport) {
        let Some(addr) = self.0.dialled.clone() else { return std::future::pending().await };
        let mut offered = self.0.side(side).offered.subscribe();
        // The sender lives in this link.
        while offered.changed().await.is_ok() {
            let token = *offered.borrow_and_update();
            let (Some(token), None) = (token, self.0.side(side).connection()) else { continue };
            // Boxed: most links never need all of their lanes.
            let dial = Box::pin(dial_side(transport, addr.clone(), side, token));
            if let Ok(Some(connection)) = timeout(OPEN_TIMEOUT, dial).await {
                Box::pin(self.serve_lane(side, transport, connection)).await;
            }
        }
    }

    /// Takes the streams that the peer opens on a lane, until the lane ends.
    pub(super) async fn serve_lane(&self, side: Side, transport: &Transport, lane: Connection) {
        self.0.side(side).serve(&transport.0.counts, lane).await;
    }

    /// Ends a lane as a fault would.
    #[cfg(test)]
    pub(super) fn break_lane(&self, side: Side) {
        self.0.side(side).close(CloseReason::Failed);
    }

    #[cfg(test)]
    pub(super) fn has_lane(&self, side: Side) -> bool {
        self.0.side(side).connection().is_some()
    }
}

/// Dials a lane and shows the token. `None`: the lane could not be reached, or was refused.
async fn dial_side(
    transport: &Transport,
    addr: EndpointAddr,
    side: Side,
    token: Tag,
) -> Option<Connection> {
    let connection = transport.dial_lane(addr, Lane::Side(side)).await.ok()?;
    let (mut send, mut recv) = connection.open_bi().await.ok()?;
    send.write_all_chunks(&mut [Bytes::copy_from_slice(&token)]).await.ok()?;
    send.finish();
    // The acceptor ends its half once the token is found good: no stream is opened before.
    match recv.read_chunk().await {
        Ok(None) => Some(connection),
        _ => None,
    }
}
