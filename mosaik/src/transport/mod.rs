//! Lanes between peers: who may talk, over which connection, on which stream.
//!
//! Everything above this module sees admitted peers ([`Link`]) and their streams; it neither
//! knows nor can tell whether bytes travel by QUIC (`iroh`) or in memory (`sim`).

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use ::iroh::{EndpointAddr, SecretKey};
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::{
    sync::{Semaphore, broadcast, watch},
    time::timeout,
};

use crate::{
    clock::Clock,
    id::{NetworkId, PeerId},
    random::Random,
    tasks::Tasks,
    telemetry::Metered,
};

mod accept;
mod bulk;
mod close;
mod config;
mod connection;
mod dial;
mod endpoint;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hello;
mod iroh;
mod link;
mod log;
mod message;
mod meter;
mod peers;
mod session;
mod side;
pub(crate) mod sim;
mod slots;
mod strangers;
mod stream;
#[cfg(test)]
mod tests;
mod tokens;

pub(crate) use self::log::LogSlot;
pub(crate) use self::{
    bulk::BulkSlot,
    error::{MessageError, OpenError, StreamError},
    iroh::Options,
    link::{Clocks, Link},
    message::{MessageReader, MessageWriter, decode_message},
    stream::{RecvStream, SendStream},
};
pub use self::{close::CloseReason, config::Config, error::DialError, iroh::BindError};

use self::{
    endpoint::Endpoint,
    hello::{NetworkKey, Tag},
    meter::{Counts, Meter},
    peers::Peers,
    tokens::Tokens,
};

/// Events that a slow listener may fall behind; it then looks at [`Transport::links`] again.
const EVENTS_BACKLOG: usize = 1024;
/// Dials to peers that are under way at once; more wait, as part of the time they may take.
const MAX_DIALS: usize = 32;
/// How long saying goodbye to all peers may take.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// What a stream on the control lane is for: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum StreamKind {
    /// Announcements, from neighbour to neighbour.
    Gossip = 1,
    /// Exchange of catalogs.
    Sync = 2,
    /// A subscription: asked for, refused, ended here; its data flow on the bulk lane.
    Subscribe = 3,
    /// One question and its answer.
    Ask = 4,
    /// Two members of a group.
    Bond = 5,
    /// Signs of life for all groups that two nodes have in common.
    Heartbeat = 6,
}

impl StreamKind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Gossip, Self::Sync, Self::Subscribe, Self::Ask, Self::Bond, Self::Heartbeat];

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// How many streams of this kind a peer may have open towards us. QUIC's own limit is the sum
    /// over the kinds that are served, so that many of one kind never keep another from opening.
    const fn share(self) -> usize {
        match self {
            Self::Gossip | Self::Sync => 8,
            Self::Ask => 16,
            Self::Subscribe => 4096,
            // One a group; another one while both sides open one, or open it again.
            Self::Bond => 4096,
            // One, and its successor.
            Self::Heartbeat => 4,
        }
    }
}

/// The hellos that are going on.
#[derive(Debug, Default)]
struct Hellos {
    under_way: usize,
    /// The node is about to leave: nobody new is taken in.
    refused: bool,
}

/// What is decided about a peer in its hello; the transport carries the sections unread.
pub(crate) trait Admission: Send + Sync + 'static {
    /// What this node has to offer, and what it knows of the peer.
    fn offer(&self, peer: PeerId) -> Bytes;
    /// What the peer lacks, by its offer.
    fn bodies(&self, peer: PeerId, offer: &[u8]) -> Result<Bytes, CloseReason>;
    /// Takes the peer in, or says why not. No bodies: they did not come in time.
    fn admit(&self, peer: PeerId, offer: &[u8], bodies: &[u8]) -> Result<(), CloseReason>;
    /// What proves to an older run of the peer that there is a newer one; empty if nothing does.
    fn newer_run(&self, _peer: PeerId) -> Bytes {
        Bytes::new()
    }
    /// A peer says, with this proof, that there is a newer run of this node.
    fn hear_of_newer_run(&self, _proof: &[u8]) {}
}

/// A link went up or down.
#[derive(Clone, Debug)]
pub(crate) enum LinkEvent {
    Up(Link),
    Down { peer: PeerId, reason: CloseReason },
}

type Handler = Arc<dyn Fn(Link, SendStream, RecvStream) -> BoxFuture<'static, ()> + Send + Sync>;
type Lookup = dyn Fn(PeerId) -> BoxFuture<'static, Option<EndpointAddr>> + Send + Sync;

/// What a transport is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) network: NetworkId,
    pub(crate) secret_key: SecretKey,
    /// Microseconds since 1970 at which this run of the node began.
    pub(crate) start: u64,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) tasks: Tasks,
}

/// The node's connections. Clones share them.
#[derive(Clone)]
pub(crate) struct Transport(Arc<Inner>);

struct Inner {
    id: PeerId,
    start: watch::Sender<u64>,
    key: NetworkKey,
    config: Config,
    clock: Clock,
    tasks: Tasks,
    endpoint: Endpoint,
    counts: Arc<Counts>,
    peers: Mutex<Peers>,
    dials: Mutex<HashMap<PeerId, dial::Dialling>>,
    /// Whoever names peers that do not exist can make this node dial them, but not all at once.
    dial_turns: Semaphore,
    hellos: watch::Sender<Hellos>,
    handlers: Mutex<HashMap<StreamKind, Handler>>,
    admission: OnceLock<Arc<dyn Admission>>,
    lookup: OnceLock<Arc<Lookup>>,
    events: broadcast::Sender<LinkEvent>,
    tokens: Arc<Tokens>,
}

impl Transport {
    /// Binds a node's sockets; nothing is accepted before [`Transport::listen`].
    pub(crate) async fn bind(parts: Parts, options: Options) -> Result<Self, BindError> {
        let endpoint = iroh::Endpoint::bind(options, &parts.config, &parts.tasks).await?;
        Ok(Self::new(parts, Endpoint::Iroh(endpoint)))
    }

    /// A node on a simulated network.
    pub(crate) fn simulated(parts: Parts, net: &sim::SimNet) -> Self {
        let endpoint = sim::Endpoint::bind(parts.secret_key.public(), net.clone());
        Self::new(parts, Endpoint::Sim(endpoint))
    }

    fn new(parts: Parts, endpoint: Endpoint) -> Self {
        Self(Arc::new(Inner {
            id: parts.secret_key.public(),
            start: watch::Sender::new(parts.start),
            key: NetworkKey::new(&parts.network),
            config: parts.config,
            clock: parts.clock,
            tasks: parts.tasks,
            endpoint,
            counts: Arc::default(),
            peers: Mutex::default(),
            dials: Mutex::default(),
            dial_turns: Semaphore::new(MAX_DIALS),
            hellos: watch::Sender::default(),
            handlers: Mutex::default(),
            admission: OnceLock::new(),
            lookup: OnceLock::new(),
            events: broadcast::Sender::new(EVENTS_BACKLOG),
            tokens: Arc::new(Tokens::new(parts.random)),
        }))
    }

    /// Who judges hellos; must be set before [`Transport::listen`].
    pub(crate) fn set_admission(&self, admission: Arc<dyn Admission>) {
        // Set once, by the network that owns this transport.
        let _ = self.0.admission.set(admission);
    }

    /// Where peers are found that are dialled by id alone.
    pub(crate) fn set_lookup(&self, lookup: Arc<Lookup>) {
        let _ = self.0.lookup.set(lookup);
    }

    /// From now on streams of this kind are given to `handler`, each in a task of its own.
    pub(crate) fn serve<F, Fut>(&self, kind: StreamKind, handler: F)
    where
        F: Fn(Link, SendStream, RecvStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let handler: Handler =
            Arc::new(move |link, send, recv| Box::pin(handler(link, send, recv)));
        lock(&self.0.handlers).insert(kind, handler);
        for link in self.links() {
            self.allow_streams(&link);
        }
    }

    pub(crate) fn id(&self) -> PeerId {
        self.0.id
    }

    /// When this run of the node began, in microseconds since 1970.
    pub(crate) fn start(&self) -> u64 {
        *self.0.start.borrow()
    }

    /// The same, as it changes.
    pub(crate) fn starts(&self) -> watch::Receiver<u64> {
        self.0.start.subscribe()
    }

    /// From now on this node says that it began at `start`. All links are closed: they are those
    /// of an earlier run, as the peers see it.
    pub(crate) fn renew(&self, start: u64) {
        self.0.start.send_replace(start);
        self.close_links(CloseReason::Superseded);
    }

    /// Closes all links at once.
    pub(crate) fn close_links(&self, reason: CloseReason) {
        lock(&self.0.peers).close_all(reason);
    }

    /// The node's own addresses, as they change.
    pub(crate) fn addr(&self) -> watch::Receiver<EndpointAddr> {
        self.0.endpoint.addr()
    }

    /// The iroh endpoint, if this node is on that backend.
    pub(crate) fn iroh_endpoint(&self) -> Option<&::iroh::Endpoint> {
        match &self.0.endpoint {
            Endpoint::Iroh(endpoint) => Some(endpoint.inner()),
            Endpoint::Sim(_) => None,
        }
    }

    /// What is counted here, for the node's metrics.
    pub(crate) fn meter(&self) -> Arc<dyn Metered> {
        Arc::new(Meter::new(self.0.counts.clone(), &self.0.endpoint))
    }

    /// The link to a peer, if one is up.
    pub(crate) fn link(&self, peer: &PeerId) -> Option<Link> {
        lock(&self.0.peers).link(peer).filter(|link| !link.is_closed())
    }

    /// All links that are up.
    pub(crate) fn links(&self) -> Vec<Link> {
        lock(&self.0.peers).links()
    }

    /// Links that go up or down from now on.
    pub(crate) fn events(&self) -> broadcast::Receiver<LinkEvent> {
        self.0.events.subscribe()
    }

    /// A newer run of the peer was heard of: connections to older ones are closed at once, since
    /// nothing can be dialled under that id while one is open.
    pub(crate) fn saw_incarnation(&self, peer: &PeerId, start: u64) {
        lock(&self.0.peers).supersede(peer, start);
    }

    /// Takes nobody new in from now on, and waits until the hellos that are under way are over:
    /// whoever has admitted this node has a link then. Bounded by the hello timeout. Cancel safe.
    pub(crate) async fn settle(&self) {
        self.0.hellos.send_modify(|hellos| hellos.refused = true);
        let mut hellos = self.0.hellos.subscribe();
        // The sender lives in this transport.
        let _ = hellos.wait_for(|hellos| hellos.under_way == 0).await;
    }

    /// Tells all peers that this node leaves, and frees its sockets; bounded to half a second.
    pub(crate) async fn close(&self) {
        self.close_links(CloseReason::GracefulShutdown);
        if timeout(CLOSE_TIMEOUT, self.0.endpoint.close()).await.is_err() {
            tracing::debug!("the endpoint took too long to close");
        }
    }

    fn holds(&self, peer: &PeerId) -> Option<Tag> {
        lock(&self.0.peers).holds(peer)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("id", &self.0.id).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
