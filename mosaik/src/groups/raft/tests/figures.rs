//! What a cluster in one process does, with nothing but channels between its members. Run by hand:
//! `cargo test --release -p mosaik --lib groups::raft::tests::figures -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream::FuturesUnordered};

use super::{Cluster, state::adding};
use crate::groups::raft::{Limits, Node};

const TIME: Duration = Duration::from_secs(3);

#[test]
#[ignore = "takes figures"]
fn commands_and_reads_per_second() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for members in [1, 3] {
        let node = runtime.block_on(async {
            let cluster = Cluster::founded(members, Limits::default()).await;
            let leader = cluster.leader().await;
            let node = cluster.nodes[&leader].clone();
            std::mem::forget(cluster);
            node
        });
        for (in_flight, commands) in
            [(1, 1), (64, 1), (4, 16), (4, 64), (1, 64), (8, 128), (4, 256)]
        {
            let task = runtime.spawn(write(node.clone(), in_flight, commands));
            let (rate, latency) = runtime.block_on(task).unwrap();
            let rate = rate * commands as f64;
            println!(
                "{members} members, {in_flight} in flight x {commands}: {rate:.0}/s, p50 {latency:?}"
            );
        }
        for in_flight in [1, 64] {
            let task = runtime.spawn(read(node.clone(), in_flight));
            let (rate, latency) = runtime.block_on(task).unwrap();
            println!(
                "{members} members, {in_flight} reads in flight: {rate:.0}/s, p50 {latency:?}"
            );
        }
    }
}

fn median(mut all: Vec<Duration>) -> (f64, Duration) {
    all.sort();
    (all.len() as f64 / TIME.as_secs_f64(), all[all.len() / 2])
}

async fn write(node: Node, in_flight: usize, commands: usize) -> (f64, Duration) {
    // 64 bytes a command.
    let mut item = adding(&vec![1; commands]);
    item.0 = [&item.0[..], &vec![0; commands * 56]].concat().into();
    let begin = Instant::now();
    let one = || {
        let (node, item) = (node.clone(), item.clone());
        async move {
            let began = Instant::now();
            node.propose(item).await.unwrap().committed().await.unwrap();
            began.elapsed()
        }
    };
    let mut running: FuturesUnordered<_> = (0..in_flight).map(|_| one()).collect();
    let mut all = Vec::new();
    while let Some(took) = running.next().await {
        all.push(took);
        if begin.elapsed() < TIME {
            running.push(one());
        }
    }
    median(all)
}

async fn read(node: Node, in_flight: usize) -> (f64, Duration) {
    let begin = Instant::now();
    let one = || {
        let node = node.clone();
        async move {
            let began = Instant::now();
            let point = node.read_index().await.unwrap();
            node.wait_applied(point).await.unwrap();
            began.elapsed()
        }
    };
    let mut running: FuturesUnordered<_> = (0..in_flight).map(|_| one()).collect();
    let mut all = Vec::new();
    while let Some(took) = running.next().await {
        all.push(took);
        if begin.elapsed() < TIME {
            running.push(one());
        }
    }
    median(all)
}
