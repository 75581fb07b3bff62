//! The task that drives a member: it tells formation and autopilot what happens, and carries out
//! what they want.

mod barring;
mod checkpoints;
mod effects;
mod evictions;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod hosting;
mod life;
mod members;
mod messages;
mod operations;
mod poisoned;
mod pump;
mod reads;
mod sessions;
mod spec;
mod tickets;
mod views;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, watch},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::reads::catch_up;
pub(crate) use self::spec::agreement;
use self::{
    checkpoints::Digests,
    hosting::{Callers, Flags},
    members::{Changed, Members},
    messages::Mark,
    poisoned::Poisoned,
    pump::{Forwarded, Pump},
    sessions::Strangers,
};
use super::{
    autopilot::Autopilot,
    bonds::{BondEvent, Bonds, GroupBonds},
    formation::{Effect, Formation, Input},
    group::{Asked, Core},
    member::{IncarnationId, MemberId},
    meter::Meter,
    raft::{Node, RaftView},
    state::Replica,
};
use crate::{
    clock::Clock,
    discovery::{Discovery, PeerDelta, PeerDeltas},
    id::{Digest, PeerId},
    random::Random,
    telemetry::Meters,
};

/// How often the leader looks after its members, and everybody tells how far it is.
const TICK: Duration = Duration::from_millis(250);
/// The same while a leader waits until its founders have all stored the first entry.
const OPENING: Duration = Duration::from_millis(20);
/// How often a member looks that follows: Raft tells it of all that matters.
const FOLLOWING: Duration = Duration::from_secs(1);
/// How often a member looks that is alone.
const REST: Duration = Duration::from_secs(10);
/// What tasks have to tell the worker.
const INNER: usize = 8;
/// How long leaving in good order may take.
const FAREWELL: Duration = Duration::from_millis(400);
/// How long the last answer of who leaves may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(50);
/// The pause until an earlier member of this node in the same group is gone.
const AGAIN: Duration = Duration::from_millis(10);

/// Makes a replica that has applied nothing, of the state that the group began with.
pub(crate) type MakeReplica = Box<dyn Fn() -> Replica + Send + Sync>;

/// What a member's worker is made of.
pub(crate) struct WorkerParts {
    pub(crate) core: Arc<Core>,
    pub(crate) make_replica: MakeReplica,
    pub(crate) asked: mpsc::Receiver<Asked>,
    pub(crate) bonds: Bonds,
    pub(crate) discovery: Discovery,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) telemetry: Meters,
    /// Cancelled when the member is to leave in good order.
    pub(crate) leave: CancellationToken,
    pub(crate) turn: Turn,
}

/// The place among the members that this node has been in one group: one begins when the one before
/// it has gone.
pub(crate) struct Turn {
    /// Cancelled when the member before has gone.
    pub(crate) earlier: Option<CancellationToken>,
    /// To be cancelled when this one has.
    pub(crate) gone: CancellationToken,
}

/// The Raft node of the incarnation that this member is in, and what it tells.
struct Running {
    node: Node,
    view: watch::Receiver<RaftView>,
    flags: watch::Receiver<Flags>,
    /// Whose sessions are open.
    callers: watch::Receiver<Callers>,
    failed: watch::Receiver<Option<String>>,
}

struct Worker {
    core: Arc<Core>,
    make_replica: MakeReplica,
    bonds: GroupBonds,
    discovery: Discovery,
    clock: Clock,
    random: Random,
    formation: Formation,
    autopilot: Autopilot,
    running: Option<Running>,
    /// The incarnation that the session of this node's calls belongs to.
    session_of: Option<IncarnationId>,
    candidates: BTreeSet<PeerId>,
    members: Members,
    forwarded: mpsc::Sender<Forwarded>,
    /// For the bytes of what is forwarded.
    room: Arc<Semaphore>,
    digests: Digests,
    strangers: Strangers,
    poisoned: Poisoned,
    leader_without_ticket: Option<(PeerId, Instant)>,
    /// Since when the voters with tickets are no quorum.
    quorum_lost_since: Option<Instant>,
    /// The group takes no commands because of that.
    tickets_expired: bool,
    /// Voters that were said to be barred.
    barred_told: BTreeSet<MemberId>,
    /// Barred members whose bonds were closed before anybody was told of them.
    turned_away: BTreeSet<MemberId>,
    inner: mpsc::Sender<Inner>,
    next_tick: Instant,
    left: bool,
}

/// What tasks of this member tell its worker.
#[derive(Debug)]
enum Inner {
    /// A change of members has been made, or not.
    Changed(Changed),
    /// A checkpoint's digest.
    Digest { incarnation: IncarnationId, mark: Mark, digest: Digest },
}

/// What a worker hears, beside what its Raft node tells.
struct Inputs {
    events: mpsc::Receiver<BondEvent>,
    peers: PeerDeltas,
    asked: mpsc::Receiver<Asked>,
    inner: mpsc::Receiver<Inner>,
    leave: CancellationToken,
}

/// Runs a member until it leaves or its node ends.
pub(crate) async fn run(parts: WorkerParts) {
    let core = parts.core.clone();
    // The last thing that is done, also after a panic.
    let _gone = parts.turn.gone.clone().drop_guard();
    let ended = core.tasks().token().clone();
    ended.run_until_cancelled(serve(parts)).await;
    core.set_node(None);
    core.queue().end();
    core.seen().send_replace(super::group::Seen::default());
    // Removing never makes an entry too large. If the node has joined again meanwhile, that member
    // begins after this, and announces the group itself.
    let _ = core.discovery().remove_group(*core.config().group_id());
    core.tasks().cancel();
}

async fn serve(parts: WorkerParts) {
    let WorkerParts { core, make_replica, asked, bonds, discovery, clock, random, .. } = parts;
    let (telemetry, leave) = (parts.telemetry, parts.leave);
    if let Some(earlier) = parts.turn.earlier {
        earlier.cancelled().await;
        announce(&core);
    }
    if spec::may_forget(core.config()) {
        let group = core.config().group_id();
        tracing::warn!(%group, "a strict group in memory forgets what it agreed on if a majority of \
            its members restarts");
    }
    let me = MemberId::new(&core.local(), u64::from_le_bytes(random.bytes()));
    let mut formation = Formation::new(
        spec::formation(core.config(), &clock),
        core.local(),
        me,
        random.bytes(),
        Instant::now(),
    );
    let status = messages::encode(&formation.status());
    let (bonds, events) = loop {
        let spec = spec::bonds(&core, &discovery, me.session(), status.clone());
        match bonds.join(spec) {
            Ok(joined) => break joined,
            // An earlier member of this node has panicked, and its tasks are not at their end yet.
            Err(_) => sleep(AGAIN).await,
        }
    };
    // Sampled until this member ends.
    let meter = Arc::new(Meter { core: core.clone(), traffic: bonds.traffic() });
    telemetry.add(meter.clone());
    let (forwarded, received) = mpsc::channel(pump::FORWARDED);
    let pump = Pump::new(core.clone(), clock.clone(), received);
    core.tasks().spawn("groups.pump", pump.run());
    let (inner_told, inner) = mpsc::channel(INNER);
    let peers = discovery.group_peers(*core.config().group_id());
    let begin = formation.on(Input::Tick, Instant::now());
    let mut worker = Worker {
        autopilot: Autopilot::new(spec::autopilot(core.config())),
        members: Members::new(inner_told.clone()),
        core,
        make_replica,
        bonds,
        discovery,
        clock,
        random,
        formation,
        running: None,
        session_of: None,
        candidates: BTreeSet::new(),
        forwarded,
        room: Arc::new(Semaphore::new(pump::FORWARDED_BYTES)),
        digests: Digests::default(),
        strangers: Strangers::default(),
        poisoned: Poisoned::default(),
        leader_without_ticket: None,
        quorum_lost_since: None,
        tickets_expired: false,
        barred_told: BTreeSet::new(),
        turned_away: BTreeSet::new(),
        inner: inner_told,
        next_tick: Instant::now(),
        left: false,
    };
    worker.do_all(begin).await;
    worker.run(Inputs { events, peers, asked, inner, leave }).await;
    drop(meter);
}

/// Says again that this node is in the group, after an earlier member has taken that back.
fn announce(core: &Core) {
    let group = *core.config().group_id();
    if let Err(error) = core.discovery().add_group(group) {
        tracing::error!(%group, %error, "a group cannot be announced: nobody will find this node");
    }
}

impl Worker {
    async fn run(&mut self, mut inputs: Inputs) {
        let leave = inputs.leave.clone();
        while !self.left {
            let next_wakeup = self.next_wakeup();
            let mut heard = true;
            tokio::select! {
                // In this order: what is said over bonds comes as the peers said it.
                biased;
                () = leave.cancelled() => {
                    // Nobody is there to be told that nobody has heard it.
                    Box::pin(self.farewell()).await;
                    return;
                }
                Some(event) = inputs.events.recv() => self.heard(event).await,
                Some(deltas) = inputs.peers.next() => self.seek(deltas).await,
                Some(asked) = inputs.asked.recv() => self.operate(asked).await,
                Some(inner) = inputs.inner.recv() => self.hear(inner).await,
                () = running_changed(&mut self.running) => self.look().await,
                () = sleep_until(next_wakeup) => {
                    heard = false;
                    self.tick().await;
                }
            }
            if heard {
                // It may not be alone any more, or have something to wait for.
                let within = if self.is_opening() { OPENING } else { TICK };
                self.next_tick = self.next_tick.min(Instant::now() + within);
            }
        }
    }

    async fn hear(&mut self, inner: Inner) {
        match inner {
            Inner::Changed(changed) => self.changed(changed).await,
            Inner::Digest { incarnation, mark, digest } => {
                self.digested(incarnation, mark, digest);
            }
        }
    }

    fn next_wakeup(&self) -> Instant {
        let formation = self.formation.next_wakeup().unwrap_or(self.next_tick);
        formation.min(self.next_tick)
    }

    /// There is something to look after that was not there when the next tick was set.
    fn tick_soon(&mut self) {
        self.next_tick = self.next_tick.min(Instant::now() + TICK / 10);
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        if self.next_tick <= now {
            self.look().await;
            self.look_after_members().await;
            self.checkpoint().await;
            self.judge_tickets();
            self.relent();
            self.hand_on_if_poisoned();
            self.end_sessions().await;
            let pause = match self.wants_ticks() {
                _ if self.is_opening() => OPENING,
                _ if self.is_following() && self.core.config().auth().is_empty() => FOLLOWING,
                true => TICK,
                false => REST,
            };
            self.next_tick = now + pause;
        }
        if self.formation.next_wakeup().is_some_and(|wakeup| wakeup <= now) {
            self.tell(Input::Tick).await;
        }
    }

    /// Tells the formation something, and does what it wants. It judges by how far the log is at
    /// this moment: of two rivals the one with more commands stays.
    async fn tell(&mut self, input: Input) {
        if let Some(running) = self.running.as_ref().filter(|_| !matches!(input, Input::Raft(_))) {
            let view = views::formation_view(running);
            let effects = self.formation.on(Input::Raft(view), Instant::now());
            self.do_all(effects).await;
        }
        let effects = self.formation.on(input, Instant::now());
        self.do_all(effects).await;
    }

    /// There is seldom anything to do, and what that takes is large: it is not kept in this task.
    async fn do_all(&mut self, effects: Vec<Effect>) {
        if !effects.is_empty() {
            Box::pin(self.carry_out(effects)).await;
        }
    }

    /// Who takes part in the group has changed in the catalog.
    async fn seek(&mut self, deltas: Vec<PeerDelta>) {
        for delta in deltas {
            match delta {
                PeerDelta::Added(entry) => {
                    self.candidates.insert(*entry.id());
                }
                PeerDelta::Updated(entry) => {
                    self.candidates.insert(*entry.id());
                    // It may have a ticket now.
                    self.bonds.nudge(entry.id());
                }
                PeerDelta::Removed(peer) => {
                    self.candidates.remove(&peer);
                }
            }
        }
        self.bonds.seek(&self.candidates);
        if self.core.bonds().borrow().iter().any(|bonded| bonded.entry.is_none()) {
            // It may be here now.
            self.publish_bonds();
        }
        self.tell(Input::Candidates(self.candidates.clone())).await;
    }
}

/// Waits until the Raft node tells something; for ever without one.
async fn running_changed(running: &mut Option<Running>) {
    let Some(running) = running else { return std::future::pending().await };
    tokio::select! {
        Ok(()) = running.view.changed() => {}
        Ok(()) = running.flags.changed() => {}
        Ok(()) = running.failed.changed() => {}
        else => std::future::pending().await,
    }
}
