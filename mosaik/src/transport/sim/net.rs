//! The simulated network: who is on it, who is cut off from whom, how long a message takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::Waker,
    time::Duration,
};

use tokio::sync::mpsc;

use super::connection::{Connection, Shared};
use crate::{
    id::PeerId,
    random::Random,
    tasks::Tasks,
    transport::{close::CloseReason, connection::Lane},
};

/// How the simulated network behaves.
#[derive(Clone, Debug)]
pub(crate) struct SimConfig {
    /// One-way latency; drawn once for each pair of nodes. Default 1 to 5 ms.
    pub(crate) latency: RangeInclusive<Duration>,
    /// How long a connection outlives a partition. Default 5 s.
    pub(crate) idle_timeout: Duration,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(1)..=Duration::from_millis(5),
            idle_timeout: Duration::from_secs(5),
        }
    }
}

/// One simulated network, shared by the nodes on it.
#[derive(Clone)]
pub(crate) struct SimNet {
    world: Arc<Mutex<World>>,
    config: Arc<SimConfig>,
    random: Random,
    /// Delayed effects that outlive the node that caused them.
    tasks: Tasks,
}

#[derive(Default)]
struct World {
    nodes: BTreeMap<PeerId, mpsc::UnboundedSender<(Lane, Connection)>>,
    latency: BTreeMap<(PeerId, PeerId), Duration>,
    cut: BTreeSet<(PeerId, PeerId)>,
    connections: Vec<Weak<Shared>>,
    /// Readers that found their link cut, and dials that wait for it to heal.
    waiting: Vec<Waker>,
}

impl SimNet {
    pub(crate) fn new(seed: u64, config: SimConfig) -> Self {
        Self {
            world: Arc::default(),
            config: Arc::new(config),
            random: Random::from_seed(seed),
            tasks: Tasks::new(),
        }
    }

    /// The network's randomness; nodes on it fork theirs from here.
    pub(crate) fn random(&self) -> &Random {
        &self.random
    }

    /// Cuts every link between nodes of different groups; a node in no group keeps all of its.
    pub(crate) fn partition(&self, groups: &[Vec<PeerId>]) {
        for (i, group) in groups.iter().enumerate() {
            for (a, b) in
                groups[i + 1..].iter().flatten().flat_map(|b| group.iter().map(move |a| (a, b)))
            {
                self.cut(*a, *b);
            }
        }
    }

    /// Cuts the link between two nodes, both ways.
    fn cut(&self, a: PeerId, b: PeerId) {
        let broken = {
            let mut world = self.lock();
            if !world.cut.insert(pair(a, b)) {
                return;
            }
            world.connections.retain(|conn| conn.strong_count() > 0);
            world.connections.iter().filter_map(Weak::upgrade).filter(|c| c.joins(a, b)).collect()
        };
        self.time_out(broken);
    }

    /// Connections over a cut link end when it stays cut for the idle time.
    fn time_out(&self, broken: Vec<Arc<Shared>>) {
        if broken.is_empty() {
            return;
        }
        let net = self.clone();
        self.tasks.spawn("sim.partition", async move {
            tokio::time::sleep(net.config.idle_timeout).await;
            for connection in broken {
                if net.is_cut(connection.ends()) {
                    connection.close_both(CloseReason::TimedOut);
                }
            }
        });
    }

    /// Restores every link.
    pub(crate) fn heal(&self) {
        let waiting = {
            let mut world = self.lock();
            world.cut.clear();
            std::mem::take(&mut world.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_cut(&self, (a, b): (PeerId, PeerId)) -> bool {
        self.lock().cut.contains(&pair(a, b))
    }

    /// Wakes `waker` when links are restored.
    pub(super) fn wake_when_healed(&self, waker: &Waker) {
        let mut world = self.lock();
        if !world.waiting.iter().any(|known| known.will_wake(waker)) {
            world.waiting.push(waker.clone());
        }
    }

    /// The one-way latency between two nodes.
    pub(super) fn latency(&self, a: PeerId, b: PeerId) -> Duration {
        let (low, high) = (*self.config.latency.start(), *self.config.latency.end());
        *self.lock().latency.entry(pair(a, b)).or_insert_with(|| {
            let spread = high.saturating_sub(low).as_micros() as usize;
            low + Duration::from_micros(self.random.below(spread + 1) as u64)
        })
    }

    pub(super) fn config(&self) -> &SimConfig {
        &self.config
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    pub(super) fn join(&self, id: PeerId) -> mpsc::UnboundedReceiver<(Lane, Connection)> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().nodes.insert(id, sender);
        receiver
    }

    pub(super) fn leave(&self, id: PeerId) {
        self.lock().nodes.remove(&id);
    }

    /// Hands the far end of a new connection to the node that it was dialled to.
    pub(super) fn deliver(&self, to: PeerId, lane: Lane, far: Connection) -> bool {
        let mut world = self.lock();
        let Some(node) = world.nodes.get(&to).cloned() else { return false };
        world.connections.push(Arc::downgrade(far.shared()));
        node.send((lane, far)).is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SimNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNet").field("config", &self.config).finish_non_exhaustive()
    }
}

fn pair(a: PeerId, b: PeerId) -> (PeerId, PeerId) {
    if a <= b { (a, b) } else { (b, a) }
}
