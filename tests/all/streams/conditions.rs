//! `when()`: conditions on who is connected.

use mosaik::{Network, tag};
use mosaik_tests::{eventually, lone, nodes, secs, unique_name, within};

#[tokio::test]
async fn a_consumer_is_online_at_once_and_a_producer_with_its_first_consumer() {
    let [a, b] = nodes().await;
    let consumer = b.streams().consume::<u64>();
    within(secs(1), "an idle consumer", consumer.when().online()).await;
    let producer = a.streams().produce::<u64>();
    within(secs(5), "the producer", producer.when().online()).await;
    assert!(producer.is_online() && producer.when().subscribed().is_condition_met());
    drop(consumer);
    within(secs(5), "the producer without consumers", producer.when().offline()).await;
    within(secs(5), "no subscription", producer.when().unsubscribed()).await;
    assert_eq!(producer.consumers().count(), 0);
}

#[tokio::test]
async fn online_when_sets_how_many_it_takes() {
    let [a, b, c] = nodes().await;
    let builder = a.streams().producer::<u64>();
    let producer = builder.online_when(|c| c.minimum_of(2)).build().unwrap();
    let _first = b.streams().consume::<u64>();
    within(secs(5), "one consumer", producer.when().subscribed()).await;
    assert!(!producer.is_online());
    let _second = c.streams().consume::<u64>();
    within(secs(5), "two consumers", producer.when().online()).await;
}

#[tokio::test]
async fn conditions_count_peers_by_tag_and_predicate() {
    let [a, b, c] = nodes().await;
    let producer = a.streams().produce::<u64>();
    let _consumers = [b.streams().consume::<u64>(), c.streams().consume::<u64>()];
    within(secs(5), "both", producer.when().subscribed().minimum_of(2)).await;
    let tagged = producer.when().subscribed().with_tags(tag!("kitchen"));
    assert!(!tagged.is_condition_met());
    b.discovery().add_tags(tag!("kitchen"));
    within(secs(5), "the tag", tagged.clone()).await;
    let id = c.local().id();
    let named = producer.when().subscribed().with_predicate(move |peer| *peer.id() == id);
    assert!(named.is_condition_met());
    assert!(!named.clone().minimum_of(2).is_condition_met());
    assert!(named.minimum_of(2).unmet().is_condition_met());
}

#[tokio::test]
async fn a_condition_resolves_again_at_its_next_beginning() {
    let [a, b] = nodes().await;
    let producer = a.streams().produce::<u64>();
    let mut subscribed = producer.when().subscribed();
    for _ in 0..3 {
        let consumer = b.streams().consume::<u64>();
        within(secs(5), "the subscription", &mut subscribed).await;
        drop(consumer);
        within(secs(5), "its end", producer.when().unsubscribed()).await;
    }
}

#[tokio::test]
async fn the_end_of_a_network_takes_its_peers_streams_offline() {
    let name = unique_name();
    let a = lone(&name).build().await.unwrap();
    let b: Network = lone(&name).build().await.unwrap();
    a.discovery().sync_with(b.local().addr()).await.unwrap();
    let producer = a.streams().produce::<u64>();
    let consumer = b.streams().consume::<u64>();
    within(secs(5), "the subscription", producer.when().online()).await;
    drop(b);
    within(secs(5), "the producer's end", producer.when().offline()).await;
    eventually(secs(5), "the consumer's end", || consumer.producers().count() == 0).await;
}
