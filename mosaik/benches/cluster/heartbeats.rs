//! Whether heartbeats come in time beside other traffic of the same nodes.
//!
//! What is measured is a strong read, at its leader, of a group that does nothing else: that is one
//! heartbeat to each of the two other members, and the answer of the first that does, through the
//! same tasks, streams and queues as the heartbeats of the clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mosaik::{
    Bytes,
    futures::{SinkExt, StreamExt},
    groups::{ConsensusConfig, Consistency},
};

use super::{Cluster, Counter, command, join, online, roles};
use crate::figures::{Figures, Goal, Unit, quantile_of};

/// What the nodes do meanwhile.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Nothing,
    /// Commands of 4 KiB, so many of them in flight.
    Appends(usize),
    /// As much as a stream takes, from the leader's node to another.
    Stream,
}

/// Heartbeats at the median and the 99th percentile, and what else was done: commands or bytes a
/// second.
async fn heartbeats(span: Duration, beside: Beside) -> [f64; 3] {
    let cluster = Cluster::<Counter>::found(3).await;
    let consensus = ConsensusConfig::default();
    let quiet = |node| join(node, "quiet", 3, Counter::default(), consensus.clone());
    let quiet: Vec<_> = cluster.nodes.iter().map(quiet).collect();
    online(&quiet).await;
    let quiet_leader = roles(&quiet).0;
    // The load goes the same way.
    let leader = cluster.groups[quiet_leader].clone();
    if !leader.is_leader() {
        let peer = cluster.nodes[quiet_leader].local().id();
        cluster.leader().transfer_to(peer).await.expect("it takes over");
        leader.when().is_leader().await;
    }
    let (done, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut busy = Vec::new();
    if let Beside::Appends(in_flight) = beside {
        for _ in 0..in_flight {
            let (leader, done, over) = (leader.clone(), done.clone(), over.clone());
            busy.push(tokio::spawn(async move {
                while !over.load(Ordering::Relaxed) && leader.execute(command(4096)).await.is_ok() {
                    done.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
    }
    if beside == Beside::Stream {
        let (from, to) = (quiet_leader, (quiet_leader + 1) % 3);
        let producer = cluster.nodes[from].streams().producer::<Bytes>().with_stream_id("bulk");
        let mut producer = producer.build().expect("a producer");
        let consumer = cluster.nodes[to].streams().consumer::<Bytes>().with_stream_id("bulk");
        let mut consumer = consumer.build();
        producer.when().online().await;
        let (counted, sent_over) = (done.clone(), over.clone());
        busy.push(tokio::spawn(async move {
            let block = Bytes::from(vec![7; 64 * 1024]);
            while !sent_over.load(Ordering::Relaxed) && producer.feed(block.clone()).await.is_ok() {
            }
        }));
        busy.push(tokio::spawn(async move {
            while let Some(block) = consumer.next().await {
                counted.fetch_add(block.len() as u64, Ordering::Relaxed);
            }
        }));
    }
    tokio::time::sleep(span / 5).await;
    done.store(0, Ordering::Relaxed);
    let group = quiet[quiet_leader].clone();
    let asking = tokio::spawn(async move {
        let (mut times, begun) = (Vec::new(), Instant::now());
        while begun.elapsed() < span {
            let asked = Instant::now();
            group.query((), Consistency::Strong).await.expect("answered");
            times.push(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (times, begun.elapsed())
    });
    let (times, took) = asking.await.expect("answers");
    let rate = done.load(Ordering::Relaxed) as f64 / took.as_secs_f64();
    over.store(true, Ordering::Relaxed);
    for task in busy {
        task.abort();
    }
    [quantile_of(times.clone(), 0.5), quantile_of(times, 0.99), rate]
}

/// All of it.
pub async fn all(figures: &mut Figures) {
    let cases: [(&str, Beside, Unit, Goal); 3] = [
        ("alone", Beside::Nothing, Unit::PerSecond, Goal::None),
        ("appends", Beside::Appends(1024), Unit::PerSecond, Goal::Itself(0.05)),
        ("stream", Beside::Stream, Unit::BytesPerSecond, Goal::Itself(0.05)),
    ];
    for (name, beside, unit, goal) in cases {
        let names = ["p50", "p99", "load"].map(|what| format!("heartbeats/{name}-{what}"));
        let cases = [
            (&*names[0], Unit::Seconds, Goal::None),
            (&*names[1], Unit::Seconds, goal),
            (&*names[2], unit, Goal::None),
        ];
        figures.alone_all(cases, |span| heartbeats(span, beside)).await;
    }
}
