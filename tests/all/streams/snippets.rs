//! What newcomers copy: the two snippets that introduce streams.

use mosaik::futures::StreamExt;
use mosaik_tests::{nodes, secs, within};

#[mosaik::stream]
#[derive(Debug, Clone, PartialEq)]
struct SensorReading {
    temp: f64,
}

#[tokio::test]
async fn a_string_is_sent_once_the_producer_is_online() {
    let [network, other] = nodes().await;
    let snippet = async {
        let producer = network.streams().produce::<String>();
        producer.when().online().await;
        producer.send("hello, world".to_string()).await
    };
    let mut consumer = other.streams().consume::<String>();
    let received = async { consumer.next().await };
    let (sent, received) =
        within(secs(5), "the first snippet", async { tokio::join!(snippet, received) }).await;
    sent.unwrap();
    assert_eq!(received.as_deref(), Some("hello, world"));
}

#[tokio::test]
async fn a_reading_is_sent_once_somebody_is_subscribed() {
    let [n0, n1] = nodes().await;
    let producer = n0.streams().produce::<SensorReading>();
    let mut consumer = n1.streams().consume::<SensorReading>();
    let snippet = async {
        producer.when().subscribed().minimum_of(1).await;
        producer.send(SensorReading { temp: 21.5 }).await.unwrap();
        consumer.next().await.unwrap()
    };
    let reading = within(secs(5), "the second snippet", snippet).await;
    assert_eq!(reading, SensorReading { temp: 21.5 });
}

/// The README's test, run: in its documentation it is only compiled.
#[mosaik::network_test(sim, seed = 7)]
async fn a_message_survives_a_partition(nodes: [mosaik::Network; 2]) {
    let producer = nodes[0].streams().produce::<String>();
    let mut consumer = nodes[1].streams().consume::<String>();
    producer.when().subscribed().minimum_of(1).await;
    nodes.partition(&[&[0], &[1]]);
    producer.send("hello".to_string()).await.unwrap();
    nodes.heal();
    assert_eq!(consumer.next().await.as_deref(), Some("hello"));
}
