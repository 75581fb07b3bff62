//! What a group's handles, its worker and its apply task share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwapOption;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::{
    discovery::Discovery,
    groups::{
        bonded::Bonded,
        bonds::Bond,
        calls::Queue,
        config::GroupConfig,
        error::Error,
        event::GroupEvent,
        index::{Cursor, Index, Term},
        machine::{Published, StateMachine},
        member::MemberId,
        meter::Counts,
        raft::Node,
        state::SessionId,
        watched::Watched,
        when::When,
    },
    id::PeerId,
    tasks::Tasks,
};

/// Events that a slow listener may fall behind.
const EVENTS: usize = 64;
/// Requests of operators that wait for the worker.
const OPERATIONS: usize = 16;

/// What this member knows of the group, when it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) leader: Option<PeerId>,
    pub(crate) term: Term,
    /// Which of the group's lives it is, by the date at which it was founded: in milliseconds since
    /// 1970.
    pub(crate) founded_ms: u64,
    /// This member is part of a group that takes commands, and knows its leader.
    pub(crate) online: bool,
}

/// Something that an operator wants of the group.
#[derive(Debug)]
pub(crate) enum Operation {
    StepDown,
    TransferTo(PeerId),
    Evict(PeerId),
    Skip(Index),
    Leave,
}

/// An operation, and who waits for it.
pub(crate) type Asked = (Operation, oneshot::Sender<Result<(), Error>>);

/// What a core is made of.
pub(crate) struct CoreParts {
    pub(crate) config: GroupConfig,
    pub(crate) local: PeerId,
    pub(crate) discovery: Discovery,
    /// They end with the member.
    pub(crate) tasks: Tasks,
}

/// A member's state as far as it does not depend on the state machine's type.
pub(crate) struct Core {
    config: GroupConfig,
    local: PeerId,
    discovery: Discovery,
    /// In the order of the peers.
    bonds: watch::Sender<Arc<Vec<Bonded>>>,
    queue: Arc<Queue>,
    /// The session in which this node's calls go; the incarnation may not know it yet.
    session: AtomicU64,
    node: ArcSwapOption<Node>,
    seen: watch::Sender<Seen>,
    /// The last command that was applied, and the last in the log.
    applied: watch::Sender<Watched>,
    logged: watch::Sender<Watched>,
    events: broadcast::Sender<GroupEvent>,
    counts: Counts,
    operations: mpsc::Sender<Asked>,
    /// The member has been told to leave.
    leaving: AtomicBool,
    tasks: Tasks,
}

impl Core {
    pub(crate) fn new(parts: CoreParts) -> (Self, mpsc::Receiver<Asked>) {
        let CoreParts { config, local, discovery, tasks } = parts;
        let (operations, asked) = mpsc::channel(OPERATIONS);
        let core = Self {
            config,
            local,
            discovery,
            bonds: watch::Sender::default(),
            queue: Arc::new(Queue::new()),
            session: AtomicU64::new(0),
            node: ArcSwapOption::empty(),
            seen: watch::Sender::default(),
            applied: watch::Sender::default(),
            logged: watch::Sender::default(),
            events: broadcast::Sender::new(EVENTS),
            counts: Counts::default(),
            operations,
            leaving: AtomicBool::new(false),
            tasks,
        };
        (core, asked)
    }

    pub(crate) fn config(&self) -> &GroupConfig {
        &self.config
    }

    pub(crate) fn local(&self) -> PeerId {
        self.local
    }

    pub(crate) fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    pub(crate) fn bonds(&self) -> &watch::Sender<Arc<Vec<Bonded>>> {
        &self.bonds
    }

    /// Says who is bonded now. Entries are kept for as long as there is the bond.
    pub(crate) fn set_bonds(&self, bonds: Vec<Bond>) {
        let catalog = self.discovery.catalog();
        let before = self.bonds.borrow().clone();
        let kept = |bond: &Bond| before.iter().find(|it| it.bond.id() == bond.id())?.entry.clone();
        let bonded = |bond: Bond| {
            let entry = catalog.get_signed(&bond.peer()).cloned();
            Bonded { entry: entry.or_else(|| kept(&bond)), bond }
        };
        self.bonds.send_replace(Arc::new(bonds.into_iter().map(bonded).collect()));
    }

    /// The bond with a member, if there is one.
    pub(crate) fn bond_with(&self, member: &MemberId) -> Option<Bond> {
        let bonds = self.bonds.borrow();
        bonds.iter().map(|it| &it.bond).find(|bond| bond.member() == *member).cloned()
    }

    /// The peer that a member is. Those that are known here need not be checked again, which takes
    /// long.
    pub(crate) fn peer_of(&self, member: &MemberId) -> Option<PeerId> {
        if member.is_of(&self.local) {
            return Some(self.local);
        }
        let bonds = self.bonds.borrow();
        let known = bonds.iter().map(|it| it.bond.peer()).find(|peer| member.is_of(peer));
        drop(bonds);
        known.or_else(|| member.peer())
    }

    pub(crate) fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    pub(crate) fn session(&self) -> SessionId {
        SessionId(self.session.load(Ordering::Relaxed))
    }

    pub(crate) fn set_session(&self, session: SessionId) {
        self.session.store(session.0, Ordering::Relaxed);
    }

    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(crate) fn set_leaving(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Whether the member is about to go, or has gone: who wants to be in the group needs another.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) || self.tasks.token().is_cancelled()
    }

    /// The Raft node of the incarnation that this member is in.
    pub(crate) fn node(&self) -> Option<Arc<Node>> {
        self.node.load_full()
    }

    pub(crate) fn set_node(&self, node: Option<Arc<Node>>) {
        self.node.store(node);
    }

    pub(crate) fn seen(&self) -> &watch::Sender<Seen> {
        &self.seen
    }

    /// What has happened since the group was joined.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn applied(&self) -> Cursor {
        self.applied.borrow().end()
    }

    pub(crate) fn applied_watch(&self) -> &watch::Sender<Watched> {
        &self.applied
    }

    /// For the log itself, which tells where it ends.
    pub(crate) fn logged_watch(&self) -> &watch::Sender<Watched> {
        &self.logged
    }

    pub(crate) fn log_position(&self) -> Cursor {
        self.node().map_or_else(Cursor::default, |node| node.last())
    }

    pub(crate) fn events(&self) -> &broadcast::Sender<GroupEvent> {
        &self.events
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, event: GroupEvent) {
        tracing::debug!(group = %self.config.group_id(), ?event, "a group's event");
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    /// Asks the worker for something.
    pub(crate) async fn operate(&self, operation: Operation) -> Result<(), Error> {
        let (done, outcome) = oneshot::channel();
        let sent = self.operations.send((operation, done)).await;
        sent.map_err(|_| Error::GroupTerminated)?;
        outcome.await.map_err(|_| Error::GroupTerminated)?
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("group", self.config.group_id())
            .field("seen", &*self.seen.borrow())
            .finish_non_exhaustive()
    }
}

/// The same, with the machine's state.
pub(crate) struct Shared<M> {
    core: Arc<Core>,
    published: Published<M>,
    when: When,
}

impl<M: StateMachine> Shared<M> {
    pub(crate) fn new(core: Arc<Core>, published: Published<M>) -> Self {
        let when = When::new(core.clone());
        Self { core, published, when }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn published(&self) -> &Published<M> {
        &self.published
    }

    pub(crate) fn when(&self) -> &When {
        &self.when
    }
}
