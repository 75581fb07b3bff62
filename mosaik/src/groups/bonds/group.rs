//! One group's bonds: who is bonded, who is sought, who serves.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use super::{
    bond::{Bond, BondEvent},
    handshake::{Agreement, Mismatch},
    line::Line,
    protocol::Head,
    registry::{Number, Shared},
    served::{Gone, Served, Serving},
    traffic::Traffic,
};
use crate::{
    groups::member::MemberId,
    id::{GroupId, PeerId, UniqueId},
    tasks::Tasks,
    transport::CloseReason,
};

/// Members that one is bonded with at most.
pub(super) const MAX_BONDS: usize = 64;
/// Peers whose differences are remembered, so that each is told once.
const MAX_MISMATCHES: usize = 256;

/// Whether a peer has the tickets that the group requires. It may look for some that are not here
/// yet; who takes longer than 3 s is refused.
pub(crate) type Judge = Arc<dyn Fn(PeerId) -> BoxFuture<'static, bool> + Send + Sync>;

/// What a group's bonds are made of.
pub(crate) struct GroupSpec {
    pub(crate) id: GroupId,
    /// The group's key.
    pub(crate) secret: UniqueId,
    pub(crate) agreement: Agreement,
    /// With the node's own id it is the `MemberId`.
    pub(crate) session: u64,
    pub(crate) observer: bool,
    /// What is said of this member when a bond is made; at most 32 KiB.
    pub(crate) status: Bytes,
    pub(crate) judge: Judge,
}

/// What this side is to the others.
#[derive(Clone, Debug)]
pub(super) struct Me {
    pub(super) session: u64,
    pub(super) observer: bool,
    pub(super) status: Bytes,
    /// Counts the changes.
    pub(super) version: u64,
}

impl Me {
    fn tell(&self, line: &Line) {
        let head = Head::Identity { session: self.session, observer: self.observer };
        say(line, &head, self.status.clone());
    }
}

/// Says something that must not be missed: a member that cannot be told loses its bond, and learns
/// it with the next one.
fn say(line: &Line, head: &Head, body: Bytes) {
    if let Err(error) = line.send(head, body) {
        tracing::debug!(peer = %line.peer(), %error, "a bond is given up");
        line.end(CloseReason::Timeout);
    }
}

pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) secret: UniqueId,
    pub(super) agreement: Agreement,
    pub(super) judge: Judge,
    pub(super) local: PeerId,
    pub(super) shared: Arc<Shared>,
    pub(super) tasks: Tasks,
    pub(super) traffic: Arc<Traffic>,
    /// For the worker. Events of who is bonded are sent while `bonds` is locked, into room that was
    /// reserved before: they come in the order in which it happened.
    pub(super) events: mpsc::Sender<BondEvent>,
    bonds: Mutex<BTreeMap<PeerId, Bond>>,
    changes: watch::Sender<()>,
    me: Mutex<Me>,
    serving: ArcSwapOption<Serving>,
    /// Peers towards which a handshake is under way.
    opening: Mutex<BTreeSet<PeerId>>,
    mismatches: Mutex<HashMap<PeerId, Mismatch>>,
}

impl Group {
    pub(super) fn new(
        spec: GroupSpec,
        shared: Arc<Shared>,
        tasks: Tasks,
        events: mpsc::Sender<BondEvent>,
    ) -> Self {
        let GroupSpec { session, observer, status, .. } = spec;
        Self {
            id: spec.id,
            secret: spec.secret,
            agreement: spec.agreement,
            judge: spec.judge,
            local: shared.transport.id(),
            shared,
            tasks,
            traffic: Arc::default(),
            events,
            bonds: Mutex::default(),
            changes: watch::Sender::default(),
            me: Mutex::new(Me { session, observer, status, version: 0 }),
            serving: ArcSwapOption::empty(),
            opening: Mutex::default(),
            mismatches: Mutex::default(),
        }
    }

    /// What a peer is to name a new bond by in heartbeats.
    pub(super) fn number(self: &Arc<Self>, peer: PeerId) -> Number {
        self.shared.number(peer, Arc::downgrade(self))
    }

    pub(super) fn me(&self) -> Me {
        lock(&self.me).clone()
    }

    /// The Raft node that runs now.
    pub(super) fn served(&self) -> Option<Arc<dyn Served>> {
        self.serving.load().as_ref().map(|serving| serving.0.clone())
    }

    pub(super) fn serve(&self, served: Option<Arc<dyn Served>>) {
        self.serving.store(served.map(|served| Arc::new(Serving(served))));
    }

    pub(super) fn bonds(&self) -> Vec<Bond> {
        lock(&self.bonds).values().cloned().collect()
    }

    /// The bond with a peer, unless it is about to end.
    pub(super) fn bond(&self, peer: &PeerId) -> Option<Bond> {
        lock(&self.bonds).get(peer).filter(|bond| !bond.is_over()).cloned()
    }

    pub(super) fn line_of(&self, member: &MemberId) -> Option<Arc<Line>> {
        let bonds = lock(&self.bonds);
        let bond = bonds.values().find(|bond| bond.member() == *member && !bond.is_over())?;
        Some(bond.line().clone())
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Waits until there is no bond with a peer.
    pub(super) async fn unbonded(&self, peer: &PeerId) {
        let mut changes = self.changes();
        while let Some(bond) = self.bond(peer) {
            tokio::select! {
                // The sender lives in this group.
                _ = changes.changed() => {}
                _ = bond.link().closed() => {}
            }
        }
    }

    /// Whether the peer's attempt must give way to this side's.
    pub(super) fn prefers_own(&self, peer: &PeerId) -> bool {
        let opened_here = |bond: Bond| bond.line().opener == self.local;
        self.local < *peer
            && (lock(&self.opening).contains(peer) || self.bond(peer).is_some_and(opened_here))
    }

    /// A handshake that this side begins.
    pub(super) fn opening(&self, peer: PeerId) -> Opening<'_> {
        lock(&self.opening).insert(peer);
        Opening { group: self, peer }
    }

    /// Takes in a bond that was just made, or says why not. `told`: the version of this side that
    /// the peer knows.
    pub(super) async fn join(&self, bond: &Bond, told: u64) -> Result<(), CloseReason> {
        let room = self.events.reserve_many(2).await;
        let mut room = room.map_err(|_| CloseReason::GracefulShutdown)?;
        let mut bonds = lock(&self.bonds);
        let (peer, line) = (bond.peer(), bond.line());
        let smaller = self.local.min(peer);
        match bonds.get(&peer).map(Bond::line) {
            Some(old) if !old.is_over() && old.opener == smaller && line.opener != smaller => {
                return Err(CloseReason::AlreadyBonded);
            }
            None if bonds.len() >= MAX_BONDS => return Err(CloseReason::NoCapacity),
            _ => {}
        }
        if let Some(old) = bonds.insert(peer, bond.clone()) {
            old.line().end(CloseReason::AlreadyBonded);
            tell(&mut room, BondEvent::Down { reason: old.line().reason(), bond: old });
        }
        tell(&mut room, BondEvent::Up(bond.clone()));
        drop(bonds);
        lock(&self.mismatches).remove(&peer);
        self.changes.send_replace(());
        let me = self.me();
        if me.version != told {
            me.tell(line);
        }
        Ok(())
    }

    /// The peer of a bond is another member from now on.
    pub(super) async fn renamed(
        &self,
        bond: &Bond,
        session: u64,
        observer: bool,
        status: Bytes,
    ) -> Result<Bond, Gone> {
        let mut room = self.events.reserve_many(2).await.map_err(|_| Gone)?;
        let (peer, line) = (bond.peer(), bond.line().clone());
        let renamed = Bond::new(MemberId::new(&peer, session), observer, status, line);
        let mut bonds = lock(&self.bonds);
        if let Some(current) = bonds.get_mut(&peer).filter(|current| current.is_same(bond)) {
            let bond = std::mem::replace(current, renamed.clone());
            tell(&mut room, BondEvent::Down { bond, reason: CloseReason::Superseded });
            tell(&mut room, BondEvent::Up(renamed.clone()));
        }
        drop(bonds);
        self.changes.send_replace(());
        Ok(renamed)
    }

    /// A bond has ended.
    pub(super) async fn part(&self, bond: &Line) {
        // Without the worker nobody is told.
        let room = self.events.reserve().await.ok();
        let mut bonds = lock(&self.bonds);
        let current = bonds.get(&bond.peer()).is_some_and(|it| std::ptr::eq(&**it.line(), bond));
        if current
            && let Some(gone) = bonds.remove(&bond.peer())
            && let Some(room) = room
        {
            room.send(BondEvent::Down { bond: gone, reason: bond.reason() });
        }
        drop(bonds);
        self.changes.send_replace(());
    }

    /// A peer has configured the group differently.
    pub(super) async fn differs(&self, peer: PeerId, mismatch: Mismatch) {
        tracing::debug!(group = %self.id, %peer, ?mismatch, "the group is configured differently");
        {
            let mut known = lock(&self.mismatches);
            if known.len() >= MAX_MISMATCHES {
                known.clear();
            }
            if known.insert(peer, mismatch.clone()).is_some_and(|before| before == mismatch) {
                return;
            }
        }
        // Without the worker nobody is told.
        let _ = self.events.send(BondEvent::Mismatch { peer, mismatch }).await;
    }

    /// This side is another member from now on.
    pub(super) fn rename(&self, session: u64, observer: bool, status: Bytes) {
        let me = {
            let mut me = lock(&self.me);
            *me = Me { session, observer, status, version: me.version + 1 };
            me.clone()
        };
        self.bonds().iter().for_each(|bond| me.tell(bond.line()));
    }

    pub(super) fn tell_status(&self, status: Bytes) {
        {
            let mut me = lock(&self.me);
            me.status = status.clone();
            me.version += 1;
        }
        for bond in self.bonds() {
            say(bond.line(), &Head::Status, status.clone());
        }
    }
}

fn tell(room: &mut mpsc::PermitIterator<'_, BondEvent>, event: BondEvent) {
    if let Some(room) = room.next() {
        room.send(event);
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A handshake that this side has begun.
pub(super) struct Opening<'a> {
    group: &'a Group,
    peer: PeerId,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        lock(&self.group.opening).remove(&self.peer);
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
