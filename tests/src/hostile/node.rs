//! The two honest nodes: the one that is attacked, and the one that it exchanges data with.

use std::{
    collections::BTreeMap,
    future::pending,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, ensure};
use mosaik::{
    Bytes, Network,
    discovery::{Config, NodeTicket},
    futures::{SinkExt, StreamExt},
    streams::producer::OnLag,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, stdin},
    net::TcpStream,
    time::sleep,
};

/// The node that is attacked: it looks for others in `directory`, consumes `honest`, checks that
/// nothing is missing, and says on every line of its input how much came and what it refused.
///
/// # Errors
/// When it cannot start, or something that was sent did not come.
pub async fn attacked(name: &str, directory: &Path) -> anyhow::Result<()> {
    let metrics = "127.0.0.1:0".parse()?;
    let discovery = Config::builder().with_mdns(false).with_local_directory(directory);
    let builder = crate::lone(name).with_discovery(discovery).with_prometheus_addr(metrics);
    let network = builder.build().await?;
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
    let producer = network.streams().producer::<Bytes>().with_stream_id("open-out").build()?;
    // Whoever does not read holds that stream, and nothing else.
    let producing = async {
        while producer.send(Bytes::from(vec![7; 64 * 1024])).await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
        pending::<()>().await;
    };
    let twin = network.streams().producer::<Bytes>().with_stream_id("twin");
    let twin = twin.on_lag(OnLag::DropOldest).build()?;
    let producing_twin = async {
        while twin.send(Bytes::from(vec![7; 16 * 1024])).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
        pending::<()>().await;
    };
    tokio::select! {
        outcome = counting => outcome,
        () = reading_lies => Ok(()),
        () = producing => Ok(()),
        () = producing_twin => Ok(()),
        outcome = report(&network, &received) => outcome,
    }
}

/// Answers each line of the input; returns when it ends.
async fn report(network: &Network, received: &AtomicU64) -> anyhow::Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    while lines.next_line().await?.is_some() {
        let refused = refused(network).await?;
        let peers = network.discovery().catalog().signed_peers_count();
        let tasks = network.running_tasks();
        println!("{} {peers} {tasks} {refused:?}", received.load(Ordering::Relaxed));
    }
    Ok(())
}

/// What the node counts as refused, by reason, as whoever watches it sees it.
async fn refused(network: &Network) -> anyhow::Result<BTreeMap<String, u64>> {
    let address = network.prometheus_addr().context("its metrics are served")?;
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let mut refused = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.contains("messages_unknown")
            && let Some(count) = line.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok())
            && count > 0
        {
            *refused.entry("unknown_messages".into()).or_default() += count;
        }
        let Some((_, reason)) = line.split_once("reason=\"") else { continue };
        let Some((reason, count)) = reason.split_once('"') else { continue };
        let count = count.rsplit(' ').next().and_then(|count| count.parse::<u64>().ok());
        *refused.entry(reason.to_owned()).or_default() += count.unwrap_or(0);
    }
    // Some reasons are published before anything was refused for them.
    refused.retain(|_, count| *count > 0);
    Ok(refused)
}

/// The honest peer: sends numbers on `honest` as fast as they are taken, reads `twin`, and says on
/// every line of its input how much came. When its input ends it stops, says how much it sent, and
/// stays until it is killed, so that the last of it can arrive.
///
/// # Errors
/// When it cannot start or reach the other.
pub async fn honest(name: &str, ticket: &NodeTicket) -> anyhow::Result<()> {
    let network = crate::lone(name).build().await?;
    println!("{}", network.local().ticket());
    network.discovery().sync_with(ticket.address().clone()).await?;
    let mut producer = network.streams().producer::<u64>().with_stream_id("honest").build()?;
    let mut twin = network.streams().consumer::<Bytes>().with_stream_id("twin").build();
    let received = AtomicU64::new(0);
    let stopped = AtomicBool::new(false);
    let reading = async {
        while twin.next().await.is_some() {
            received.fetch_add(1, Ordering::Relaxed);
        }
    };
    let answering = async {
        let mut lines = BufReader::new(stdin()).lines();
        while lines.next_line().await?.is_some() {
            println!("{}", received.load(Ordering::Relaxed));
        }
        stopped.store(true, Ordering::Relaxed);
        pending::<anyhow::Result<()>>().await
    };
    let sending = async {
        producer.when().online().await;
        let mut sent = 0;
        while !stopped.load(Ordering::Relaxed) {
            producer.feed(sent).await?;
            sent += 1;
        }
        producer.close().await?;
        println!("{sent}");
        pending::<anyhow::Result<()>>().await
    };
    tokio::select! {
        () = reading => Ok(()),
        outcome = answering => outcome,
        outcome = sending => outcome,
    }
}
