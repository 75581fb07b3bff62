//! What the macros declare, between whole nodes. Their forms and errors are tested in `ui-tests/`.

use mosaik::{
    ConsumerOf, Network, ProducerOf, StreamId, UniqueId, declare::stream, futures::StreamExt, id,
    tag, unique_id,
};
use mosaik_tests::{nodes, secs, within};
use serde::{Deserialize, Serialize};

/// A price, for a channel of its own.
#[mosaik::data]
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    cents: u64,
}

#[mosaik::stream("tests.macros.eth", datum = Price)]
pub struct EthPrice;

#[mosaik::stream("tests.macros.btc", datum = Price)]
pub struct BtcPrice;

#[mosaik::stream]
#[derive(Debug, Clone, PartialEq)]
pub struct Wrapped<T> {
    inner: T,
    spare: Option<T>,
}

#[mosaik::stream("tests.macros.few", max_consumers = 1, buffer = 4, producer(online_when = |c| c.minimum_of(1)))]
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Point,
    Circle { radius: f64 },
}

stream!(pub Lines = String, "tests.macros.lines");
stream!(
    /// Only peers with a tag may consume it.
    pub Gated = Vec<u8>, "tests.macros.gated",
    consumer require: |peer| peer.tags().contains(&tag!("inside")),
);

#[tokio::test]
async fn two_channels_of_one_type_do_not_mix() {
    let [a, b] = nodes().await;
    let (eth, btc) = (EthPrice::producer(&a), BtcPrice::producer(&a));
    let (mut eth_in, mut btc_in) = (EthPrice::consumer(&b), BtcPrice::consumer(&b));
    within(secs(5), "a send", eth.send(Price { cents: 1 })).await.unwrap();
    within(secs(5), "a send", btc.send(Price { cents: 2 })).await.unwrap();
    assert_eq!(within(secs(5), "its arrival", eth_in.next()).await, Some(Price { cents: 1 }));
    assert_eq!(within(secs(5), "its arrival", btc_in.next()).await, Some(Price { cents: 2 }));
    assert_eq!(EthPrice::STREAM_ID, StreamId::from("tests.macros.eth"));
}

#[tokio::test]
async fn generic_streams_have_an_id_for_each_parameter() {
    let [a, b] = nodes().await;
    let numbers = Wrapped::<u64>::producer(&a);
    let mut received = Wrapped::<u64>::consumer(&b);
    let texts = Wrapped::<String>::producer(&a);
    assert_ne!(numbers.stream_id(), texts.stream_id());
    let sent = Wrapped { inner: 7, spare: None };
    within(secs(5), "a send", numbers.send(sent.clone())).await.unwrap();
    assert_eq!(within(secs(5), "its arrival", received.next()).await, Some(sent));
}

#[tokio::test]
async fn options_of_an_attribute_reach_the_producer() {
    let [a, b] = nodes().await;
    let producer: ProducerOf<Shape> = within(secs(5), "the pair", async {
        let _consumer: ConsumerOf<Shape> = Shape::consumer(&b);
        Shape::online_producer(&a).await
    })
    .await;
    assert_eq!((producer.config().max_consumers, producer.config().buffer_size), (1, 4));
    within(secs(5), "the end of the first consumer", producer.when().unsubscribed()).await;
    let mut consumer = Shape::consumer(&b);
    let circle = Shape::Circle { radius: 2.0 };
    within(secs(5), "a send", producer.send(circle.clone())).await.unwrap();
    assert_eq!(within(secs(5), "its arrival", consumer.next()).await, Some(circle));
    within(secs(5), "a send", producer.send(Shape::Point)).await.unwrap();
    assert_eq!(within(secs(5), "its arrival", consumer.next()).await, Some(Shape::Point));
}

#[tokio::test]
async fn declared_streams_work_and_keep_their_conditions() {
    let [a, b] = nodes().await;
    let (lines, mut lines_in) = (Lines::producer(&a), Lines::consumer(&b));
    within(secs(5), "a send", lines.send("one".to_string())).await.unwrap();
    assert_eq!(within(secs(5), "its arrival", lines_in.next()).await.as_deref(), Some("one"));
    let (gated, gated_in) = (Gated::producer(&a), Gated::consumer(&b));
    assert_eq!(gated_in.producers().count(), 0);
    b.discovery().add_tags(tag!("inside"));
    within(secs(5), "the subscription", gated.when().subscribed()).await;
}

#[test]
fn ids_are_the_same_at_compile_time_and_at_run_time() {
    const PRICES: UniqueId = unique_id!("prices");
    assert_eq!(PRICES, UniqueId::from("prices"));
    assert_eq!(id!("prices"), PRICES);
    assert_eq!(tag!("prices"), PRICES);
    let hex = "00000000000000000000000000000000000000000000000000000000000000ff";
    assert_eq!(
        id!("00000000000000000000000000000000000000000000000000000000000000ff"),
        UniqueId::from(hex)
    );
    assert_eq!(UniqueId::from(hex).to_string(), hex);
}

/// Any serde type, without an attribute.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plain(u8, String);

#[mosaik::network_test]
async fn any_serde_type_streams_under_a_name(nodes: [Network; 2]) {
    let producer = nodes[0].streams().producer::<Plain>().with_stream_id("tests.macros.plain");
    let consumer = nodes[1].streams().consumer::<Plain>().with_stream_id("tests.macros.plain");
    let (producer, mut consumer) = (producer.build().unwrap(), consumer.build());
    producer.send(Plain(1, "x".into())).await.unwrap();
    assert_eq!(consumer.next().await, Some(Plain(1, "x".into())));
}

#[mosaik::network_test(sim, seed = 3, seeds = 5)]
async fn a_network_test_runs_in_virtual_time(nodes: [Network; 3]) {
    let begun = tokio::time::Instant::now();
    tokio::time::sleep(std::time::Duration::from_secs(500)).await;
    assert!(begun.elapsed().as_secs() >= 500);
    for node in &nodes {
        assert_eq!(node.discovery().catalog().peers_count(), 2);
    }
}
