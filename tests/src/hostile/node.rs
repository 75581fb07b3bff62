//! The two honest nodes: the one that is attacked, and the one that it exchanges data with.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::ensure;
use mosaik::{
    Network,
    discovery::NodeTicket,
    futures::{SinkExt, StreamExt},
};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

/// The node that is attacked: it consumes `honest`, checks that nothing is missing, and says on
/// every line of its input how much came and what it refused.
///
/// # Errors
/// When it cannot start, or something that was sent did not come.
pub async fn attacked(name: &str) -> anyhow::Result<()> {
    let network = crate::lone(name).build().await?;
    println!("{}", network.local().ticket());
    let received = Arc::new(AtomicU64::new(0));
    let mut honest = network.streams().consumer::<u64>().with_stream_id("honest").build();
    let count = received.clone();
    let counting = async {
        while let Some(number) = honest.next().await {
            let expected = count.fetch_add(1, Ordering::Relaxed);
            ensure!(number == expected, "{number} came instead of {expected}");
        }
        anyhow::Ok(())
    };
    let mut open = network.streams().consumer::<u64>().with_stream_id("open").build();
    let reading_lies = async {
        while open.next().await.is_some() {}
        pending::<()>().await;
    };
    let _unread = network.streams().consumer::<u64>().with_stream_id("unread").build();
    let producer = network.streams().producer::<u64>().with_stream_id("open-out").build()?;
    let producing = async {
        for number in 0.. {
            // Whoever does not read holds this stream, and nothing else.
            if producer.send(number).await.is_err() {
                pending::<()>().await;
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    };
    tokio::select! {
        outcome = counting => outcome,
        () = reading_lies => Ok(()),
        () = producing => Ok(()),
        outcome = report(&network, &received) => outcome,
    }
}

/// Answers each line of the input; returns when it ends.
async fn report(network: &Network, received: &AtomicU64) -> anyhow::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    while lines.next_line().await?.is_some() {
        let mut refused = BTreeMap::new();
        for (reason, count) in network.discovery().refusals().iter().filter(|(_, n)| *n > 0) {
            refused.insert(format!("{reason:?}"), count);
        }
        for (reason, count) in network.refusals() {
            refused.insert(format!("{reason:?}"), count);
        }
        let peers = network.discovery().catalog().signed_peers_count();
        let tasks = network.running_tasks();
        println!("{} {peers} {tasks} {refused:?}", received.load(Ordering::Relaxed));
    }
    Ok(())
}

/// The honest peer: sends numbers on `honest` as fast as they are taken.
///
/// # Errors
/// When it cannot start or reach the other.
pub async fn honest(name: &str, ticket: &NodeTicket) -> anyhow::Result<()> {
    let network = crate::lone(name).build().await?;
    println!("{}", network.local().ticket());
    network.discovery().sync_with(ticket.address().clone()).await?;
    let mut producer = network.streams().producer::<u64>().with_stream_id("honest").build()?;
    producer.when().online().await;
    for number in 0.. {
        producer.feed(number).await?;
    }
    Ok(())
}
