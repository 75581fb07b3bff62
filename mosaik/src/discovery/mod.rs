//! Who is out there: entries, the catalog of them, and the ways in which they spread.
//!
//! Every node signs an entry that says where it is and what it offers. Entries spread by gossip
//! and are compared by catalog syncs, so that each node's [`Catalog`] soon holds the same. A peer
//! that says goodbye, or gives no sign of life for `purge_after`, leaves the catalog.
//!
//! A first peer is found in the local directory of the machine or by a bootstrap node; see
//! [`Config`].

mod admission;
mod ask;
mod beat;
mod bootstrap;
mod catalog;
mod config;
mod derived;
mod description;
mod entry;
mod error;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod gate;
mod gossip;
mod incarnation;
mod meter;
mod neighbors;
mod node_ticket;
mod peer_info;
mod purged;
mod questions;
mod reach;
mod refusal;
mod rtt;
mod samples;
mod shared;
mod skew;
mod sources;
mod sync;
#[cfg(test)]
mod tests;
mod version;
mod worker;

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use iroh::{EndpointAddr, SecretKey};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    time::timeout,
};

pub(crate) use admission::HelloSections;
pub use bootstrap::{Bootstrap, BootstrapError, BootstrapHost};
pub use catalog::Catalog;
pub(crate) use catalog::{PeerDelta, PeerDeltas};
pub use config::{Config, ConfigBuilder, ConfigBuilderError};
pub use description::Description;
pub use entry::{PeerEntry, SignedPeerEntry};
pub use error::Error;
pub use event::Event;
pub(crate) use gate::Gate;
pub use node_ticket::{NodeTicket, NodeTicketError};
pub use peer_info::PeerInfo;
pub use refusal::{Refusal, Refusals};
#[doc(hidden)]
pub use samples::made_up_entries;
pub use skew::ClockSkew;
pub use version::PeerEntryVersion;

use crate::{
    clock::Clock,
    id::{GroupId, NetworkId, PeerId, StreamId, Tag, UniqueId},
    many::IntoIterOrSingle,
    random::Random,
    tasks::Tasks,
    telemetry::Metered,
    ticket::{Denial, Ticket, TicketClass},
    transport::{StreamKind, Transport},
};
use reach::{AddressBook, Reach};
use rtt::Probes;
use shared::Shared;
use sources::{BootstrapSource, LocalDirectory, LocalSource, Source};
use worker::{Command, Inputs, Turns, Worker};

/// Commands that may wait for the worker.
const COMMANDS_BACKLOG: usize = 256;
/// Frames from all neighbours that may wait for the worker; their streams wait beyond that.
const INBOUND_BACKLOG: usize = 256;
/// The longest time for [`Discovery::dial`].
const DIAL_TIME: Duration = Duration::from_secs(5);

/// Who is out there, as seen by one node. Clones share it.
///
/// It is handed out by the network. Handles may outlive the network; the catalog then
/// stays as it was.
#[derive(Clone)]
pub struct Discovery {
    reach: Reach,
    tasks: Tasks,
    config: Arc<Config>,
    probes: Probes,
}

/// What discovery is made of.
pub(crate) struct DiscoveryParts {
    pub(crate) network_id: NetworkId,
    pub(crate) secret_key: SecretKey,
    /// Not yet listening: its handlers and its address book are set here.
    pub(crate) transport: Transport,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// Cancelled only after [`Discovery::depart`].
    pub(crate) tasks: Tasks,
    pub(crate) config: Config,
    /// Who is let in; everybody without one.
    pub(crate) gate: Option<Box<dyn Gate>>,
}

impl Discovery {
    /// Starts discovery. At return, this node can be found on this machine.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if the configured tags do not fit into an entry.
    pub(crate) fn start(parts: DiscoveryParts) -> Result<Self, Error> {
        let DiscoveryParts { network_id, secret_key, transport, clock, random, .. } = parts;
        let DiscoveryParts { tasks, config, gate, .. } = parts;
        let addresses = transport.addr();
        let address = addresses.borrow().clone();
        let (notices_sender, notices) = mpsc::channel(COMMANDS_BACKLOG);
        // When full: the hello of a peer's new run closes the old connections as well, and what
        // else there is to notice will be noticed again.
        let on_notice = move |notice| {
            let _ = notices_sender.try_send(notice);
        };
        let start = transport.start();
        let me = secret_key.public();
        let shared =
            Shared::new(network_id, secret_key, clock, &config, start, address, on_notice)?;
        let shared = Arc::new(shared.with_gate(gate));
        let local = open_local_directory(&config, &network_id, me, &shared);
        let book = AddressBook { shared, local, tasks: tasks.clone() };
        let (commands, commands_received) = mpsc::channel(COMMANDS_BACKLOG);
        let (inbound_sender, inbound) = mpsc::channel(INBOUND_BACKLOG);
        let reach = Reach { book, transport, commands };
        serve(&reach, inbound_sender.clone());
        let inputs = Inputs {
            commands: commands_received,
            inbound,
            links: reach.transport.events(),
            addresses,
            notices,
        };
        let worker =
            Worker::new(reach.clone(), &config, random.clone(), tasks.clone(), inbound_sender);
        tasks.spawn("discovery.worker", worker.run(inputs));
        let (config, probes) = (Arc::new(config), Probes::default());
        let probing = rtt::run(reach.clone(), probes.clone(), config.clone(), random);
        tasks.spawn("discovery.rtt", probing);
        Ok(Self { reach, tasks, config, probes })
    }

    /// Begins to look for peers; to be called once the transport admits them.
    pub(crate) fn look_for_peers(&self, random: &Random) {
        run_sources(&self.reach, &self.config, random, &self.tasks);
    }

    /// Dials these nodes and joins the network through them: connects, exchanges catalogs, and
    /// becomes their neighbour. Nodes can be given by id alone if their addresses are known.
    ///
    /// Best effort: returns when each has been reached or has failed (after 5 s at most), without
    /// saying which. An exchange that takes longer goes on. Cancel safe.
    pub async fn dial<V>(&self, nodes: impl IntoIterOrSingle<EndpointAddr, V>) {
        let dials = nodes.into_many().map(|node| {
            let this = self.clone();
            async move {
                let peer = node.id;
                let dial = async {
                    match this.reach.contact(node).await {
                        Ok(link) => this.sync_with(link.peer()).await,
                        Err(source) => Err(Error::Unreachable { peer, source: source.into() }),
                    }
                };
                let outcome = timeout(DIAL_TIME, dial).await.unwrap_or(Err(Error::Timeout(peer)));
                if let Err(error) = outcome {
                    tracing::debug!(%peer, %error, "dialling a peer failed");
                }
            }
        });
        join_all(dials.collect::<Vec<_>>()).await;
    }

    /// This node's own signed entry, with a fresh sign of life.
    pub fn me(&self) -> SignedPeerEntry {
        self.shared().local()
    }

    /// Everyone this node knows of at this moment.
    pub fn catalog(&self) -> Catalog {
        self.shared().catalog()
    }

    /// The catalog, as it changes.
    pub fn catalog_watch(&self) -> watch::Receiver<Catalog> {
        self.shared().catalog_watch()
    }

    /// Peers that are discovered, change or depart from now on.
    ///
    /// A listener that falls more than `events_backlog` events behind loses the oldest and is
    /// told so; the catalog then has what it missed.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared().events()
    }

    /// Exchanges catalogs with a peer, which is dialled if need be: when this resolves, both
    /// sides hold each other and all that either knew. With a peer of another network nothing is
    /// exchanged, and that is no error.
    ///
    /// Begins at once and goes on when the future is dropped. Bounded to about a minute. A peer
    /// answers a few in a row at once, then about one in a second.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Interrupted`] or [`Error::Timeout`] by how far it came,
    /// and [`Error::Cancelled`] if the network was shut down.
    pub fn sync_with(
        &self,
        peer: impl Into<EndpointAddr>,
    ) -> impl Future<Output = Result<(), Error>> + Send + Sync + 'static {
        let (done, outcome) = oneshot::channel();
        let (reach, peer) = (self.reach.clone(), peer.into());
        self.tasks.spawn("discovery.sync", async move {
            let _ = done.send(reach.sync_with(peer).await);
        });
        async move { outcome.await.unwrap_or(Err(Error::Cancelled)) }
    }

    /// Takes a signed entry into this node's catalog, without an event; says whether it was new
    /// or newer than what was known, and of this network.
    pub fn feed(&self, entry: SignedPeerEntry) -> bool {
        self.shared().feed(entry)
    }

    /// Adds an unsigned entry that only this node knows; says whether that changed anything.
    /// Refused for this node itself, for other networks, and where a signed entry is known.
    pub fn insert(&self, entry: impl Into<PeerEntry>) -> bool {
        let entry = entry.into();
        self.shared().change(|state, effects| state.insert_unsigned(entry, effects))
    }

    /// Removes an unsigned entry; says whether there was one.
    pub fn remove(&self, peer: PeerId) -> bool {
        self.shared().change(|state, effects| state.remove_unsigned(&peer, effects))
    }

    /// Removes all unsigned entries; says whether there were any.
    pub fn clear_unsigned(&self) -> bool {
        self.shared().change(|state, effects| state.clear_unsigned(effects))
    }

    /// Tags this node; visible in its catalog at return, then announced. Tags that do not fit
    /// into an entry (256 KiB in all) are refused with a warning in the log.
    pub fn add_tags<V>(&self, tags: impl IntoIterOrSingle<Tag, V>) {
        self.warn(self.try_add_tags(tags));
    }

    /// As [`Discovery::add_tags`], and says so if they do not fit.
    ///
    /// # Errors
    /// [`Error::TooLarge`]: no tag was added.
    pub fn try_add_tags<V>(&self, tags: impl IntoIterOrSingle<Tag, V>) -> Result<(), Error> {
        let tags: Vec<Tag> = tags.into_many().collect();
        self.shared().edit(|entry| entry.add_tags(tags))
    }

    /// Removes tags of this node; visible in its catalog at return, then announced.
    pub fn remove_tags<V>(&self, tags: impl IntoIterOrSingle<Tag, V>) {
        let tags: Vec<Tag> = tags.into_many().collect();
        self.warn(self.shared().edit(|entry| entry.remove_tags(tags)));
    }

    /// Shows a ticket to the others; in this node's catalog at return, then announced. Nodes that
    /// require it let this one in as soon as it has reached them.
    ///
    /// To extend access before it expires, [replace](Discovery::replace_ticket) the ticket: that
    /// interrupts nothing.
    ///
    /// # Errors
    /// [`Error::TicketsTooLarge`] if the tickets of this node would take more than 64 KiB,
    /// [`Error::TooLarge`] if its entry would. Nothing changed then.
    pub fn add_ticket(&self, ticket: Ticket) -> Result<(), Error> {
        self.shared().edit(|entry| entry.add_ticket(ticket))
    }

    /// Shows a ticket no more. Access that rests on it ends at once: within a second at all nodes
    /// that are connected.
    pub fn remove_ticket(&self, id: UniqueId) {
        self.warn(self.shared().edit(|entry| entry.remove_ticket(id)));
    }

    /// Shows tickets of a class no more, as [`Discovery::remove_ticket`].
    pub fn remove_tickets_of(&self, class: TicketClass) {
        self.warn(self.shared().edit(|entry| entry.remove_tickets_of(class)));
    }

    /// Shows a ticket in the place of all others of its class.
    ///
    /// # Errors
    /// As [`Discovery::add_ticket`].
    pub fn replace_ticket(&self, ticket: Ticket) -> Result<(), Error> {
        let class = ticket.class;
        self.shared().edit(|entry| entry.remove_tickets_of(class).add_ticket(ticket))
    }

    /// What was not believed, counted by reason since the node started.
    pub fn refusals(&self) -> &Refusals {
        self.shared().refusals()
    }

    /// What is counted here, for the node's metrics.
    pub(crate) fn meter(&self) -> Arc<dyn Metered> {
        Arc::new(meter::Meter(self.shared().clone()))
    }

    /// Says that this node produces a stream; visible in its catalog at return, then announced.
    pub(crate) fn add_stream(&self, stream: StreamId) -> Result<(), Error> {
        self.shared().edit(|entry| entry.add_streams(stream))
    }

    /// Says that this node does not produce a stream any more.
    pub(crate) fn remove_stream(&self, stream: StreamId) -> Result<(), Error> {
        self.shared().edit(|entry| entry.remove_streams(stream))
    }

    /// Who produces a stream, now and as it changes; never this node itself.
    pub(crate) fn stream_peers(&self, stream: StreamId) -> PeerDeltas {
        self.shared().stream_peers(stream)
    }

    /// Says that this node takes part in a group; visible in its catalog at return, then announced.
    pub(crate) fn add_group(&self, group: GroupId) -> Result<(), Error> {
        self.shared().edit(|entry| entry.add_groups(group))
    }

    /// Says that this node does not take part in a group any more.
    pub(crate) fn remove_group(&self, group: GroupId) -> Result<(), Error> {
        self.shared().edit(|entry| entry.remove_groups(group))
    }

    /// Who takes part in a group, now and as it changes; never this node itself.
    pub(crate) fn group_peers(&self, group: GroupId) -> PeerDeltas {
        self.shared().group_peers(group)
    }

    /// Has the tickets of a peer fetched that are not here: at once, and again with pauses of up to
    /// 30 s for as long as the peer's entry names them. What comes is a change of its entry in the
    /// catalog.
    pub(crate) fn want_tickets(&self, peer: PeerId) {
        self.shared().want_tickets(peer);
    }

    /// Whether this node's gate lets a peer in now; everybody without a gate.
    pub(crate) fn admits(&self, peer: &PeerId) -> Result<(), Denial> {
        self.shared().admits(peer)
    }

    /// The date by this node's clock.
    pub(crate) fn date(&self) -> DateTime<Utc> {
        self.shared().date()
    }

    /// By how much clocks may differ.
    pub(crate) fn max_time_drift(&self) -> Duration {
        self.config.max_time_drift
    }

    /// How long saying goodbye may take.
    pub(crate) fn departure_window(&self) -> Duration {
        self.config.graceful_departure_window
    }

    /// Discovery's part in hellos. It holds no transport, so a transport may hold it.
    pub(crate) fn hello(&self) -> HelloSections {
        HelloSections::new(self.shared().clone())
    }

    /// Says goodbye: at return, all connected peers have heard it, or `graceful_departure_window` has
    /// passed. The node takes no further part in gossip. To be called before its tasks are
    /// cancelled.
    pub(crate) async fn depart(&self) {
        if let Some(directory) = self.reach.book.local.clone() {
            let leave = move || directory.leave();
            self.tasks.blocking("discovery.local.leave", leave).await;
        }
        let (heard, departed) = oneshot::channel();
        let window = self.config.graceful_departure_window;
        let goodbye = async {
            if self.reach.commands.send(Command::Depart(heard)).await.is_ok() {
                let _ = departed.await;
            }
        };
        let _ = timeout(window, goodbye).await;
    }

    fn shared(&self) -> &Arc<Shared> {
        self.reach.shared()
    }

    fn warn(&self, edited: Result<(), Error>) {
        if let Err(error) = edited {
            tracing::warn!(%error, "the entry of this node was not changed");
        }
    }
}

impl fmt::Debug for Discovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discovery").field("catalog", &self.catalog()).finish_non_exhaustive()
    }
}

/// Opens the local directory and writes this node's entry; a node that cannot is found by other
/// ways.
fn open_local_directory(
    config: &Config,
    network: &NetworkId,
    me: PeerId,
    shared: &Shared,
) -> Option<Arc<LocalDirectory>> {
    if !config.local {
        return None;
    }
    match LocalDirectory::open(config.local_directory.as_deref(), network, me) {
        Ok(directory) => {
            sources::publish(&directory, &shared.local());
            Some(Arc::new(directory))
        }
        Err(error) => {
            tracing::warn!(%error, "nodes on this machine are not found by the local directory");
            None
        }
    }
}

fn serve(reach: &Reach, inbound: mpsc::Sender<neighbors::Inbound>) {
    // The transport keeps these for good: they must not hold the transport itself.
    let book = reach.book.clone();
    reach.transport.set_lookup(Arc::new(move |peer| {
        let book = book.clone();
        Box::pin(async move { book.lookup(&peer).await })
    }));
    let refusals = reach.shared().refusals().clone();
    reach.transport.serve(StreamKind::Gossip, move |link, send, recv| {
        neighbors::read(link, send, recv, inbound.clone(), refusals.clone())
    });
    let (shared, commands) = (reach.shared().clone(), reach.commands.clone());
    let turns = Arc::new(Turns::new());
    reach.transport.serve(StreamKind::Sync, move |link, send, recv| {
        let (shared, commands, turns) = (shared.clone(), commands.clone(), turns.clone());
        async move { worker::answer_sync(&shared, &turns, &commands, link, send, recv).await }
    });
    let shared = reach.shared().clone();
    reach.transport.serve(StreamKind::Ask, move |link, send, recv| {
        let shared = shared.clone();
        async move { ask::answer(&shared, &link, send, recv).await }
    });
}

fn run_sources(reach: &Reach, config: &Config, random: &Random, tasks: &Tasks) {
    let local = reach.book.local.clone().map(|directory| LocalSource::new(directory, random));
    let bootstrap = BootstrapSource::new(config, random.clone());
    #[cfg(feature = "mdns")]
    let mdns = config.mdns.then(|| Box::new(sources::MdnsSource) as Box<dyn Source>);
    #[cfg(not(feature = "mdns"))]
    let mdns = None;
    let sources = [
        local.map(|source| Box::new(source) as Box<dyn Source>),
        bootstrap.map(|source| Box::new(source) as Box<dyn Source>),
        mdns,
    ];
    for source in sources.into_iter().flatten() {
        tasks.spawn(source.name(), source.run(reach.clone()));
    }
}
