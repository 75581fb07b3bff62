//! The streams that carry gossip: one from each side of a pair of neighbours.
//!
//! A side opens its stream when it first has something to say. An empty message says "nothing
//! more for now" (the protocol's disconnect); the stream stays open for a while after that, so
//! that what follows cannot overtake it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use iroh::EndpointAddr;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::{gossip::MAX_FRAME_BYTES, reach::Reach};
use crate::{
    id::PeerId,
    tasks::Tasks,
    transport::{Link, MessageReader, MessageWriter, RecvStream, SendStream, StreamKind},
};

/// Frames that may wait for one neighbour; who cannot take them in time is dropped.
const WRITER_BACKLOG: usize = 512;
/// How long a stream stays open with nothing to say.
const LINGER: Duration = Duration::from_secs(20);
/// How long we wait for the address of a peer that a neighbour has named; its entry is under way.
const ADDRESS_WAIT: Duration = Duration::from_secs(1);

/// What came from a neighbour, or became of the stream to it.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) peer: PeerId,
    stream: u64,
    pub(super) news: News,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The peer opened a stream.
    Opened,
    Frame(Bytes),
    /// The peer has nothing more to say for now.
    Released,
    /// The peer's stream ended.
    ReadEnd,
    /// Our stream ended.
    WriteEnd,
}

/// The streams with all neighbours.
pub(super) struct Neighbors {
    reach: Reach,
    tasks: Tasks,
    inbound: mpsc::Sender<Inbound>,
    pairs: HashMap<PeerId, Pair>,
    writers: u64,
}

#[derive(Default)]
struct Pair {
    writer: Option<(u64, mpsc::Sender<Bytes>)>,
    reader: Option<u64>,
    /// Whether the protocol believes that the peer can be talked to.
    connected: bool,
}

impl Neighbors {
    pub(super) fn new(reach: Reach, tasks: Tasks, inbound: mpsc::Sender<Inbound>) -> Self {
        Self { reach, tasks, inbound, pairs: HashMap::new(), writers: 0 }
    }

    /// Brings a frame to a peer, which is dialled if need be; false if that cannot be.
    pub(super) fn send(&mut self, peer: PeerId, frame: Bytes) -> bool {
        let pair = self.pairs.entry(peer).or_default();
        pair.connected = true;
        let frame = match &pair.writer {
            None => frame,
            Some((_, writer)) => match writer.try_send(frame) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Closed(frame)) => frame,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    // A neighbour that does not read is none.
                    pair.writer = None;
                    pair.connected = false;
                    return false;
                }
            },
        };
        self.writers += 1;
        let (sender, frames) = mpsc::channel(WRITER_BACKLOG);
        // The channel is new and has room.
        let _ = sender.try_send(frame);
        pair.writer = Some((self.writers, sender));
        let writer = Writer {
            peer,
            stream: self.writers,
            reach: self.reach.clone(),
            inbound: self.inbound.clone(),
        };
        self.tasks.spawn("discovery.gossip.write", writer.run(frames));
        true
    }

    /// Tells a peer that there is nothing more to say for now.
    pub(super) fn release(&mut self, peer: PeerId) {
        if self.reach.transport.link(&peer).is_some() {
            self.send(peer, Bytes::new());
        }
        if let Some(pair) = self.pairs.get_mut(&peer) {
            pair.connected = false;
        }
    }

    /// What the protocol is to be told of the news: a frame, or that the peer is disconnected.
    pub(super) fn hear(&mut self, inbound: Inbound) -> Option<Heard> {
        let Inbound { peer, stream, news } = inbound;
        let pair = self.pairs.entry(peer).or_default();
        let is_reader = pair.reader == Some(stream);
        let heard = match news {
            News::Opened => {
                pair.reader = Some(stream);
                None
            }
            News::Frame(frame) => {
                pair.connected |= is_reader;
                Some(Heard::Frame(frame))
            }
            News::Released if is_reader => {
                let heard = pair.disconnect();
                if let (Some(_), Some((_, writer))) = (&heard, &pair.writer) {
                    // Nothing more will be said from here either: lets our stream end.
                    let _ = writer.try_send(Bytes::new());
                }
                heard
            }
            News::ReadEnd if is_reader => {
                pair.reader = None;
                pair.disconnect()
            }
            News::WriteEnd if pair.writer.as_ref().is_some_and(|(id, _)| *id == stream) => {
                pair.writer = None;
                pair.disconnect()
            }
            // Of a stream that another one has replaced.
            News::Released | News::ReadEnd | News::WriteEnd => None,
        };
        if pair.writer.is_none() && pair.reader.is_none() && !pair.connected {
            self.pairs.remove(&peer);
        }
        heard
    }

    /// Lets the streams end once all that was sent has been heard; says whether any to these
    /// peers is left. The others are dropped.
    pub(super) fn finish(&mut self, peers: &BTreeSet<PeerId>) -> bool {
        self.pairs.retain(|peer, pair| pair.writer.is_some() && peers.contains(peer));
        for pair in self.pairs.values_mut() {
            if let Some((_, writer)) = &mut pair.writer {
                // Replaced by a closed channel: what is queued in the old one is still written.
                *writer = mpsc::channel(1).0;
            }
        }
        !self.pairs.is_empty()
    }
}

impl Pair {
    /// The protocol is told once.
    fn disconnect(&mut self) -> Option<Heard> {
        std::mem::take(&mut self.connected).then_some(Heard::Disconnected)
    }
}

/// What a neighbour's news mean for the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Frame(Bytes),
    Disconnected,
}

/// Reads a gossip stream that a peer opened, until it ends.
pub(super) async fn read(
    link: Link,
    mut send: SendStream,
    recv: RecvStream,
    inbound: mpsc::Sender<Inbound>,
) {
    static STREAMS: AtomicU64 = AtomicU64::new(0);
    let peer = link.peer();
    let stream = STREAMS.fetch_add(1, Ordering::Relaxed);
    let tell = |news| inbound.send(Inbound { peer, stream, news });
    let mut reader = MessageReader::new(recv, MAX_FRAME_BYTES);
    let mut told = tell(News::Opened).await;
    while told.is_ok() {
        let news = match reader.next_bytes().await {
            Ok(Some(frame)) if frame.is_empty() => News::Released,
            Ok(Some(frame)) => News::Frame(frame),
            Ok(None) | Err(_) => {
                // When nobody hears it, the node is shutting down.
                let _ = tell(News::ReadEnd).await;
                // Each side talks on the stream that it opened; this tells the other that its
                // last words were heard.
                send.finish();
                return;
            }
        };
        told = tell(news).await;
    }
}

/// Writes the frames for one peer.
struct Writer {
    peer: PeerId,
    stream: u64,
    reach: Reach,
    inbound: mpsc::Sender<Inbound>,
}

impl Writer {
    async fn run(self, frames: mpsc::Receiver<Bytes>) {
        if let Err(error) = self.write(frames).await {
            tracing::debug!(peer = %self.peer, error, "a gossip stream ended");
        }
        let Self { peer, stream, .. } = self;
        let _ = self.inbound.send(Inbound { peer, stream, news: News::WriteEnd }).await;
    }

    async fn write(&self, mut frames: mpsc::Receiver<Bytes>) -> Result<(), String> {
        let link = self.connect().await?;
        let (send, mut recv) = link.open(StreamKind::Gossip).await.map_err(|e| e.to_string())?;
        let mut writer = MessageWriter::new(send);
        let mut is_released = false;
        loop {
            let frame = match timeout(LINGER, frames.recv()).await {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(_) if is_released => {
                    // What was queued at this moment is still written.
                    frames.close();
                    continue;
                }
                Err(_) => continue,
            };
            is_released = frame.is_empty();
            writer.send_bytes(frame).await.map_err(|error| error.to_string())?;
        }
        writer.finish();
        // Until the peer has read it all: closing the connection discards what it has not.
        while let Ok(Some(_)) = recv.read_chunk().await {}
        Ok(())
    }

    async fn connect(&self) -> Result<Link, String> {
        if let Some(link) = self.reach.transport.link(&self.peer) {
            return Ok(link);
        }
        self.await_address().await;
        self.reach.connect(EndpointAddr::new(self.peer)).await.map_err(|error| error.to_string())
    }

    /// A neighbour may name a peer a moment before that peer's entry arrives.
    async fn await_address(&self) {
        let deadline = Instant::now() + ADDRESS_WAIT;
        let mut catalog = self.reach.shared().catalog_watch();
        while self.reach.book.lookup(&self.peer).is_none() {
            if !matches!(timeout_at(deadline, catalog.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}
