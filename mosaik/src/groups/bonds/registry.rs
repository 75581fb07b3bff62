//! All bonds of a node: which groups it is in, and what peers name their bonds by.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use super::{
    bond::BondEvent,
    group::{Group, GroupSpec, lock},
    handle::GroupBonds,
    heartbeats::{self, Beats},
    meet,
};
use crate::{
    id::{GroupId, PeerId},
    random::Random,
    tasks::Tasks,
    transport::{Link, StreamKind, Transport},
};

/// Events that a group's worker may be behind; then its bonds are not read.
const EVENTS: usize = 1024;

/// What bonds are made of.
#[derive(Debug)]
pub(crate) struct BondsParts {
    /// Not yet listening: the handlers of bonds and heartbeats are set here.
    pub(crate) transport: Transport,
    /// Cancelled before the connections are closed.
    pub(crate) tasks: Tasks,
    pub(crate) random: Random,
    /// How long the other side may take for one step of the handshake.
    pub(crate) handshake_timeout: Duration,
}

/// The bonds of a node. Clones share them.
#[derive(Clone)]
pub(crate) struct Bonds(Arc<Shared>);

pub(super) struct Shared {
    pub(super) transport: Transport,
    pub(super) tasks: Tasks,
    pub(super) random: Random,
    pub(super) handshake_timeout: Duration,
    groups: Mutex<HashMap<GroupId, Weak<Group>>>,
    /// Who may name a group by which number.
    numbers: Mutex<HashMap<u64, (PeerId, Weak<Group>)>>,
    next_number: AtomicU64,
    /// Heartbeats that go out.
    beats: Mutex<HashMap<PeerId, Arc<Beats>>>,
}

/// This node is in the group already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node is in the group already")]
pub(crate) struct AlreadyJoined;

impl Bonds {
    /// Begins to answer peers that want to make bonds.
    pub(crate) fn start(parts: BondsParts) -> Self {
        let BondsParts { transport, tasks, random, handshake_timeout } = parts;
        let shared = Arc::new(Shared {
            transport: transport.clone(),
            tasks,
            random,
            handshake_timeout,
            groups: Mutex::default(),
            numbers: Mutex::default(),
            next_number: AtomicU64::new(1),
            beats: Mutex::default(),
        });
        // The transport keeps its handlers for good: they must not hold what holds the transport.
        let known = Arc::downgrade(&shared);
        transport.serve(StreamKind::Bond, move |link, send, recv| {
            meet::accept(known.clone(), link, send, recv)
        });
        let known = Arc::downgrade(&shared);
        transport.serve(StreamKind::Heartbeat, move |link, send, recv| {
            heartbeats::serve(known.clone(), link, send, recv)
        });
        Self(shared)
    }

    /// Takes part in a group: peers that prove its key are bonded from now on. The events are for
    /// the group's worker; when it drops their receiver, all bonds end.
    pub(crate) fn join(
        &self,
        spec: GroupSpec,
    ) -> Result<(GroupBonds, mpsc::Receiver<BondEvent>), AlreadyJoined> {
        let mut groups = lock(&self.0.groups);
        if groups.get(&spec.id).is_some_and(|group| group.strong_count() > 0) {
            return Err(AlreadyJoined);
        }
        let (events, heard) = mpsc::channel(EVENTS);
        let tasks = self.0.tasks.child();
        let group = Arc::new(Group::new(spec, self.0.clone(), tasks, events));
        groups.insert(group.id, Arc::downgrade(&group));
        Ok((GroupBonds::new(group), heard))
    }
}

impl Shared {
    pub(super) fn group(&self, id: &GroupId) -> Option<Arc<Group>> {
        lock(&self.groups).get(id)?.upgrade()
    }

    /// The node leaves a group.
    pub(super) fn forget(&self, group: &Group) {
        let mut groups = lock(&self.groups);
        if groups.get(&group.id).is_some_and(|it| std::ptr::eq(it.as_ptr(), group)) {
            groups.remove(&group.id);
        }
    }

    pub(super) fn number(self: &Arc<Self>, peer: PeerId, group: Weak<Group>) -> Number {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        lock(&self.numbers).insert(number, (peer, group));
        Number { number, shared: Arc::downgrade(self) }
    }

    /// The group that this peer names so.
    pub(super) fn numbered(&self, number: u64, peer: &PeerId) -> Option<Arc<Group>> {
        let numbers = lock(&self.numbers);
        numbers.get(&number).filter(|(known, _)| known == peer)?.1.upgrade()
    }

    /// The way for heartbeats over this link, which all groups share.
    pub(super) fn beats(self: &Arc<Self>, link: &Link) -> Arc<Beats> {
        let mut beats = lock(&self.beats);
        if let Some(known) = beats.get(&link.peer()).filter(|beats| !beats.is_over()) {
            return known.clone();
        }
        let fresh = Beats::begin(self, link.clone());
        beats.insert(link.peer(), fresh.clone());
        fresh
    }

    #[cfg(test)]
    pub(super) fn frames_of_heartbeats(&self, peer: &PeerId) -> u64 {
        lock(&self.beats).get(peer).map_or(0, |beats| beats.frames())
    }

    pub(super) fn forget_beats(&self, beats: &Arc<Beats>) {
        let mut known = lock(&self.beats);
        if known.get(&beats.peer()).is_some_and(|it| Arc::ptr_eq(it, beats)) {
            known.remove(&beats.peer());
        }
    }
}

impl fmt::Debug for Bonds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bonds").field("groups", &lock(&self.0.groups).len()).finish_non_exhaustive()
    }
}

/// What a peer names a bond by, as long as there is that bond.
pub(super) struct Number {
    number: u64,
    shared: Weak<Shared>,
}

impl Number {
    pub(super) fn get(&self) -> u64 {
        self.number
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            lock(&shared.numbers).remove(&self.number);
        }
    }
}
