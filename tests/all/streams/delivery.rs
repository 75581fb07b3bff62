//! Nothing is lost, doubled or reordered.

use std::time::Duration;

use mosaik::{
    Bytes, Network,
    futures::{SinkExt, StreamExt},
};
use mosaik_tests::{nodes, secs, within};
use tokio::time::sleep;

const MANY: u64 = 200_000;

/// Reads `0..count` in order; pauses every `pause_every` datums.
async fn read_all(network: &Network, count: u64, pause_every: u64) {
    let mut consumer = network.streams().consume::<u64>();
    for expected in 0..count {
        assert_eq!(consumer.next().await, Some(expected));
        if pause_every > 0 && expected % pause_every == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_consumer_gets_every_one_of_many_in_order() {
    let [a, b] = nodes().await;
    let producer = a.streams().produce::<u64>();
    let producing = async {
        for number in 0..MANY {
            producer.send(number).await.unwrap();
        }
    };
    let both = async { tokio::join!(producing, read_all(&b, MANY, 400)) };
    within(secs(60), "200,000 datums to a slow consumer", both).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_consumer_gets_everything_at_its_own_pace() {
    let [a, b, c, d] = nodes().await;
    let mut producer = a.streams().produce::<u64>();
    let count = 20_000;
    let producing = async {
        producer.when().subscribed().minimum_of(3).await;
        for number in 0..count {
            producer.feed(number).await.unwrap();
        }
        producer.flush().await.unwrap();
    };
    let all = async {
        tokio::join!(
            producing,
            read_all(&b, count, 0),
            read_all(&c, count, 100),
            read_all(&d, count, 50),
        )
    };
    within(secs(60), "20,000 datums to three consumers", all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_consumer_of_several_producers_keeps_the_order_of_each() {
    let [a, b, c] = nodes().await;
    let count = 5_000u64;
    let produce = |network: &Network, first: u64| {
        let producer = network.streams().produce::<u64>();
        async move {
            for number in 0..count {
                producer.send(first + number).await.unwrap();
            }
            producer
        }
    };
    let mut consumer = c.streams().consume::<u64>();
    let reading = async {
        let mut next = [0, 0];
        while next != [count, count] {
            let number = consumer.next().await.unwrap();
            let producer = usize::from(number >= 1_000_000);
            assert_eq!(number % 1_000_000, next[producer]);
            next[producer] += 1;
        }
    };
    let all = async { tokio::join!(produce(&a, 0), produce(&b, 1_000_000), reading) };
    within(secs(60), "two producers", all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_and_small_datums_travel_together() {
    let [a, b] = nodes().await;
    let mut producer = a.streams().produce::<Bytes>();
    let mut consumer = b.streams().consume::<Bytes>();
    let sizes = [0usize, 1, 63, 64, 1_400, 65_536, 2, 1_000_000, 5, 4_095, 4_096, 4_097, 3_000_000];
    let sending = async {
        for (i, size) in sizes.into_iter().enumerate() {
            producer.feed(Bytes::from(vec![i as u8; size])).await.unwrap();
        }
        producer.flush().await.unwrap();
    };
    let receiving = async {
        for (i, size) in sizes.into_iter().enumerate() {
            assert_eq!(consumer.next().await, Some(Bytes::from(vec![i as u8; size])), "{size}");
        }
    };
    within(secs(30), "datums of all sizes", async { tokio::join!(sending, receiving) }).await;
}

#[tokio::test]
async fn statistics_of_both_ends_agree_when_a_datum_is_received() {
    let [a, b] = nodes().await;
    let producer = a.streams().produce::<String>();
    let mut consumer = b.streams().consume::<String>();
    within(secs(5), "a send", producer.send("test".into())).await.unwrap();
    within(secs(5), "its arrival", consumer.next()).await.unwrap();
    assert_eq!((consumer.stats().datums(), consumer.stats().bytes()), (1, 5));
    let there = producer.consumers().next().expect("one consumer");
    let here = consumer.producers().next().expect("one producer");
    for stats in [there.stats(), here.stats()] {
        assert_eq!((stats.datums(), stats.bytes()), (1, 5));
        assert!(stats.uptime().is_some());
    }
    assert_eq!(there.consumer_id(), &b.local().id());
    assert_eq!(here.producer_id(), &a.local().id());
}

#[mosaik::network_test(sim, seed = 11, seeds = 20)]
async fn a_partition_shorter_than_the_idle_time_loses_nothing(nodes: [Network; 2]) {
    let producer = nodes[0].streams().produce::<u64>();
    let mut consumer = nodes[1].streams().consume::<u64>();
    producer.when().subscribed().await;
    let sending = async {
        for number in 0..200 {
            producer.send(number).await.unwrap();
            sleep(Duration::from_millis(20)).await;
        }
    };
    let faults = async {
        sleep(Duration::from_millis(500)).await;
        nodes.partition(&[&[0], &[1]]);
        sleep(Duration::from_secs(3)).await;
        nodes.heal();
    };
    let receiving = async {
        for number in 0..200 {
            assert_eq!(consumer.next().await, Some(number));
        }
    };
    tokio::join!(sending, faults, receiving);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_one_by_one_and_is_read_late_is_not_lost() {
    // They fit into the window of one stream.
    const COUNT: u64 = 2_500;
    let [a, b] = nodes().await;
    let producer = a.streams().producer::<Bytes>();
    let producer = producer.with_buffer_size(100).build().unwrap();
    let mut consumer = b.streams().consume::<Bytes>();
    producer.when().online().await;
    let datum = |number: u64| Bytes::from([&number.to_be_bytes()[..], &[7; 300]].concat());
    let producing = async {
        for number in 0..COUNT {
            producer.send(datum(number)).await.unwrap();
            // Long enough that each of them travels alone.
            sleep(Duration::from_micros(100)).await;
        }
    };
    within(secs(60), "datums that nobody reads", producing).await;
    for number in 0..COUNT {
        let received = within(secs(10), "the next datum", consumer.recv()).await;
        assert!(received == Some(datum(number)), "datum {number}");
    }
}
