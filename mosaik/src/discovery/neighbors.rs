//! The streams that carry gossip: one from each side of a pair of neighbours.
//!
//! A side opens its stream when it first has something to say. A message of four bytes says
//! "nothing more for now" (the protocol's disconnect); the stream stays open for a while after
//! that, so that what follows cannot overtake it. The four bytes count how often the other side
//! has said so on its stream: a release that the other sent before it heard of ours belongs to
//! what is over already, and must not end what has begun since.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use iroh::EndpointAddr;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};

use super::{
    gossip::MAX_FRAME_BYTES,
    reach::Reach,
    refusal::{Refusal, Refusals},
};
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
    /// The peer has nothing more to say for now, and had heard that from us so many times.
    Released(u32),
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
    pairs: BTreeMap<PeerId, Pair>,
    writers: u64,
}

#[derive(Default)]
struct Pair {
    writer: Option<(u64, mpsc::Sender<Said>)>,
    /// How many releases were sent on our stream.
    released: u32,
    reader: Option<u64>,
    /// How many releases were heard on the peer's stream.
    heard: u32,
    /// Whether the protocol believes that the peer can be talked to.
    connected: bool,
}

/// What is said to a peer.
enum Said {
    Frame(Bytes),
    Release(u32),
    /// Nothing is said, and nothing more will be for now.
    Nothing,
}

impl Neighbors {
    pub(super) fn new(reach: Reach, tasks: Tasks, inbound: mpsc::Sender<Inbound>) -> Self {
        Self { reach, tasks, inbound, pairs: BTreeMap::new(), writers: 0 }
    }

    /// Brings a frame to a peer, which is dialled if need be; false if that cannot be.
    pub(super) fn send(&mut self, peer: PeerId, frame: Bytes) -> bool {
        self.pairs.entry(peer).or_default().connected = true;
        self.say(peer, Said::Frame(frame))
    }

    /// Tells a peer that there is nothing more to say for now, unless it said so first.
    pub(super) fn release(&mut self, peer: PeerId) {
        let Some(pair) = self.pairs.get_mut(&peer) else { return };
        if std::mem::take(&mut pair.connected) && self.reach.transport.link(&peer).is_some() {
            let heard = pair.heard;
            if self.say(peer, Said::Release(heard))
                && let Some(pair) = self.pairs.get_mut(&peer)
            {
                pair.released += 1;
            }
        }
    }

    fn say(&mut self, peer: PeerId, said: Said) -> bool {
        let pair = self.pairs.entry(peer).or_default();
        let said = match &pair.writer {
            None => said,
            Some((_, writer)) => match writer.try_send(said) {
                Ok(()) => return true,
                Err(mpsc::error::TrySendError::Closed(said)) => said,
                Err(mpsc::error::TrySendError::Full(_)) => {
                    // A neighbour that does not read is none.
                    pair.writer = None;
                    pair.connected = false;
                    return false;
                }
            },
        };
        self.writers += 1;
        let (sender, to_say) = mpsc::channel(WRITER_BACKLOG);
        // The channel is new and has room.
        let _ = sender.try_send(said);
        pair.writer = Some((self.writers, sender));
        pair.released = 0;
        let writer = Writer {
            peer,
            stream: self.writers,
            reach: self.reach.clone(),
            inbound: self.inbound.clone(),
        };
        self.tasks.spawn("discovery.gossip.write", writer.run(to_say));
        true
    }

    /// What the protocol is to be told of the news: a frame, or that the peer is disconnected.
    pub(super) fn hear(&mut self, inbound: Inbound) -> Option<Heard> {
        let Inbound { peer, stream, news } = inbound;
        let pair = self.pairs.entry(peer).or_default();
        let heard = pair.hear(stream, news);
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
    fn hear(&mut self, stream: u64, news: News) -> Option<Heard> {
        let is_reader = self.reader == Some(stream);
        match news {
            News::Opened => {
                self.reader = Some(stream);
                self.heard = 0;
                None
            }
            News::Frame(frame) => {
                self.connected |= is_reader;
                Some(Heard::Frame(frame))
            }
            News::Released(known) if is_reader => {
                self.heard += 1;
                if let Some((_, writer)) = &self.writer
                    && known >= self.released
                {
                    // Lets our stream end as well; if it is full, it is not idle.
                    let _ = writer.try_send(Said::Nothing);
                }
                if known >= self.released { self.disconnect() } else { None }
            }
            News::ReadEnd if is_reader => {
                self.reader = None;
                self.disconnect()
            }
            News::WriteEnd if self.writer.as_ref().is_some_and(|(id, _)| *id == stream) => {
                self.writer = None;
                self.disconnect()
            }
            // Of a stream that another one has replaced.
            News::Released(_) | News::ReadEnd | News::WriteEnd => None,
        }
    }

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
    refusals: Arc<Refusals>,
) {
    static STREAMS: AtomicU64 = AtomicU64::new(0);
    let peer = link.peer();
    let stream = STREAMS.fetch_add(1, Ordering::Relaxed);
    let tell = |news| inbound.send(Inbound { peer, stream, news });
    let mut reader = MessageReader::new(recv, MAX_FRAME_BYTES);
    let mut told = tell(News::Opened).await;
    while told.is_ok() {
        let news = match reader.next_bytes().await {
            Ok(Some(frame)) => match <[u8; 4]>::try_from(&frame[..]) {
                Ok(known) => News::Released(u32::from_le_bytes(known)),
                Err(_) => News::Frame(frame),
            },
            ended => {
                let refusal = ended.err().as_ref().and_then(Refusal::of_message);
                refusal.into_iter().for_each(|refusal| refusals.count(refusal));
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
    async fn run(self, to_say: mpsc::Receiver<Said>) {
        if let Err(error) = self.write(to_say).await {
            tracing::debug!(peer = %self.peer, error, "a gossip stream ended");
        }
        let Self { peer, stream, .. } = self;
        let _ = self.inbound.send(Inbound { peer, stream, news: News::WriteEnd }).await;
    }

    async fn write(&self, mut to_say: mpsc::Receiver<Said>) -> Result<(), String> {
        let link = self.connect().await?;
        let (send, mut recv) = link.open(StreamKind::Gossip).await.map_err(|e| e.to_string())?;
        let mut writer = MessageWriter::new(send);
        let mut is_released = false;
        loop {
            let said = match timeout(LINGER, to_say.recv()).await {
                Ok(Some(said)) => said,
                Ok(None) => break,
                Err(_) if is_released => {
                    // What was queued at this moment is still written.
                    to_say.close();
                    continue;
                }
                Err(_) => continue,
            };
            is_released = !matches!(said, Said::Frame(_));
            let bytes = match said {
                Said::Frame(frame) => frame,
                Said::Release(heard) => Bytes::copy_from_slice(&heard.to_le_bytes()),
                Said::Nothing => continue,
            };
            writer.send_bytes(bytes).await.map_err(|error| error.to_string())?;
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
        while self.reach.book.lookup(&self.peer).await.is_none() {
            if !matches!(timeout_at(deadline, catalog.changed()).await, Ok(Ok(()))) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two ends of a pair in which both streams are open.
    fn ends() -> [Pair; 2] {
        [0, 1].map(|_| {
            let mut pair = Pair::default();
            assert_eq!(pair.hear(7, News::Opened), None);
            pair.hear(7, News::Frame(Bytes::from_static(b"a frame")));
            assert!(pair.connected);
            pair
        })
    }

    /// One end releases the other; the count that travels.
    fn release(pair: &mut Pair) -> News {
        pair.connected = false;
        pair.released += 1;
        News::Released(pair.heard)
    }

    #[test]
    fn a_release_disconnects_once() {
        let [mut a, mut b] = ends();
        let news = release(&mut a);
        assert_eq!(b.hear(7, news), Some(Heard::Disconnected));
        assert!(!b.connected);
        assert_eq!(b.hear(7, News::ReadEnd), None);
    }

    #[test]
    fn a_release_that_crossed_ours_does_not_end_what_has_begun_since() {
        let [mut a, mut b] = ends();
        let (from_a, from_b) = (release(&mut a), release(&mut b));
        // Both begin anew before they hear of the other's release.
        a.connected = true;
        b.connected = true;
        assert_eq!(a.hear(7, from_b), None);
        assert_eq!(b.hear(7, from_a), None);
        // The next release is about what is current.
        let news = release(&mut a);
        assert_eq!(b.hear(7, news), Some(Heard::Disconnected));
    }

    #[test]
    fn the_end_of_a_replaced_stream_means_nothing() {
        let [mut a, _] = ends();
        a.hear(8, News::Opened);
        assert_eq!(a.hear(7, News::ReadEnd), None);
        assert_eq!(a.hear(8, News::ReadEnd), Some(Heard::Disconnected));
    }
}
