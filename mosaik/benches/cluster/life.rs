//! How long it takes until a group takes commands: from nothing, and after its leader is gone.

use std::time::{Duration, Instant};

use mosaik::{
    Bytes, Network, UniqueId,
    groups::{
        ApplyContext, ConsensusConfig, Group, GroupKey, Quorum, StateMachine, decode_state,
        encode_state,
    },
    primitives::encoding::{DecodeError, EncodeError},
};
use tokio::{runtime, time::timeout};

use super::{Counter, LIMIT, command, join, node, nodes, online, roles};
use crate::figures::{Figures, Goal, Unit};

/// Nodes that do not exist yet, until all three of them take commands.
async fn from_nothing(consensus: ConsensusConfig) -> [f64; 2] {
    let began = Instant::now();
    let nodes = nodes(3).await;
    let joined = Instant::now();
    let join = |node| join(node, "bench", 3, Counter::default(), consensus.clone());
    let groups: Vec<_> = nodes.iter().map(join).collect();
    online(&groups).await;
    [began.elapsed().as_secs_f64(), joined.elapsed().as_secs_f64()]
}

pub async fn all_online(figures: &mut Figures) {
    let cases = [
        ("online/default", Unit::Seconds, Goal::Itself(2.0)),
        ("online/default-from-join", Unit::Seconds, Goal::None),
    ];
    figures.alone_all(cases, |_| from_nothing(ConsensusConfig::default())).await;
    let cases = [
        ("online/fast", Unit::Seconds, Goal::None),
        ("online/fast-from-join", Unit::Seconds, Goal::None),
    ];
    figures.alone_all(cases, |_| from_nothing(ConsensusConfig::fast())).await;
}

/// A node with a runtime of its own: without it, the node is gone without a word, as if its process
/// had been killed.
struct Mortal {
    node: Option<Network>,
    runtime: Option<runtime::Runtime>,
}

impl Mortal {
    async fn new(name: UniqueId) -> Self {
        let mut builder = runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().expect("a runtime");
        let node = runtime.spawn(node(name)).await.expect("it does not panic");
        Self { node: Some(node), runtime: Some(runtime) }
    }

    fn node(&self) -> &Network {
        self.node.as_ref().expect("it is alive")
    }

    fn kill(&mut self) {
        self.runtime.take().into_iter().for_each(runtime::Runtime::shutdown_background);
    }

    async fn stop(&mut self) {
        if let Some(node) = self.node.take() {
            node.shutdown().await;
        }
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How long a follower's commands stand still, which are executed one after the other, when the
/// leader's node dies or is shut down.
async fn failover(consensus: ConsensusConfig, is_graceful: bool) -> f64 {
    let name = UniqueId::random();
    let mut mortals = Vec::new();
    for _ in 0..3 {
        mortals.push(Mortal::new(name).await);
    }
    for mortal in &mortals[1..] {
        mortal.node().discovery().dial(mortals[0].node().local().addr()).await;
    }
    let join =
        |mortal: &Mortal| join(mortal.node(), "bench", 3, Counter::default(), consensus.clone());
    // Joined within the node's runtime, or its tasks would live on elsewhere.
    let groups: Vec<_> = mortals
        .iter()
        .map(|mortal| {
            let _entered = mortal.runtime.as_ref().expect("it is alive").enter();
            join(mortal)
        })
        .collect();
    online(&groups).await;
    let (leader, follower) = roles(&groups);
    let follower = groups[follower.expect("three members")].clone();
    follower.execute(command(64)).await.expect("executed");
    let (gone, old) = (Instant::now(), groups[leader].leader());
    let calling = tokio::spawn(standstill(follower, gone, old));
    if is_graceful {
        mortals[leader].stop().await;
    } else {
        mortals[leader].kill();
    }
    let still = calling.await.expect("the caller");
    still.as_secs_f64()
}

/// The longest time between two answers, until somebody else has led for a while.
async fn standstill(
    group: Group<Counter>,
    mut last: Instant,
    old: Option<mosaik::PeerId>,
) -> Duration {
    let mut longest = Duration::ZERO;
    let mut led_since = None;
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        if group.execute(command(64)).await.is_ok() {
            longest = longest.max(last.elapsed());
            last = Instant::now();
            if group.leader() != old && group.leader().is_some() {
                let since = *led_since.get_or_insert(last);
                if since.elapsed() > Duration::from_millis(100) {
                    return longest;
                }
            }
        } else {
            // Refused at once when there is no leader: nothing is gained by asking all the time.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    LIMIT
}

pub async fn all_failovers(figures: &mut Figures) {
    let (default, fast) = (ConsensusConfig::default, ConsensusConfig::fast);
    type Case = (&'static str, fn() -> ConsensusConfig, bool, f64);
    let cases: [Case; 4] = [
        ("failover/default-killed", default, false, 2.0),
        ("failover/fast-killed", fast, false, 0.7),
        ("failover/default-graceful", default, true, 0.1),
        ("failover/fast-graceful", fast, true, 0.1),
    ];
    for (name, consensus, is_graceful, goal) in cases {
        let case = [(name, Unit::Seconds, Goal::Itself(goal))];
        figures.alone_all(case, async |_| [failover(consensus(), is_graceful).await]).await;
    }
}

const LARGE: usize = 100_000_000;

/// A state of 100 MB.
#[derive(Clone, Default)]
struct Large(Bytes);

impl StateMachine for Large {
    /// Whether the state is to be filled; if not, nothing is done.
    type Command = bool;
    type Response = ();
    type Query = ();
    type QueryResult = usize;

    fn signature(&self) -> UniqueId {
        "bench.large".into()
    }

    fn apply(&mut self, is_filled: bool, _: &ApplyContext) {
        if is_filled {
            self.0 =
                (0..LARGE as u64).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 16) as u8).collect();
        }
    }

    fn query(&self, (): ()) -> usize {
        self.0.len()
    }

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(&self.0)
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_state(bytes).map(Self)
    }
}

/// How long it takes until a late joiner has a state of 100 MB, which only a snapshot holds.
async fn late_joiner() -> [f64; 2] {
    let nodes = nodes(4).await;
    let join = |node: &Network, founders: usize| {
        let builder = node.groups().with_key(GroupKey::from_secret("bench"));
        let builder = builder.with_state_machine(Large::default()).snapshot_every(500);
        builder.with_quorum(Quorum::Strict(founders)).join()
    };
    let groups: Vec<_> = nodes[..3].iter().map(|node| join(node, 3)).collect();
    online(&groups).await;
    let leader = &groups[roles(&groups).0];
    leader.execute(true).await.expect("executed");
    // More than the log keeps behind a snapshot.
    for _ in 0..60 {
        leader.execute_many(vec![false; 100]).await.expect("executed");
    }
    let joiner = join(&nodes[3], 3);
    let began = Instant::now();
    let target = leader.committed();
    timeout(LIMIT, joiner.when().committed().reaches(target)).await.expect("it catches up");
    let took = began.elapsed().as_secs_f64();
    assert_eq!(joiner.read(|state| state.0.len()), LARGE);
    [took, LARGE as f64 / took]
}

pub async fn snapshot(figures: &mut Figures) {
    let cases = [
        ("snapshot/100MB", Unit::Seconds, Goal::None),
        ("snapshot/100MB-rate", Unit::BytesPerSecond, Goal::None),
    ];
    figures.alone_all(cases, |_| late_joiner()).await;
}
