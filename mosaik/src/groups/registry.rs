//! Which groups this node is in: one member for each, whoever asks for it.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio_util::sync::CancellationToken;

use super::{
    GroupsParts,
    bonds::{Bonds, BondsParts, Mismatch},
    builder::JoinError,
    config::{Config, GroupConfig},
    group::{Core, CoreParts, Group, Handle, Shared},
    machine::{Hosted, StateMachine},
    state::Replica,
    worker::{self, Turn, WorkerParts},
};
use crate::{
    clock::Clock,
    discovery::Discovery,
    id::{GroupId, NetworkId, PeerId},
    random::Random,
    tasks::Tasks,
    telemetry::Meters,
};

/// All handles of a member, of whatever type: a `Handle<M>`.
type AnyHandle = dyn Any + Send + Sync;

/// A group that this node is in, until its member has gone.
struct Joined {
    handle: Weak<AnyHandle>,
    core: Weak<Core>,
    /// Cancelled when the member has gone, and nothing of it is left.
    gone: CancellationToken,
}

impl Joined {
    /// The handle, unless the member is about to go.
    fn handle(&self) -> Option<(Arc<AnyHandle>, Arc<Core>)> {
        let core = self.core.upgrade().filter(|core| !core.is_leaving())?;
        Some((self.handle.upgrade()?, core))
    }
}

pub(super) struct Registry {
    groups: Mutex<HashMap<GroupId, Joined>>,
    bonds: Bonds,
    discovery: Discovery,
    tasks: Tasks,
    clock: Clock,
    random: Random,
    config: Config,
    local: PeerId,
    network_id: NetworkId,
    telemetry: Meters,
    /// Cancelled when the node leaves all groups.
    leaving: CancellationToken,
    /// Counts the members that have not left yet.
    members: tokio_util::task::TaskTracker,
}

impl Registry {
    pub(super) fn start(parts: GroupsParts) -> Self {
        let GroupsParts { transport, discovery, tasks, clock, random, config, .. } = parts;
        let (local, network_id, telemetry) = (parts.local, parts.network_id, parts.telemetry);
        let bonds = Bonds::start(BondsParts {
            transport,
            tasks: tasks.clone(),
            random: random.clone(),
            handshake_timeout: config.handshake_timeout,
        });
        Self {
            groups: Mutex::default(),
            bonds,
            discovery,
            tasks,
            clock,
            random,
            config,
            local,
            network_id,
            telemetry,
            leaving: CancellationToken::new(),
            members: tokio_util::task::TaskTracker::new(),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<GroupId, Joined>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who leads the groups that this node is in, as far as it knows.
    pub(super) fn leaders(&self) -> BTreeMap<GroupId, PeerId> {
        let groups = self.lock();
        let leader = |joined: &Joined| joined.core.upgrade()?.seen().borrow().leader;
        groups.iter().filter_map(|(group, joined)| Some((*group, leader(joined)?))).collect()
    }

    pub(super) async fn depart(&self) {
        self.leaving.cancel();
        self.members.close();
        self.members.wait().await;
    }

    pub(super) fn join<M: StateMachine>(
        &self,
        config: GroupConfig,
        machine: M,
    ) -> Result<Group<M>, JoinError> {
        if self.leaving.is_cancelled() || self.tasks.token().is_cancelled() {
            return Err(JoinError::NetworkGone);
        }
        let id = config.id;
        // A handle must not be dropped while the registry is locked.
        let (existing, core) = {
            let mut groups = self.lock();
            groups.retain(|_, joined| !joined.gone.is_cancelled());
            match groups.get(&id).and_then(Joined::handle) {
                Some(existing) => existing,
                None => {
                    let announced = self.discovery.add_group(id);
                    announced.map_err(|error| JoinError::NotAnnounced(error.to_string()))?;
                    let turn = Turn {
                        earlier: groups.get(&id).map(|earlier| earlier.gone.clone()),
                        gone: CancellationToken::new(),
                    };
                    let gone = turn.gone.clone();
                    let handle = self.begin(config, machine, turn);
                    let erased: Arc<AnyHandle> = handle.clone();
                    let core = Arc::downgrade(handle.shared.core());
                    groups.insert(id, Joined { handle: Arc::downgrade(&erased), core, gone });
                    return Ok(Group::new(handle));
                }
            }
        };
        let handle = existing.downcast::<Handle<M>>().map_err(|_| JoinError::TypeMismatch(id))?;
        match worker::agreement(core.config()).differs_from(&worker::agreement(&config)) {
            None => Ok(Group::new(handle)),
            Some(Mismatch { field, ours: running, theirs: asked }) => {
                Err(JoinError::ConfigMismatch { field, running, asked })
            }
        }
    }

    fn begin<M: StateMachine>(
        &self,
        config: GroupConfig,
        machine: M,
        turn: Turn,
    ) -> Arc<Handle<M>> {
        let leave = self.leaving.child_token();
        let (start, network_id) = (Arc::new(machine), self.network_id);
        let published = Hosted::begin(start.clone()).published();
        let (core, asked) = Core::new(CoreParts {
            config: config.clone(),
            local: self.local,
            discovery: self.discovery.clone(),
            tasks: self.tasks.child(),
        });
        let core = Arc::new(core);
        let state = published.clone();
        let make_replica = move || {
            let hosted = Hosted::again(start.clone(), state.clone());
            Replica::new(Box::new(hosted), config.id, network_id)
        };
        let worker = worker::run(WorkerParts {
            core: core.clone(),
            make_replica: Box::new(make_replica),
            asked,
            bonds: self.bonds.clone(),
            discovery: self.discovery.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            telemetry: self.telemetry.clone(),
            leave: leave.clone(),
            turn,
        });
        let worker = self.members.track_future(worker);
        self.tasks.spawn_uncancelled("groups.worker", worker);
        let shared = Arc::new(Shared::new(core, published));
        Arc::new(Handle { shared, _leave: leave.drop_guard() })
    }

    /// A handle of a member that has ended before it began.
    pub(super) fn ended<M: StateMachine>(&self, config: GroupConfig, machine: M) -> Group<M> {
        let tasks = self.tasks.child();
        tasks.cancel();
        let (core, _) = Core::new(CoreParts {
            config,
            local: self.local,
            discovery: self.discovery.clone(),
            tasks,
        });
        core.queue().end();
        let shared = Arc::new(Shared::new(Arc::new(core), Hosted::new(machine).published()));
        Group::new(Arc::new(Handle { shared, _leave: CancellationToken::new().drop_guard() }))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("groups", &self.lock().len()).finish_non_exhaustive()
    }
}
