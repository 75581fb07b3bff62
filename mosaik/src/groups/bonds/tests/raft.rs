//! Raft's nodes over bonds: elections, appends, heartbeats and snapshots take the way that they
//! take in earnest.

use std::collections::BTreeMap;

use super::*;
use crate::groups::{
    index::{Index, Term},
    member::IncarnationId,
    raft::{self, Frozen, Limits, NodeParts, Refusal, Replicated, StateError, Timing},
    state::{Item, Step},
};

/// Counts commands; as large as it is told to be.
#[derive(Clone, Debug, Default)]
struct Count {
    count: Arc<Mutex<u64>>,
    ballast: usize,
}

impl Count {
    fn get(&self) -> u64 {
        *self.count.lock().unwrap()
    }
}

impl Replicated for Count {
    fn apply(&mut self, _: Term, item: &Item) -> Step {
        *self.count.lock().unwrap() += u64::from(item.commands());
        Step::Done
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        Box::new(Count { count: Arc::new(Mutex::new(self.get())), ballast: self.ballast })
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        assert_eq!(bytes.len(), 8 + self.ballast);
        *self.count.lock().unwrap() = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        Ok(())
    }

    fn rebuild(
        &mut self,
        _: Option<&[u8]>,
        _: &mut dyn Iterator<Item = (Term, Item)>,
    ) -> Result<(), StateError> {
        unreachable!("nothing here panics")
    }

    fn index(&self) -> Index {
        Index(self.get())
    }
}

impl Frozen for Count {
    fn encode(self: Box<Self>) -> Result<Bytes, StateError> {
        Ok([&self.get().to_le_bytes()[..], &vec![7; self.ballast]].concat().into())
    }
}

/// An item of so many commands of 64 bytes.
fn item(commands: u32) -> Item {
    let mut bytes = vec![0; 13 + 64 * commands as usize];
    bytes[1..5].copy_from_slice(&commands.to_le_bytes());
    Item(bytes.into())
}

struct Cluster {
    nodes: Vec<super::Node>,
    members: Vec<Member>,
    rafts: Vec<raft::Node>,
    counts: Vec<Count>,
    limits: Limits,
    ballast: usize,
}

impl Cluster {
    /// Members that are bonded, each of which runs Raft; the first `voters` of them vote.
    async fn founded(nodes: Vec<super::Node>, voters: usize, limits: Limits) -> Self {
        let all: Vec<_> = nodes.iter().map(|node| node.id).collect();
        let (members, rafts, counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut this = Self { nodes, members, rafts, counts, limits, ballast: 1_000_000 };
        for number in 0..this.nodes.len() {
            let member = this.nodes[number].join(spec(number as u64));
            member.seek(&all);
            this.members.push(member);
        }
        for member in &mut this.members {
            for _ in 1..all.len() {
                member.up().await;
            }
        }
        for number in 0..voters {
            this.start(number).await;
        }
        let voters = this.members[..voters].iter().map(|member| member.bonds.me());
        this.rafts[0].initialize(voters.collect()).await.unwrap();
        this.rafts[0].elect().await.unwrap();
        this
    }

    async fn start(&mut self, number: usize) {
        let count = Count { ballast: self.ballast, ..Count::default() };
        let bonds = &self.members[number].bonds;
        let node = raft::Node::start(NodeParts {
            me: bonds.me(),
            incarnation: IncarnationId::new(1, [7; 16]),
            timing: Timing::default(),
            patience: 1,
            limits: self.limits,
            replicated: Box::new(count.clone()),
            wire: Arc::new(bonds.wire()),
            seed: number as u64,
            logged: tokio::sync::watch::Sender::default(),
            tasks: self.nodes[number].tasks.child(),
        });
        let node = node.await.unwrap();
        bonds.serve(Some(Arc::new(node.clone())));
        self.rafts.push(node);
        self.counts.push(count);
    }

    /// Commits an item with whoever of these leads.
    async fn commit(&self, numbers: &[usize], commands: u32) {
        soon(async {
            loop {
                for number in numbers {
                    let Ok(proposal) = self.rafts[*number].propose(item(commands)).await else {
                        continue;
                    };
                    match proposal.committed().await {
                        Ok(_) => return,
                        Err(Refusal::NotLeader { .. } | Refusal::NotReady) => {}
                        Err(refusal) => panic!("{refusal}"),
                    }
                }
                sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }

    async fn all_have(&self, count: u64) {
        soon(async {
            while self.counts.iter().any(|known| known.get() != count) {
                sleep(Duration::from_millis(10)).await;
            }
        })
        .await;
    }

    fn leader(&self) -> usize {
        let views = self.rafts.iter().map(|raft| raft.view().borrow().clone());
        let terms: BTreeMap<_, _> = views.map(|view| (view.term, view.leader)).collect();
        let leader = terms.last_key_value().and_then(|(_, leader)| *leader).unwrap();
        self.members.iter().position(|member| member.bonds.me() == leader).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_is_elected_and_replaced() {
    let net = net(7);
    let cluster = Cluster::founded(nodes(&net, 3), 3, Limits::default()).await;
    let all = [0, 1, 2];
    for _ in 0..100 {
        cluster.commit(&all, 3).await;
    }
    cluster.all_have(300).await;
    let first = cluster.leader();
    let rest: Vec<_> = all.into_iter().filter(|number| *number != first).collect();
    let ids = |numbers: &[usize]| numbers.iter().map(|n| cluster.nodes[*n].id).collect();
    net.partition(&[ids(&[first]), ids(&rest)]);
    let begun = Instant::now();
    cluster.commit(&rest, 1).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    assert_ne!(cluster.leader(), first);
    sleep(Duration::from_secs(20)).await;
    net.heal();
    let begun = Instant::now();
    cluster.all_have(301).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_follower_far_behind_gets_a_snapshot() {
    let limits =
        Limits { snapshot_every: 50, keep_entries: 5, keep_bytes: 1000, ..Limits::default() };
    let mut cluster = Cluster::founded(nodes(&net(8), 4), 3, limits).await;
    for _ in 0..40 {
        cluster.commit(&[0, 1, 2], 10).await;
    }
    cluster.all_have(400).await;
    cluster.start(3).await;
    let late = cluster.members[3].bonds.me();
    cluster.rafts[cluster.leader()].add_learner(late).await.unwrap();
    cluster.all_have(400).await;
    cluster.commit(&[0, 1, 2], 10).await;
    cluster.all_have(410).await;
}

/// `cargo test --release -p mosaik --lib bonds::tests::raft -- --ignored --nocapture`
#[test]
#[ignore = "takes figures"]
fn commands_per_second_over_quic() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let nodes = quic::connected(3).await;
        let cluster = Cluster::founded(nodes, 3, Limits::default()).await;
        cluster.commit(&[0, 1, 2], 1).await;
        let leader = cluster.rafts[cluster.leader()].clone();
        for (in_flight, commands) in [(1, 1), (64, 1), (4, 64), (8, 128), (4, 256)] {
            let leader = leader.clone();
            let (rate, median) =
                tokio::spawn(async move { write(&leader, in_flight, commands).await })
                    .await
                    .unwrap();
            println!("{in_flight} in flight x {commands}: {rate:.0}/s, p50 {median:?}");
        }
    });
}

async fn write(node: &raft::Node, in_flight: usize, commands: u32) -> (f64, Duration) {
    const TIME: Duration = Duration::from_secs(3);
    let begun = Instant::now();
    let writing = (0..in_flight).map(|_| async {
        let mut took = Vec::new();
        while begun.elapsed() < TIME {
            let began = Instant::now();
            node.propose(item(commands)).await.unwrap().committed().await.unwrap();
            took.push(began.elapsed());
        }
        took
    });
    let mut took = futures::future::join_all(writing).await.concat();
    took.sort();
    (took.len() as f64 * f64::from(commands) / TIME.as_secs_f64(), took[took.len() / 2])
}
