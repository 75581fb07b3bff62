//! Streams beside raw iroh: `cargo bench -p mosaik --bench streams [-- NAME] [--quick]`.
//!
//! Both ends are in this process, on one runtime with two workers. The twin does by hand what a
//! careful person would: frames gathered into 64 KiB chunks on one stream, read by chunks.

mod figures;
mod idle;
mod raw;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use figures::{Figures, Goal, Meter, Unit, median, quantile_of};
use mosaik::{
    Bytes, Network, UniqueId, discovery,
    futures::{SinkExt, StreamExt},
    streams::{Consumer, Producer},
};
use serde::{Serialize, de::DeserializeOwned};

/// 64 bytes, encoded: the sequence starts where its varint has 8.
#[derive(serde::Serialize, serde::Deserialize)]
struct Small {
    sequence: u64,
    values: [f64; 7],
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Block {
    sequence: u64,
    body: Bytes,
}

const FIRST: u64 = 1 << 50;
/// The sequence of the datum that ends a measurement.
const LAST: u64 = FIRST - 1;

fn small(sequence: u64) -> Small {
    Small { sequence: FIRST + sequence, values: [1.5; 7] }
}

/// A pair of nodes, and a stream from the one to the other.
struct Pair<D> {
    producer: Producer<D>,
    consumer: Consumer<D>,
    _nodes: [Network; 2],
}

async fn node(name: UniqueId) -> Network {
    let config = discovery::Config::builder().with_local(false);
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let builder = Network::builder(name).offline().bind(loopback).with_discovery(config);
    builder.build().await.expect("a node")
}

async fn nodes() -> [Network; 2] {
    let name = UniqueId::random();
    let nodes = [node(name).await, node(name).await];
    nodes[1].discovery().dial(nodes[0].local().addr()).await;
    nodes
}

async fn pair<D: Serialize + DeserializeOwned + Send + 'static>() -> Pair<D> {
    let nodes = nodes().await;
    let producer = nodes[0].streams().producer::<D>().with_stream_id("bench").build();
    let producer = producer.expect("a producer");
    let consumer = nodes[1].streams().consumer::<D>().with_stream_id("bench").build();
    producer.when().online().await;
    Pair { producer, consumer, _nodes: nodes }
}

/// How a producer sends many.
#[derive(Clone, Copy)]
enum Style {
    /// `feed`, and `flush` at the end.
    Feed,
    /// `send`, each awaited.
    Send,
}

/// Datums a second from one end to the other, in order, none lost.
async fn rate<D>(span: Duration, style: Style, make: fn(u64) -> D, sequence: fn(&D) -> u64) -> f64
where
    D: Serialize + DeserializeOwned + Send + 'static,
{
    let Pair { mut producer, mut consumer, _nodes } = pair::<D>().await;
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        while begun.elapsed() < span {
            for _ in 0..256 {
                let datum = make(sent);
                match style {
                    Style::Feed => producer.feed(datum).await.expect("fed"),
                    Style::Send => producer.send(datum).await.expect("sent"),
                }
                sent += 1;
            }
        }
        producer.send(make(LAST)).await.expect("sent");
        (sent, producer)
    });
    let receiving = tokio::spawn(async move {
        let mut meter = Meter::new(span);
        loop {
            let sequence = sequence(&consumer.next().await.expect("a datum"));
            if sequence == LAST {
                return (meter.count(), meter.rate());
            }
            assert_eq!(sequence, meter.count(), "lost or out of order");
            meter.tick();
        }
    });
    let (sent, _producer) = sending.await.expect("the sender");
    let (received, rate) = receiving.await.expect("the receiver");
    assert_eq!(sent, received, "something was lost");
    rate
}

fn block<const BYTES: usize>(sequence: u64) -> Block {
    static BODY: [u8; 64 * 1024] = [7; 64 * 1024];
    Block { sequence, body: Bytes::from_static(&BODY[..BYTES]) }
}

async fn ping_pong(span: Duration) -> f64 {
    let nodes = nodes().await;
    let open = |from: usize, name: &str| {
        let producer = nodes[from].streams().producer::<Small>().with_stream_id(name).build();
        let consumer = nodes[1 - from].streams().consumer::<Small>().with_stream_id(name).build();
        (producer.expect("a producer"), consumer)
    };
    let ((there, mut arrived), (back, mut returned)) = (open(0, "there"), open(1, "back"));
    there.when().online().await;
    back.when().online().await;
    let echo = tokio::spawn(async move {
        while let Some(datum) = arrived.next().await {
            if back.send(datum).await.is_err() {
                return;
            }
        }
    });
    let pinging = tokio::spawn(async move {
        let (mut times, begun) = (Vec::new(), Instant::now());
        while begun.elapsed() < span {
            let sent = Instant::now();
            there.send(small(0)).await.expect("sent");
            returned.next().await.expect("returned");
            times.push(sent.elapsed());
        }
        median(times)
    });
    let median = pinging.await.expect("pings");
    echo.abort();
    drop(nodes);
    median
}

/// Datums a second that `count` consumers, each on a node of its own, get in total from one
/// producer.
async fn fan_out(span: Duration, count: usize) -> f64 {
    let name = UniqueId::random();
    let source = node(name).await;
    let producer = source.streams().producer::<Small>().with_stream_id("bench").build();
    let mut producer = producer.expect("a producer");
    let mut consumers = Vec::new();
    for _ in 0..count {
        let node = node(name).await;
        node.discovery().dial(source.local().addr()).await;
        let consumer = node.streams().consumer::<Small>().with_stream_id("bench").build();
        consumers.push((node, consumer));
    }
    producer.when().subscribed().minimum_of(count).await;
    let receiving: Vec<_> = consumers
        .into_iter()
        .map(|(node, mut consumer)| {
            tokio::spawn(async move {
                let mut meter = Meter::new(span);
                while let Some(datum) = consumer.next().await
                    && datum.sequence - FIRST != LAST
                {
                    assert_eq!(datum.sequence - FIRST, meter.count(), "lost or out of order");
                    meter.tick();
                }
                drop(node);
                meter.rate()
            })
        })
        .collect();
    let begun = Instant::now();
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        while begun.elapsed() < span {
            for _ in 0..256 {
                producer.feed(small(sent)).await.expect("fed");
                sent += 1;
            }
        }
        producer.send(small(LAST)).await.expect("sent");
        producer
    });
    let mut total = 0.0;
    for consumer in receiving {
        total += consumer.await.expect("a receiver");
    }
    drop(sending.await.expect("the sender"));
    drop(source);
    total
}

/// How long a small question on the control lane takes, at the median and at the 99th percentile,
/// and how many bytes a second of bulk data the same two nodes move meanwhile: as fast as they can
/// if `loaded`, or else none.
async fn control_delay(span: Duration, loaded: bool) -> [f64; 3] {
    let Pair { mut producer, mut consumer, _nodes: nodes } = pair::<Block>().await;
    let stream = *producer.stream_id();
    let received = Arc::new(AtomicU64::new(0));
    let count = received.clone();
    let sending = tokio::spawn(async move {
        let mut sent = 0;
        while loaded && producer.feed(block::<{ 64 * 1024 }>(sent)).await.is_ok() {
            sent += 1;
        }
        // The stream that is asked about stays, also without bulk.
        std::future::pending::<()>().await
    });
    let receiving = tokio::spawn(async move {
        while let Some(block) = consumer.next().await {
            count.fetch_add(block.body.len() as u64, Ordering::Relaxed);
        }
    });
    let asking = tokio::spawn(async move {
        let (mut times, begun) = (Vec::new(), Instant::now());
        while begun.elapsed() < span {
            let asked = Instant::now();
            let answer = nodes[1].discovery().describe(nodes[0].local().addr(), stream).await;
            assert!(answer.expect("answered").is_some(), "the producer's node knows its stream");
            times.push(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let rate = received.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
        [quantile_of(times.clone(), 0.5), quantile_of(times, 0.99), rate]
    });
    let figures = asking.await.expect("answers");
    sending.abort();
    receiving.abort();
    figures
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    if let Some(code) = idle::child() {
        return println!("{}", code.await);
    }
    let mut figures = Figures::from_args("streams");
    let small_of = |datum: &Small| datum.sequence - FIRST;
    figures
        .compare(
            "64B",
            Unit::PerSecond,
            Goal::Ratio(0.45),
            |span| rate(span, Style::Feed, small, small_of),
            |span| raw::rate(span, 64),
        )
        .await;
    figures
        .compare(
            "64B-send",
            Unit::PerSecond,
            Goal::Ratio(0.25),
            |span| rate(span, Style::Send, small, small_of),
            |span| raw::rate(span, 64),
        )
        .await;
    figures
        .compare(
            "1KiB",
            Unit::PerSecond,
            Goal::Ratio(0.7),
            |span| rate(span, Style::Feed, block::<1024>, |block| block.sequence),
            |span| raw::rate(span, 1024),
        )
        .await;
    const LARGE: usize = 64 * 1024;
    figures
        .compare(
            "64KiB",
            Unit::BytesPerSecond,
            Goal::Ratio(0.85),
            async |span| {
                let blocks = rate(span, Style::Feed, block::<LARGE>, |block| block.sequence).await;
                blocks * LARGE as f64
            },
            async |span| raw::rate(span, LARGE).await * LARGE as f64,
        )
        .await;
    figures.compare("ping-pong", Unit::Seconds, Goal::Ratio(2.0), ping_pong, raw::ping_pong).await;
    // The twins of these are ours: one consumer, an idle bulk lane, nodes without subscriptions.
    let (eight, one) = (|span| fan_out(span, 8), |span| fan_out(span, 1));
    figures.compare("8-consumers", Unit::PerSecond, Goal::Ratio(0.8), eight, one).await;
    figures
        .compare_all(
            [
                ("control-p50", Unit::Seconds, Goal::None),
                ("control-p99", Unit::Seconds, Goal::Itself(0.05)),
                ("control-bulk", Unit::BytesPerSecond, Goal::None),
            ],
            |span| control_delay(span, true),
            |span| control_delay(span, false),
        )
        .await;
    figures
        .compare_all(
            [
                ("1000-idle-memory", Unit::Bytes, Goal::Itself(50e6)),
                ("1000-idle-cpu", Unit::Share, Goal::Itself(0.01)),
            ],
            |_| idle::measure(1000),
            |_| idle::measure(0),
        )
        .await;
    figures.finish();
}
