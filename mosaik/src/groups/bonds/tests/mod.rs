//! Members of groups over the simulated network, in virtual time, without Raft.

mod appends;
mod hostile;
mod meeting;
mod quic;
mod raft;
mod traffic;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::DateTime;
use futures::{FutureExt, SinkExt, StreamExt, future::BoxFuture};
use iroh::{EndpointAddr, SecretKey};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use super::{samples::agreement, *};
use crate::{
    clock::Clock,
    groups::{
        member::MemberId,
        raft::{Wire, WireError},
    },
    id::{GroupId, NetworkId, PeerId, UniqueId},
    random::Random,
    tasks::Tasks,
    transport::{
        Admission, CloseReason, Config, Link, Parts, Transport,
        sim::{SimConfig, SimNet},
    },
};

/// Lets everybody in.
#[derive(Debug)]
struct Open;

impl Admission for Open {
    fn offer(&self, _: PeerId) -> Bytes {
        Bytes::new()
    }

    fn bodies(&self, _: PeerId, _: &[u8]) -> Result<Bytes, CloseReason> {
        Ok(Bytes::new())
    }

    fn admit(&self, _: PeerId, _: &[u8], _: &[u8]) -> Result<(), CloseReason> {
        Ok(())
    }
}

struct Node {
    id: PeerId,
    transport: Transport,
    bonds: Bonds,
    tasks: Tasks,
}

impl Node {
    fn new(net: &SimNet, seed: u8) -> Self {
        let parts = parts(seed);
        let (tasks, random) = (parts.tasks.clone(), parts.random.clone());
        Self::on(Transport::simulated(parts, net), tasks, random)
    }

    fn on(transport: Transport, tasks: Tasks, random: Random) -> Self {
        transport.set_admission(Arc::new(Open));
        let bonds = Bonds::start(BondsParts {
            transport: transport.clone(),
            tasks: tasks.child(),
            random,
            handshake_timeout: STEP,
        });
        transport.listen();
        Self { id: transport.id(), transport, bonds, tasks }
    }

    fn join(&self, spec: GroupSpec) -> Member {
        let (bonds, events) = self.bonds.join(spec).unwrap();
        Member { id: self.id, bonds, events }
    }

    async fn link(&self, to: &Self) -> Link {
        soon(self.transport.connect(EndpointAddr::new(to.id))).await.unwrap()
    }
}

fn parts(seed: u8) -> Parts {
    Parts {
        network: NetworkId::from("bonds"),
        secret_key: SecretKey::from_bytes(&[seed; 32]),
        start: 1,
        config: Config::default(),
        clock: Clock::starting_at(DateTime::UNIX_EPOCH),
        random: Random::from_seed(u64::from(seed)),
        tasks: Tasks::new(),
    }
}

/// Nodes in the order of their ids.
fn nodes(net: &SimNet, count: u8) -> Vec<Node> {
    let mut nodes: Vec<_> = (1..=count).map(|seed| Node::new(net, seed)).collect();
    nodes.sort_by_key(|node| node.id);
    nodes
}

fn net(seed: u64) -> SimNet {
    SimNet::new(seed, SimConfig::default())
}

fn spec(session: u64) -> GroupSpec {
    spec_of("group", session)
}

fn spec_of(name: &str, session: u64) -> GroupSpec {
    GroupSpec {
        id: GroupId::from(name),
        secret: UniqueId::from("key"),
        agreement: agreement(),
        session,
        observer: false,
        status: Bytes::from(format!("status {session}")),
        judge: Arc::new(|_| std::future::ready(true).boxed()),
    }
}

struct Member {
    id: PeerId,
    bonds: GroupBonds,
    events: mpsc::Receiver<BondEvent>,
}

impl Member {
    async fn event(&mut self) -> BondEvent {
        soon(self.events.recv()).await.expect("the worker is told")
    }

    async fn up(&mut self) -> Bond {
        match self.event().await {
            BondEvent::Up(bond) => bond,
            other => panic!("{other:?}"),
        }
    }

    async fn down(&mut self) -> (Bond, CloseReason) {
        match self.event().await {
            BondEvent::Down { bond, reason } => (bond, reason),
            other => panic!("{other:?}"),
        }
    }

    async fn message(&mut self) -> (MemberId, Bytes) {
        match self.event().await {
            BondEvent::Message { from, message } => (from, message),
            other => panic!("{other:?}"),
        }
    }

    async fn mismatch(&mut self) -> Mismatch {
        match self.event().await {
            BondEvent::Mismatch { mismatch, .. } => mismatch,
            other => panic!("{other:?}"),
        }
    }

    fn seek(&self, peers: &[PeerId]) {
        self.bonds.seek(&peers.iter().copied().collect());
    }

    /// Nothing happens for a while.
    async fn stays_silent(&mut self, span: Duration) {
        if let Ok(event) = timeout(span, self.events.recv()).await {
            panic!("{event:?}");
        }
    }
}

/// Two members that are bonded; the first is the smaller one.
struct Pair {
    nodes: Vec<Node>,
    a: Member,
    b: Member,
    /// The bond with `b`, and that with `a`.
    to_b: Bond,
    to_a: Bond,
}

async fn pair() -> Pair {
    pair_on(&net(1)).await
}

async fn pair_on(net: &SimNet) -> Pair {
    let nodes = nodes(net, 2);
    let (mut a, mut b) = (nodes[0].join(spec(1)), nodes[1].join(spec(2)));
    a.seek(&[b.id]);
    b.seek(&[a.id]);
    let (to_b, to_a) = (a.up().await, b.up().await);
    Pair { nodes, a, b, to_b, to_a }
}

/// What should not take long, does not.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.expect("it takes too long")
}

const LIMIT: Duration = Duration::from_secs(1);
/// What the other side may take for a step of the handshake; not the default.
const STEP: Duration = Duration::from_millis(1700);

/// Answers with what it is asked, a while later; echoes appends; keeps snapshots.
#[derive(Debug, Default)]
struct Toy {
    delay: Duration,
    gone: bool,
    asked: AtomicUsize,
    streams: AtomicUsize,
    snapshot: Arc<Mutex<Option<(Bytes, Bytes)>>>,
}

impl Served for Toy {
    fn answer(&self, request: Bytes) -> BoxFuture<'static, Result<Bytes, Gone>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let (delay, gone) = (self.delay, self.gone);
        async move {
            sleep(delay).await;
            if gone { Err(Gone) } else { Ok(request) }
        }
        .boxed()
    }

    fn serve_append(&self, source: AppendSource, sink: AppendSink) -> BoxFuture<'static, ()> {
        self.streams.fetch_add(1, Ordering::Relaxed);
        async move {
            // Ends the sink when the source has ended.
            let _ = source.forward(sink).await;
        }
        .boxed()
    }

    fn admits(&self, _: MemberId, head: &[u8], _: u64) -> bool {
        head != b"stranger"
    }

    fn install(&self, head: Bytes, body: Bytes) -> BoxFuture<'static, Result<Bytes, Gone>> {
        *self.snapshot.lock().unwrap() = Some((head.clone(), body));
        let gone = self.gone;
        async move { if gone { Err(Gone) } else { Ok(head) } }.boxed()
    }
}
