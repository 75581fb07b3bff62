//! The simulated network: who is on it, over which paths, and what it counts.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::mpsc, time::Instant};

use super::{
    connection::{Connection, Shared},
    path::Path,
    quality::LinkQuality,
    traffic::{Counters, Digest, Event, Traffic},
};
use crate::{id::PeerId, random::Random, tasks::Tasks, transport::connection::Lane};

/// How the simulated network behaves.
#[derive(Clone, Debug)]
pub(crate) struct SimConfig {
    /// One-way latency; drawn once for each pair of nodes. Default 1 to 5 ms.
    pub(crate) latency: RangeInclusive<Duration>,
    /// How long a connection outlives silence. Default 5 s.
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
    digest: Arc<Mutex<Digest>>,
    config: Arc<SimConfig>,
    seed: u64,
    begun: Instant,
    /// For what is drawn before a node has an id: its key.
    keys: Random,
    /// Delayed effects that outlive the node that caused them.
    tasks: Tasks,
}

/// A node's place on the network.
#[derive(Debug)]
pub(super) struct Node {
    /// Tells a node from one of the same id that took its place.
    number: u64,
    incoming: mpsc::UnboundedSender<(Lane, Connection)>,
}

#[derive(Default)]
pub(super) struct World {
    joined: u64,
    /// How often each node has started, and dialled each other one.
    starts: BTreeMap<PeerId, u64>,
    dials: BTreeMap<(PeerId, PeerId), u64>,
    nodes: BTreeMap<PeerId, Node>,
    pub(super) paths: HashMap<(PeerId, PeerId), Arc<Mutex<Path>>>,
    /// How good links are unless set otherwise.
    pub(super) quality: LinkQuality,
    counters: BTreeMap<PeerId, Arc<Counters>>,
    connections: Vec<Weak<Shared>>,
}

impl World {
    /// The connections that are still in use by somebody.
    pub(super) fn connections(&mut self) -> Vec<Arc<Shared>> {
        self.connections.retain(|connection| connection.strong_count() > 0);
        self.connections.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn add(&mut self, connection: &Arc<Shared>) {
        // Amortised: the list is swept each time it has doubled.
        if self.connections.len().is_power_of_two() {
            self.connections.retain(|connection| connection.strong_count() > 0);
        }
        self.connections.push(Arc::downgrade(connection));
    }
}

impl SimNet {
    pub(crate) fn new(seed: u64, config: SimConfig) -> Self {
        Self {
            world: Arc::default(),
            digest: Arc::default(),
            config: Arc::new(config),
            seed,
            begun: Instant::now(),
            keys: Random::from_seed(seed),
            tasks: Tasks::new(),
        }
    }

    /// What the keys of nodes are drawn from, in the order in which they are built.
    pub(crate) fn keys(&self) -> &Random {
        &self.keys
    }

    /// The randomness of a node that is about to start: its own, so that what it draws depends on
    /// nothing that others do. Each start of it has another one.
    pub(crate) fn node_random(&self, id: PeerId) -> Random {
        let start = count(&mut self.lock().starts, id);
        Random::from_seed(self.seed_of(b"node", id, id).wrapping_add(start))
    }

    /// What the two ends of a new connection have in common and nobody else knows.
    pub(super) fn binding(&self, near: PeerId, far: PeerId) -> [u8; 32] {
        let dial = count(&mut self.lock().dials, (near, far));
        Random::from_seed(self.seed_of(b"binding", near, far).wrapping_add(dial)).bytes()
    }

    /// What a node has sent so far, in all of its runs.
    pub(crate) fn traffic(&self, node: &PeerId) -> Traffic {
        self.lock().counters.get(node).map(|counters| counters.traffic()).unwrap_or_default()
    }

    /// A hash of everything that happened so far, and when.
    pub(crate) fn digest(&self) -> u64 {
        self.digest.lock().unwrap_or_else(PoisonError::into_inner).value()
    }

    pub(super) fn record(&self, from: &PeerId, to: &PeerId, event: Event) {
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        digest.add(self.begun.elapsed(), from, to, event);
    }

    pub(super) fn config(&self) -> &SimConfig {
        &self.config
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The way from one node to another.
    pub(super) fn path(&self, from: PeerId, to: PeerId) -> Arc<Mutex<Path>> {
        let mut world = self.lock();
        if let Some(path) = world.paths.get(&(from, to)) {
            return path.clone();
        }
        let counters = world.counters.entry(from).or_default().clone();
        let path = Path::new(
            self.draw_latency(from, to),
            world.quality.clone(),
            Random::from_seed(self.seed_of(b"path", from, to)),
            counters,
            Instant::now(),
        );
        let path = Arc::new(Mutex::new(path));
        world.paths.insert((from, to), path.clone());
        path
    }

    /// The same both ways; by the seed alone, in whatever order nodes meet.
    fn draw_latency(&self, a: PeerId, b: PeerId) -> Duration {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        let (low, high) = (*self.config.latency.start(), *self.config.latency.end());
        let spread = high.saturating_sub(low).as_micros() as u64 + 1;
        low + Duration::from_micros(self.seed_of(b"latency", a, b) % spread)
    }

    fn seed_of(&self, what: &[u8], a: PeerId, b: PeerId) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(what);
        hasher.update(a.as_bytes()).update(b.as_bytes());
        let mut seed = [0; 8];
        hasher.finalize_xof().fill(&mut seed);
        u64::from_le_bytes(seed)
    }

    /// Puts a node on the network, and names its place.
    pub(super) fn join(&self, id: PeerId) -> (u64, mpsc::UnboundedReceiver<(Lane, Connection)>) {
        let (incoming, receiver) = mpsc::unbounded_channel();
        self.record(&id, &id, Event::Joined);
        let mut world = self.lock();
        world.joined += 1;
        let number = world.joined;
        world.nodes.insert(id, Node { number, incoming });
        (number, receiver)
    }

    /// Takes a node off the network, unless another has taken its place.
    pub(super) fn leave(&self, id: PeerId, number: u64) {
        if self.remove(&id, |node| node.number == number) {
            self.record(&id, &id, Event::Left);
        }
    }

    /// Takes a node off the network.
    pub(super) fn remove(&self, id: &PeerId, is_meant: impl Fn(&Node) -> bool) -> bool {
        let mut world = self.lock();
        let is_there = world.nodes.get(id).is_some_and(is_meant);
        // Dropped without the lock: connections in it close.
        let node = is_there.then(|| world.nodes.remove(id));
        drop(world);
        drop(node);
        is_there
    }

    /// Hands the far end of a new connection to the node that it was dialled to; gives it back if
    /// that is not there.
    pub(super) fn deliver(&self, to: PeerId, lane: Lane, far: Connection) -> bool {
        let mut world = self.lock();
        let Some(incoming) = world.nodes.get(&to).map(|node| node.incoming.clone()) else {
            return false;
        };
        world.add(far.shared());
        let counters = world.counters.entry(far.remote_id()).or_default();
        counters.dialled();
        drop(world);
        self.record(&far.remote_id(), &to, Event::Dialled);
        incoming.send((lane, far)).is_ok()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts one more, and says how many there were before.
fn count<K: Ord>(counts: &mut BTreeMap<K, u64>, key: K) -> u64 {
    let count = counts.entry(key).or_default();
    *count += 1;
    *count - 1
}

impl fmt::Debug for SimNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNet").field("config", &self.config).finish_non_exhaustive()
    }
}
