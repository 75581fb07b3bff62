//! Who may subscribe, and what the others are told.

use mosaik::{futures::StreamExt, tag};
use mosaik_tests::{eventually, nodes, secs, within};

mod narrow {
    #[mosaik::stream("tests.streams.shape")]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Shape {
        pub side: u32,
    }
}

mod wide {
    #[mosaik::stream("tests.streams.shape")]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Shape {
        pub side: u64,
    }
}

mod moved {
    #[mosaik::stream("tests.streams.shape")]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Renamed {
        pub side: u32,
    }
}

#[tokio::test]
async fn a_consumer_of_another_shape_is_refused_and_one_of_another_name_is_not() {
    let [a, b, c] = nodes().await;
    let producer = narrow::Shape::producer(&a);
    let other_shape = wide::Shape::consumer(&b);
    let mut other_name = moved::Renamed::consumer(&c);
    within(secs(5), "a send", producer.send(narrow::Shape { side: 3 })).await.unwrap();
    let received = within(secs(5), "its arrival", other_name.next()).await;
    assert_eq!(received, Some(moved::Renamed { side: 3 }));
    assert_eq!(producer.consumers().count(), 1);
    assert_eq!(other_shape.stats().datums(), 0);
}

#[tokio::test]
async fn a_producer_s_predicate_is_judged_again_when_a_consumer_s_tags_change() {
    let [a, b] = nodes().await;
    let builder = a.streams().producer::<u64>();
    let producer = builder.require(|peer| peer.tags().contains(&tag!("member"))).build().unwrap();
    let consumer = b.streams().consume::<u64>();
    assert_eq!(consumer.producers().count(), 0);
    b.discovery().add_tags(tag!("member"));
    within(secs(5), "the subscription", producer.when().subscribed()).await;
    b.discovery().remove_tags(tag!("member"));
    within(secs(5), "its end", producer.when().unsubscribed()).await;
    eventually(secs(5), "the consumer's end", || consumer.producers().count() == 0).await;
}

#[tokio::test]
async fn a_consumer_s_predicate_chooses_among_producers() {
    let [a, b, c] = nodes().await;
    let wanted = a.local().id();
    let producers = [a.streams().produce::<u64>(), b.streams().produce::<u64>()];
    let builder = c.streams().consumer::<u64>();
    let mut consumer = builder.require(move |peer| *peer.id() == wanted).build();
    within(secs(5), "a send", producers[0].send(1)).await.unwrap();
    assert_eq!(within(secs(5), "its arrival", consumer.next()).await, Some(1));
    assert_eq!(producers[1].consumers().count(), 0);
    assert_eq!(consumer.producers().count(), 1);
}

#[tokio::test]
async fn a_place_that_becomes_free_is_taken_by_a_waiting_consumer() {
    let [a, b, c] = nodes().await;
    let producer = a.streams().producer::<u64>().with_max_consumers(1).build().unwrap();
    let first = b.streams().consume::<u64>();
    within(secs(5), "the first subscription", producer.when().subscribed()).await;
    let second = c.streams().consume::<u64>();
    drop(first);
    let id = c.local().id();
    let is_second = move |peer: &mosaik::discovery::PeerEntry| *peer.id() == id;
    let taken = producer.when().subscribed().with_predicate(is_second);
    within(secs(5), "the second subscription", taken).await;
    assert_eq!(producer.consumers().count(), 1);
    drop(second);
}

#[tokio::test]
async fn a_node_does_not_consume_its_own_stream() {
    let [a, b] = nodes().await;
    let producer = a.streams().produce::<u64>();
    let own = a.streams().consume::<u64>();
    let mut other = b.streams().consume::<u64>();
    within(secs(5), "a send", producer.send(1)).await.unwrap();
    assert_eq!(within(secs(5), "its arrival", other.next()).await, Some(1));
    assert_eq!((own.producers().count(), own.stats().datums()), (0, 0));
}
