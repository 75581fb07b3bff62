//! Discovery beside raw iroh: `cargo bench -p mosaik --bench discovery [-- NAME] [--quick]`.
//!
//! All nodes are in this process, on one runtime with two workers. The twins do the least that the
//! same aim takes on iroh's own endpoints: they bind, connect to an address that they are given,
//! and exchange one byte. They know nothing of each other after that.

mod figures;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use chrono::Utc;
use figures::{Figures, Goal, Unit};
use mosaik::{
    Network, UniqueId,
    discovery::{Catalog, Config, ConfigBuilder, made_up_entries},
    futures::future::join_all,
    iroh::{
        Endpoint, EndpointAddr, RelayMode,
        endpoint::{Connection, presets},
    },
};
use rustix::time::{ClockId, clock_gettime};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

const ALPN: &[u8] = b"raw/1";
/// Idle nodes of which the memory is measured.
const IDLE: usize = 10;
/// How long they are left alone first.
const CALM: Duration = Duration::from_secs(2);
/// What asks this program to print what an idle node takes.
const IDLE_OURS: &str = "--idle-ours";
const IDLE_TWIN: &str = "--idle-twin";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    match std::env::args().nth(1).as_deref() {
        Some(IDLE_OURS) => return println!("{}", idle(|| node(UniqueId::random(), alone())).await),
        Some(IDLE_TWIN) => return println!("{}", idle(endpoint).await),
        _ => {}
    }
    let mut figures = Figures::from_args("discovery");
    let (unit, goal) = (Unit::Seconds, Goal::Itself);
    figures.compare("start", unit, goal(0.05), |_| start(), |_| twin_start()).await;
    figures.compare("local-pair", unit, goal(0.1), |_| local_pair(), |_| twin_converge(2)).await;
    figures.compare("converge-10", unit, Goal::None, |_| converge(10), |_| twin_converge(10)).await;
    figures.compare("converge-20", unit, goal(1.0), |_| converge(20), |_| twin_converge(20)).await;
    figures.compare("converge-50", unit, Goal::None, |_| converge(50), |_| twin_converge(50)).await;
    let (ours, twin) = (async |_| converge(100).await, async |_| twin_converge(100).await);
    figures.compare("converge-100", unit, Goal::None, ours, twin).await;
    if figures.wants(SYNC) {
        let catalogs = Catalogs::new().await;
        let (ours, twin) = (|_| catalogs.sync(), |_| catalogs.twin_sync());
        figures.compare(SYNC, unit, goal(0.15), ours, twin).await;
        catalogs.end().await;
    }
    let (ours, twin) = (async |_| idle_of(IDLE_OURS), async |_| idle_of(IDLE_TWIN));
    figures.compare("idle-memory", Unit::Bytes, Goal::None, ours, twin).await;
    figures.finish();
}

fn alone() -> ConfigBuilder {
    Config::builder().with_local(false).with_mdns(false)
}

fn beside(dir: &Path) -> ConfigBuilder {
    Config::builder().with_local_directory(dir).with_mdns(false)
}

fn private_dir() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    dir
}

async fn node(name: UniqueId, discovery: ConfigBuilder) -> Network {
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let builder = Network::builder(name).offline().bind(loopback).with_discovery(discovery);
    builder.build().await.expect("a node")
}

async fn endpoint() -> Endpoint {
    let builder = Endpoint::builder(presets::Minimal)
        .relay_mode(RelayMode::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .expect("an address")
        .alpns(vec![ALPN.to_vec()]);
    builder.bind().await.expect("an endpoint")
}

/// From nothing to a node that others can find.
async fn start() -> f64 {
    let dir = private_dir();
    let begun = Instant::now();
    let node = node(UniqueId::random(), beside(dir.path())).await;
    let took = begun.elapsed();
    node.shutdown().await;
    took.as_secs_f64()
}

async fn twin_start() -> f64 {
    let begun = Instant::now();
    let endpoint = endpoint().await;
    let took = begun.elapsed();
    endpoint.close().await;
    took.as_secs_f64()
}

async fn until_known(node: &Network, count: usize) {
    let mut catalog = node.discovery().catalog_watch();
    let known = catalog.wait_for(|catalog: &Catalog| catalog.peers_count() == count);
    let known = timeout(Duration::from_secs(30), known).await;
    drop(known.expect("all are found within 30 s").expect("the node runs"));
}

/// From the start of the second node on a machine until both know each other.
async fn local_pair() -> f64 {
    let (dir, name) = (private_dir(), UniqueId::random());
    let first = node(name, beside(dir.path())).await;
    let begun = Instant::now();
    let second = node(name, beside(dir.path())).await;
    until_known(&first, 1).await;
    until_known(&second, 1).await;
    let took = begun.elapsed();
    first.shutdown().await;
    second.shutdown().await;
    took.as_secs_f64()
}

/// From the start of the first node until all know all; each knew only the first.
async fn converge(count: usize) -> f64 {
    let name = UniqueId::random();
    let begun = Instant::now();
    let first = node(name, alone()).await;
    let entrance = first.local().addr();
    let others = (1..count).map(|_| node(name, alone().with_bootstrap(entrance.clone())));
    let mut nodes = join_all(others).await;
    nodes.push(first);
    for node in &nodes {
        until_known(node, count - 1).await;
    }
    let took = begun.elapsed();
    join_all(nodes.into_iter().map(Network::shutdown)).await;
    took.as_secs_f64()
}

/// The name of the case with large catalogs.
const SYNC: &str = "sync-10000-cpu";
/// The peers in a large catalog.
const PEERS: u64 = 10_000;
/// What the summary of one peer takes, about; the twin moves as many bytes.
const SUMMARY_BYTES: usize = 60;

/// Two nodes that know the same 10,000 peers, and the twin: two connected endpoints.
struct Catalogs {
    nodes: [Network; 2],
    twins: [Endpoint; 2],
    connection: Connection,
    answer: Connection,
}

impl Catalogs {
    async fn new() -> Self {
        let name = UniqueId::random();
        // They would purge those who do not exist.
        let patient = || alone().with_purge_after(Duration::from_secs(24 * 60 * 60));
        let nodes = [node(name, patient()).await, node(name, patient()).await];
        for entry in made_up_entries(name, PEERS, Utc::now()) {
            assert!(nodes[0].discovery().feed(entry.clone()) && nodes[1].discovery().feed(entry));
        }
        let synced = nodes[0].discovery().sync_with(nodes[1].local().addr()).await;
        synced.expect("the first sync");
        let twins = [endpoint().await, endpoint().await];
        let to = EndpointAddr::new(twins[1].id()).with_ip_addr(twins[1].bound_sockets()[0]);
        let answer = tokio::spawn(answer(twins[1].clone()));
        let connection = twins[0].connect(to, ALPN).await.expect("a connection");
        greet(&connection).await;
        let answer = answer.await.expect("the answer");
        Self { nodes, twins, connection, answer }
    }

    /// The processor time that a sync of equal catalogs takes, both ends together.
    async fn sync(&self) -> f64 {
        let before = cpu();
        let to = self.nodes[1].local().addr();
        self.nodes[0].discovery().sync_with(to).await.expect("a sync");
        cpu() - before
    }

    /// The same number of bytes on a stream.
    async fn twin_sync(&self) -> f64 {
        let before = cpu();
        let size = SUMMARY_BYTES * PEERS as usize;
        let read = async {
            let mut stream = self.answer.accept_uni().await.expect("a stream");
            stream.read_to_end(size).await.expect("read").len()
        };
        let write = async {
            let mut stream = self.connection.open_uni().await.expect("a stream");
            stream.write_all(&vec![1; size]).await.expect("written");
            stream.finish().expect("finished");
        };
        let (read, ()) = tokio::join!(read, write);
        assert_eq!(read, size);
        cpu() - before
    }

    async fn end(self) {
        join_all(self.nodes.into_iter().map(Network::shutdown)).await;
        join_all(self.twins.iter().map(Endpoint::close)).await;
    }
}

/// The processor time of this process so far, in seconds.
fn cpu() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// One byte there and back on a new stream.
async fn greet(connection: &Connection) {
    let (mut send, mut recv) = connection.open_bi().await.expect("a stream");
    send.write_all(&[1]).await.expect("written");
    recv.read_exact(&mut [0]).await.expect("read");
}

async fn answer(endpoint: Endpoint) -> Connection {
    let connection = endpoint.accept().await.expect("a dial").await.expect("a connection");
    let (mut send, mut recv) = connection.accept_bi().await.expect("a stream");
    let mut byte = [0];
    recv.read_exact(&mut byte).await.expect("read");
    send.write_all(&byte).await.expect("written");
    connection
}

/// Endpoints that all connect to the first.
async fn twin_converge(count: usize) -> f64 {
    let begun = Instant::now();
    let first = endpoint().await;
    let entrance = EndpointAddr::new(first.id()).with_ip_addr(first.bound_sockets()[0]);
    let answers: Vec<_> = (1..count).map(|_| tokio::spawn(answer(first.clone()))).collect();
    let others = join_all((1..count).map(async |_| {
        let other = endpoint().await;
        let connection = other.connect(entrance.clone(), ALPN).await.expect("a connection");
        greet(&connection).await;
        (other, connection)
    }))
    .await;
    let answers = join_all(answers).await;
    let took = begun.elapsed();
    drop(answers);
    join_all(others.iter().map(|(other, _)| other.close())).await;
    first.close().await;
    took.as_secs_f64()
}

/// What one of several idle things takes, in bytes: the first one's share in what all have in
/// common is left out.
async fn idle<T>(make: impl AsyncFn() -> T) -> u64 {
    let _first = make().await;
    sleep(CALM).await;
    let before = resident_bytes();
    let mut all = Vec::new();
    for _ in 0..IDLE {
        all.push(make().await);
    }
    sleep(CALM).await;
    resident_bytes().saturating_sub(before) / IDLE as u64
}

/// The same, measured in a process that has done nothing else.
fn idle_of(what: &str) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).arg(what).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().expect("it prints a number")
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.expect("the kernel says how much memory is resident") * 1024
}
