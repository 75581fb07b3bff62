//! The life of an admitted control connection: its streams, its lanes, its end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ::iroh::EndpointAddr;
use bytes::Buf;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, timeout},
};

use super::{
    LinkEvent, StreamKind, Transport,
    close::CloseReason,
    connection::{Allowance, Connection, Side},
    error::MessageError,
    hello::{self, Claim, Greeted, Party, Registry, Role, Signal, Tag, Verdict},
    link::Link,
    lock,
    message::{MessageReader, MessageWriter},
    stream::{RecvStream, SendStream},
};
use crate::id::PeerId;

/// How long a stream may take to say what it is for.
const KIND_TIMEOUT: Duration = Duration::from_secs(5);
/// Lane signals under way; there are two lanes to arrange.
const SIGNALS: usize = 4;
/// Signals are a few bytes long.
const SIGNAL_LIMIT: usize = 256;
/// Unread bytes over all streams of one peer. All its gossip and sync streams with their windows
/// full are half of it, so that they never keep a subscription from being heard; streams that
/// hold back their first byte are what it is for.
const UNREAD_BYTES: u32 = 8 * 1024 * 1024;
/// Streams beyond the shares, so that one that closes and one that opens may overlap.
const SPARE_STREAMS: u32 = 8;

/// An admitted connection that is about to be served.
pub(super) struct Session {
    transport: Transport,
    link: Link,
    reader: MessageReader,
    writer: MessageWriter,
    signals: mpsc::Receiver<Signal>,
}

/// The registry as one hello sees it.
struct Candidate<'a> {
    transport: &'a Transport,
    connection: &'a Connection,
    begun: Instant,
}

impl Registry for Candidate<'_> {
    fn holds(&self, peer: &PeerId) -> Option<Tag> {
        self.transport.holds(peer)
    }

    fn decide(&self, claim: &Claim) -> Verdict {
        lock(&self.transport.0.peers).decide(claim, self.connection, self.begun)
    }

    fn obey(&self, claim: &Claim) -> Verdict {
        lock(&self.transport.0.peers).obey(claim, self.connection)
    }
}

/// Gives the peer's place back if the hello fails, or is given up in the middle.
struct Place<'a> {
    transport: &'a Transport,
    connection: &'a Connection,
    kept: bool,
}

impl Place<'_> {
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.kept {
            let peer = self.connection.remote_id();
            lock(&self.transport.0.peers).vacate(&peer, hello::tag_of(self.connection));
        }
    }
}

/// Counts a hello for as long as it goes on.
struct UnderWay<'a>(&'a Transport);

impl<'a> UnderWay<'a> {
    /// `None` when nobody new is taken in.
    fn begin(transport: &'a Transport) -> Option<Self> {
        let begun = transport.0.hellos.send_if_modified(|hellos| {
            hellos.under_way += usize::from(!hellos.refused);
            !hellos.refused
        });
        begun.then(|| Self(transport))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0.hellos.send_modify(|hellos| hellos.under_way -= 1);
    }
}

impl Transport {
    /// Runs the hello; on success the peer is admitted and its link is up.
    pub(super) async fn greet(
        &self,
        connection: &Connection,
        role: Role,
        begun: Instant,
        dialled: Option<EndpointAddr>,
    ) -> Result<Session, CloseReason> {
        let under_way = UnderWay::begin(self).ok_or(CloseReason::GracefulShutdown)?;
        let place = Place { transport: self, connection, kept: false };
        let greeted = self.greet_bounded(connection, role, begun).await?;
        let session = self.admit(connection, greeted, dialled)?;
        place.keep();
        drop(under_way);
        Ok(session)
    }

    async fn greet_bounded(
        &self,
        connection: &Connection,
        role: Role,
        begun: Instant,
    ) -> Result<Greeted, CloseReason> {
        let Some(admission) = self.0.admission.get() else { return Err(CloseReason::Cancelled) };
        let candidate = Candidate { transport: self, connection, begun };
        let party = Party {
            me: self.id(),
            start: self.start(),
            clock_ms: self.0.clock.now().timestamp_millis(),
            key: &self.0.key,
            registry: &candidate,
            admission: &**admission,
        };
        let greeting = hello::greet(&party, connection, role);
        timeout(self.0.config.hello_timeout, greeting).await.unwrap_or(Err(CloseReason::Timeout))
    }

    fn admit(
        &self,
        connection: &Connection,
        greeted: Greeted,
        dialled: Option<EndpointAddr>,
    ) -> Result<Session, CloseReason> {
        let Greeted { claim, mut reader, writer } = greeted;
        reader.set_limit(SIGNAL_LIMIT);
        let (sender, signals) = mpsc::channel(SIGNALS);
        let link = Link::new(
            claim.clone(),
            connection.clone(),
            dialled,
            sender,
            self.0.tokens.clone(),
            self.0.config.dial_timeout,
        );
        if !lock(&self.0.peers).admit(&claim, link.clone()) {
            return Err(CloseReason::Duplicate);
        }
        self.allow_streams(&link);
        // Nobody listening is fine.
        let _ = self.0.events.send(LinkEvent::Up(link.clone()));
        Ok(Session { transport: self.clone(), link, reader, writer, signals })
    }

    /// The peer may open as many streams as there are shares of what is served here.
    pub(super) fn allow_streams(&self, link: &Link) {
        let shares: usize = lock(&self.0.handlers).keys().map(|kind| kind.share()).sum();
        link.0.connection.allow(Allowance {
            bi_streams: u32::try_from(shares).unwrap_or(u32::MAX / 2) + SPARE_STREAMS,
            uni_streams: 0,
            window_bytes: Some(UNREAD_BYTES),
        });
    }
}

impl Session {
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Serves the connection until it ends, and says so.
    pub(super) async fn run(self) {
        let Self { transport, link, reader, writer, signals } = self;
        let unused_after = transport.0.config.unused_after;
        tokio::select! {
            () = accept_streams(&transport, &link) => {}
            () = send_signals(writer, signals) => {}
            () = hear_signals(&transport, &link, reader) => {}
            () = link.dial_granted(Side::Bulk, &transport) => {}
            () = link.dial_granted(Side::Log, &transport) => {}
            () = link.unused(unused_after) => link.close(CloseReason::Idle),
        }
        // Whatever ended it: a link without its signals or streams is of no use.
        link.close(CloseReason::UnexpectedClose);
        let reason = link.closed().await;
        lock(&transport.0.peers).vacate(&link.peer(), link.tag());
        let _ = transport.0.events.send(LinkEvent::Down { peer: link.peer(), reason });
    }
}

async fn accept_streams(transport: &Transport, link: &Link) {
    let shares: HashMap<_, _> = StreamKind::ALL
        .into_iter()
        .map(|kind| (kind, Arc::new(Semaphore::new(kind.share()))))
        .collect();
    while let Ok((send, recv)) = link.0.connection.accept_bi().await {
        let (transport, link, shares) = (transport.clone(), link.clone(), shares.clone());
        transport.0.tasks.clone().spawn("transport.stream", async move {
            serve_stream(&transport, link, send, recv, &shares).await;
        });
    }
}

async fn serve_stream(
    transport: &Transport,
    link: Link,
    mut send: SendStream,
    mut recv: RecvStream,
    shares: &HashMap<StreamKind, Arc<Semaphore>>,
) {
    let hold = link.hold();
    let kind = timeout(KIND_TIMEOUT, read_kind(&mut recv)).await.ok().flatten();
    let handler = kind.and_then(|kind| lock(&transport.0.handlers).get(&kind).cloned());
    let (Some(kind), Some(handler)) = (kind, handler) else {
        // A newer peer may know more kinds of streams than we do: it is told, and no more.
        send.reset(CloseReason::ProtocolViolation);
        recv.stop(CloseReason::ProtocolViolation);
        return transport.0.counts.stream_refused(CloseReason::ProtocolViolation);
    };
    let Ok(_share) = shares[&kind].try_acquire() else {
        send.reset(CloseReason::NoCapacity);
        recv.stop(CloseReason::NoCapacity);
        return transport.0.counts.stream_refused(CloseReason::NoCapacity);
    };
    handler(link, send.holding(hold.clone()), recv.holding(hold)).await;
}

async fn read_kind(recv: &mut RecvStream) -> Option<StreamKind> {
    let mut chunk = recv.read_chunk().await.ok()??;
    let kind = StreamKind::from_byte(*chunk.first()?);
    chunk.advance(1);
    recv.unread(chunk);
    kind
}

async fn send_signals(mut writer: MessageWriter, mut signals: mpsc::Receiver<Signal>) {
    while let Some(signal) = signals.recv().await {
        if writer.send(&signal).await.is_err() {
            return;
        }
    }
    // The sender lives in the link: reached only when the link is gone.
}

async fn hear_signals(transport: &Transport, link: &Link, mut reader: MessageReader) {
    let violated = || {
        transport.0.counts.refused(CloseReason::ProtocolViolation);
        link.close(CloseReason::ProtocolViolation);
    };
    let asked_by_dialler = link.0.dialled.is_none();
    loop {
        match reader.next::<Signal>().await.map(|signal| signal.map(Signal::request)) {
            Ok(Some((side, None))) if asked_by_dialler => {
                if link.lane_asked(side).await.is_err() {
                    return;
                }
            }
            Ok(Some((side, Some(token)))) if !asked_by_dialler => link.lane_granted(side, token),
            Ok(Some(_)) => return violated(),
            // A newer peer may have more to arrange; what it gets is what it asked for and we know.
            Err(MessageError::Unknown) => {}
            Ok(None) => return link.close(CloseReason::UnexpectedClose),
            Err(error) if error.is_violation() => return violated(),
            Err(_) => return,
        }
    }
}
