//! `Sink` and `Stream` keep what their traits promise; nothing is lost by cancelling.

use std::time::Duration;

use mosaik::{
    Bytes,
    futures::{FutureExt, SinkExt, StreamExt},
    streams::producer::{BuilderError, SendError},
};
use mosaik_tests::{lone, nodes, secs, unique_name, within};
use tokio::time::timeout;

#[tokio::test]
async fn try_send_gives_the_datum_back_while_nobody_is_subscribed() {
    let network = lone(&unique_name()).build().await.unwrap();
    let producer = network.streams().produce::<String>();
    let refused = producer.try_send("back".into());
    assert!(matches!(refused, Err(SendError::Offline(text)) if text == "back"));
}

#[tokio::test]
async fn try_send_gives_the_datum_back_when_the_window_is_full() {
    let [a, b] = nodes().await;
    let producer = a.streams().producer::<Bytes>().with_buffer_size(16).build().unwrap();
    // Never read: the connection's windows fill up first, then the producer's.
    let _consumer = b.streams().consume::<Bytes>();
    let datum = Bytes::from(vec![7; 64 * 1024]);
    within(secs(5), "the subscription", producer.when().subscribed()).await;
    let filling = async {
        loop {
            match producer.try_send(datum.clone()) {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => return error,
            }
        }
    };
    let error = within(secs(30), "a full window", filling).await;
    assert!(matches!(error, SendError::Full(back) if back == datum));
}

#[tokio::test]
async fn a_send_that_waits_for_subscribers_goes_on_when_they_come() {
    let [a, b] = nodes().await;
    let producer = a.streams().produce::<u64>();
    let sending = tokio::spawn(async move { producer.send(1).await.map(|()| producer) });
    // It is pending: nobody is there.
    let mut sending = sending;
    assert!(timeout(Duration::from_millis(200), &mut sending).await.is_err());
    let mut consumer = b.streams().consume::<u64>();
    assert_eq!(within(secs(5), "the datum", consumer.next()).await, Some(1));
    within(secs(5), "the send", sending).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_next_or_recv_loses_nothing() {
    let [a, b] = nodes().await;
    let producer = a.streams().produce::<u64>();
    let mut consumer = b.streams().consume::<u64>();
    let count = 2_000;
    let sending = tokio::spawn(async move {
        for number in 0..count {
            producer.send(number).await.unwrap();
            if number % 16 == 0 {
                tokio::task::yield_now().await;
            }
        }
        producer
    });
    let receiving = async {
        let (mut expected, mut cancelled) = (0, 0u64);
        while expected < count {
            // Polled once, then dropped.
            let received = match expected % 2 {
                0 => consumer.next().now_or_never(),
                _ => consumer.recv().now_or_never(),
            };
            match received {
                Some(number) => {
                    assert_eq!(number, Some(expected));
                    expected += 1;
                }
                None => {
                    cancelled += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
        cancelled
    };
    let cancelled = within(secs(30), "2,000 datums", receiving).await;
    assert!(cancelled > 0, "some futures were dropped while they were pending");
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_send_is_sent_once_or_not_at_all() {
    let [a, b] = nodes().await;
    let producer = a.streams().producer::<u64>().with_buffer_size(8).build().unwrap();
    let mut consumer = b.streams().consume::<u64>();
    within(secs(5), "the subscription", producer.when().subscribed()).await;
    let sending = tokio::spawn(async move {
        let mut sent = Vec::new();
        for number in 0..5_000 {
            match producer.send(number).now_or_never() {
                Some(result) => {
                    result.unwrap();
                    sent.push(number);
                }
                None => tokio::task::yield_now().await,
            }
        }
        producer.send(u64::MAX).await.unwrap();
        (sent, producer)
    });
    let receiving = async {
        let mut received = Vec::new();
        while let Some(number) = consumer.next().await {
            if number == u64::MAX {
                break;
            }
            received.push(number);
        }
        received
    };
    let received = within(secs(30), "the last datum", receiving).await;
    let (sent, _producer) = sending.await.unwrap();
    // In order, each once, and those that were cancelled while they waited not at all.
    assert_eq!(received, sent);
    assert!(!sent.is_empty() && sent.len() < 5_000, "{} were sent", sent.len());
}

#[tokio::test]
async fn fed_datums_are_there_after_a_flush() {
    let [a, b] = nodes().await;
    let mut producer = a.streams().produce::<u64>();
    let mut consumer = b.streams().consume::<u64>();
    within(secs(5), "the subscription", producer.when().subscribed()).await;
    let whole = async {
        for number in 0..100 {
            producer.feed(number).await.unwrap();
        }
        producer.flush().await.unwrap();
        for number in 0..100 {
            assert_eq!(consumer.recv().await, Some(number));
        }
        assert!(consumer.try_recv().is_err());
    };
    within(secs(5), "100 fed datums", whole).await;
}

#[tokio::test]
async fn a_second_producer_of_a_stream_is_the_first() {
    let network = lone(&unique_name()).build().await.unwrap();
    let first = network.streams().producer::<u64>().build().unwrap();
    let second = network.streams().producer::<u64>().build();
    assert!(
        matches!(second, Err(BuilderError::AlreadyExists(ref p)) if p.stream_id() == first.stream_id())
    );
    let other_type =
        network.streams().producer::<String>().with_stream_id(*first.stream_id()).build();
    let error = other_type.expect_err("one stream has one type");
    assert!(matches!(error, BuilderError::TypeMismatch { .. }), "{error:?}");
    assert!(error.to_string().contains("u64") && error.to_string().contains("String"), "{error}");
}

#[tokio::test]
async fn a_stream_is_announced_as_long_as_a_handle_lives() {
    let network = lone(&unique_name()).build().await.unwrap();
    let first = network.streams().produce::<u64>();
    let (id, second) = (*first.stream_id(), first.clone());
    let announced = || network.discovery().me().streams().contains(&id);
    assert!(announced());
    drop(first);
    assert!(announced());
    drop(second);
    mosaik_tests::eventually(secs(5), "the end of the announcement", || !announced()).await;
}

#[tokio::test]
async fn a_flush_covers_what_was_fed_after_a_cancelled_one() {
    let [a, b] = nodes().await;
    let mut producer = a.streams().produce::<u64>();
    let mut consumer = b.streams().consume::<u64>();
    within(secs(5), "the subscription", producer.when().subscribed()).await;
    let whole = async {
        producer.feed(1).await.unwrap();
        let _ = producer.flush().now_or_never();
        producer.feed(2).await.unwrap();
        producer.flush().await.unwrap();
        assert_eq!((consumer.recv().await, consumer.recv().await), (Some(1), Some(2)));
    };
    within(secs(5), "both datums", whole).await;
}
