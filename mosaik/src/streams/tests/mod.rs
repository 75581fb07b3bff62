//! Whole nodes with streams over the simulated network, in virtual time.

pub(in crate::streams) mod dated;
mod groups;
mod hostile;
mod lag;
mod lies;
mod resume;

use std::{future::Future, time::Duration};

use bytes::Bytes;
use futures::{FutureExt, SinkExt, StreamExt};
use iroh::SecretKey;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::mpsc::error::TryRecvError,
    time::{sleep, timeout},
};

use super::{
    producer::{BuilderError, SendError},
    *,
};
use crate::{
    clock::Clock,
    discovery,
    id::{StreamId, Tag},
    network::Network,
    transport::sim::{LinkQuality, SimConfig, SimNet},
};

/// Nodes that know each other, on a network of their own.
pub(in crate::streams) async fn nodes(count: u8) -> Vec<Network> {
    nodes_with(count, discovery::Config::builder()).await
}

async fn nodes_with(count: u8, config: discovery::ConfigBuilder) -> Vec<Network> {
    let net = SimNet::new(u64::from(count), SimConfig::default());
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let mut nodes = Vec::new();
    for seed in 1..=count {
        let key = SecretKey::from_bytes(&[seed; 32]);
        let config = config.clone().with_local(false);
        let builder = Network::builder("streams").with_secret_key(key).with_discovery(config);
        nodes.push(builder.simulated(&net, clock.clone()).build().await.unwrap());
    }
    for node in &nodes[1..] {
        soon(node.discovery().dial(nodes[0].local().addr())).await;
    }
    for node in &nodes {
        let mut catalog = node.discovery().catalog_watch();
        soon(catalog.wait_for(|known| known.peers_count() == usize::from(count) - 1))
            .await
            .unwrap();
    }
    nodes
}

/// What should not take long, does not.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(10), future).await.expect("it takes too long")
}

/// Waits until a condition holds.
pub(in crate::streams) async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    sensor: u32,
    celsius: f32,
}

/// Neither serde nor `Clone`, `Sync` or `Debug`.
struct Opaque(std::cell::Cell<u8>);

#[derive(Debug, thiserror::Error)]
#[error("{0} bytes are no opaque value")]
struct NotOpaque(usize);

impl Datum for Opaque {
    type EncodeError = NotOpaque;
    type DecodeError = NotOpaque;

    fn encode(&self) -> Result<Bytes, NotOpaque> {
        match self.0.get() {
            255 => Err(NotOpaque(0)),
            value => Ok(Bytes::copy_from_slice(&[value])),
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, NotOpaque> {
        match bytes {
            [value] => Ok(Self((*value).into())),
            _ => Err(NotOpaque(bytes.len())),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_arrives_in_order_and_is_counted() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<String>();
    let mut consumer = n[1].streams().consume::<String>();
    assert!(consumer.is_online() && !producer.is_online());
    soon(producer.when().subscribed()).await;
    assert!(producer.is_online());
    producer.send("test".into()).await.unwrap();
    for i in 0..500 {
        producer.send(i.to_string()).await.unwrap();
    }
    assert_eq!(soon(consumer.recv()).await.unwrap(), "test");
    let (ours, theirs) =
        (consumer.producers().next().unwrap(), producer.consumers().next().unwrap());
    assert_eq!((ours.stats().datums(), ours.stats().bytes()), (1, 5));
    assert_eq!(theirs.stats().datums(), 501);
    assert_eq!(*theirs.consumer_id(), n[1].local().id());
    assert_eq!(*ours.peer().id(), n[0].local().id());
    for i in 0..500 {
        assert_eq!(soon(consumer.next()).await.unwrap(), i.to_string());
    }
    assert_eq!(consumer.stats().datums(), 501);
    assert_eq!(ours.stats().bytes(), theirs.stats().bytes());
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test(start_paused = true)]
async fn every_consumer_gets_everything_from_every_producer() {
    let n = nodes(4).await;
    let producers = [n[0].streams().produce::<u64>(), n[1].streams().produce::<u64>()];
    let consumers = [n[2].streams().consume::<u64>(), n[3].streams().consume::<u64>()];
    for producer in &producers {
        soon(producer.when().subscribed().minimum_of(2)).await;
    }
    for i in 0..2000 {
        producers[(i % 2) as usize].send(i).await.unwrap();
    }
    for consumer in consumers {
        let received: Vec<u64> = soon(consumer.take(2000).collect()).await;
        for half in [0, 1] {
            let of_one: Vec<u64> = received.iter().copied().filter(|i| i % 2 == half).collect();
            assert_eq!(of_one, (0..1000).map(|i| 2 * i + half).collect::<Vec<_>>());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_does_not_consume_its_own_producer() {
    let n = nodes(1).await;
    let producer = n[0].streams().produce::<u64>();
    let mut consumer = n[0].streams().consume::<u64>();
    sleep(Duration::from_secs(5)).await;
    assert!(!producer.is_online() && consumer.try_recv() == Err(TryRecvError::Empty));
}

#[tokio::test(start_paused = true)]
async fn a_send_while_offline_waits_and_goes_out_when_a_consumer_comes() {
    let n = nodes(2).await;
    let mut producer = n[0].streams().produce::<u64>();
    assert!(matches!(producer.try_send(1), Err(SendError::Offline(1))));
    let other = producer.clone();
    let pending = tokio::spawn(async move { other.send(2).await });
    let mut sink = SinkExt::send(&mut producer, 3);
    assert!(timeout(Duration::from_secs(2), &mut sink).await.is_err());
    assert!(!pending.is_finished());
    let mut consumer = n[1].streams().consume::<u64>();
    soon(sink).await.unwrap();
    soon(pending).await.unwrap().unwrap();
    let mut received = [soon(consumer.recv()).await.unwrap(), soon(consumer.recv()).await.unwrap()];
    received.sort_unstable();
    assert_eq!(received, [2, 3]);
    drop(consumer);
    soon(producer.when().offline()).await;
    assert!(!producer.is_online() && producer.consumers().next().is_none());
    assert!(matches!(producer.try_send(4), Err(SendError::Offline(4))));
    assert_eq!(SendError::Offline(4).into_datum(), Some(4));
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_holds_the_producer_and_loses_nothing() {
    let n = nodes(2).await;
    let builder = n[0].streams().producer::<Vec<u8>>().with_buffer_size(16);
    let producer = builder.build().unwrap();
    let mut consumer = n[1].streams().consume::<Vec<u8>>();
    soon(producer.when().online()).await;
    // More than the window of the stream and of the ring together.
    let datum = |i: u32| [i.to_le_bytes().as_slice(), &[7; 20_000]].concat();
    let sender = producer.clone();
    let sending = tokio::spawn(async move {
        for i in 0..200 {
            sender.send(datum(i)).await.unwrap();
        }
    });
    sleep(Duration::from_secs(5)).await;
    assert!(!sending.is_finished(), "nobody has read anything yet");
    assert!(matches!(producer.try_send(vec![]), Err(SendError::Full(_))));
    for i in 0..200 {
        assert_eq!(soon(consumer.recv()).await.unwrap(), datum(i));
    }
    soon(sending).await.unwrap();
    producer.try_send(vec![]).unwrap();
    assert_eq!(soon(consumer.recv()).await.unwrap(), Vec::<u8>::new());
}

#[tokio::test(start_paused = true)]
async fn a_sink_gathers_flushes_and_closes() {
    let n = nodes(2).await;
    let mut producer = n[0].streams().produce::<u64>();
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().online()).await;
    for i in 0..10 {
        producer.feed(i).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Empty));
    producer.flush().await.unwrap();
    for i in 0..10 {
        assert_eq!(soon(consumer.recv()).await, Some(i));
    }
    let narrow = n[0].streams().producer::<u32>().with_buffer_size(1).build().unwrap();
    let mut narrow_end = n[1].streams().consume::<u32>();
    soon(narrow.when().online()).await;
    let mut feeding = narrow.clone();
    feeding.feed(1).await.unwrap();
    narrow.try_send(2).unwrap();
    assert_eq!([soon(narrow_end.recv()).await, soon(narrow_end.recv()).await], [Some(1), Some(2)]);
    let mut second = producer.clone();
    producer.feed(10).await.unwrap();
    soon(producer.close()).await.unwrap();
    assert_eq!(soon(consumer.recv()).await, Some(10));
    assert!(matches!(producer.send(11).await, Err(SendError::Closed(Some(11)))));
    assert!(matches!(producer.feed(11).await, Err(SendError::Closed(None))));
    second.feed(12).await.unwrap();
    drop((producer, second));
    assert_eq!(soon(consumer.recv()).await, Some(12), "dropping flushes");
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_took_just_before_it_went_offline_is_not_lost_with_its_handle() {
    let n = nodes(2).await;
    let (sink, mut undelivered) = tokio::sync::mpsc::unbounded_channel();
    let builder = n[0].streams().producer::<u64>().with_undelivered_sink(sink);
    let producer = builder.build().unwrap();
    for is_back in [false, true] {
        let consumer = n[1].streams().consume::<u64>();
        soon(producer.when().online()).await;
        let mut feeding = producer.clone();
        soon(std::future::poll_fn(|cx| feeding.poll_ready_unpin(cx))).await.unwrap();
        drop(consumer);
        soon(producer.when().offline()).await;
        feeding.start_send_unpin(7).unwrap();
        if is_back {
            let mut consumer = n[1].streams().consume::<u64>();
            soon(producer.when().online()).await;
            drop(feeding);
            assert_eq!(soon(consumer.recv()).await, Some(7));
            sleep(Duration::from_millis(100)).await;
        } else {
            drop(feeding);
            assert_eq!(undelivered.try_recv(), Ok(7));
        }
    }
    assert_eq!(undelivered.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_receive_takes_nothing() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().online()).await;
    let mut twin = consumer.clone();
    let waiting = tokio::spawn(async move { twin.recv().await });
    for _ in 0..100 {
        assert!(consumer.recv().now_or_never().is_none());
        assert!(timeout(Duration::from_millis(1), consumer.next()).await.is_err());
    }
    producer.send(1).await.unwrap();
    assert_eq!(soon(waiting).await.unwrap(), Some(1), "a clone that waits is woken");
    producer.send(2).await.unwrap();
    assert_eq!(soon(consumer.recv()).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn one_stream_has_one_producer_on_a_node() {
    let n = nodes(2).await;
    let streams = n[0].streams();
    let first = streams.producer::<u64>().with_buffer_size(7).build().unwrap();
    let Err(BuilderError::AlreadyExists(second)) = streams.producer::<u64>().build() else {
        panic!("there are two")
    };
    assert_eq!(second.config().buffer_size, 7);
    let other_name = streams.producer::<u64>().with_stream_id("other").build().unwrap();
    let id = *first.stream_id();
    let mismatch = streams.producer::<String>().with_stream_id(id).build();
    let Err(BuilderError::TypeMismatch { stream_id, existing, requested }) = mismatch else {
        panic!("two types in one stream")
    };
    assert_eq!((stream_id, existing, requested), (id, "u64", "alloc::string::String"));
    let catalog = || n[0].discovery().catalog().local().streams().clone();
    assert!(catalog().contains(&id) && catalog().contains(other_name.stream_id()));
    drop(first);
    assert!(catalog().contains(&id));
    drop(second);
    assert!(!catalog().contains(&id), "the last handle is gone");
    let anew = streams.producer::<String>().with_stream_id(id).build().unwrap();
    assert!(catalog().contains(anew.stream_id()));
}

#[tokio::test(start_paused = true)]
async fn a_producer_of_another_type_says_so_instead_of_panicking() {
    let n = nodes(1).await;
    let id = u64::derived_stream_id();
    let _first = n[0].streams().producer::<String>().with_stream_id(id).build().unwrap();
    let refused = n[0].streams().produce::<u64>();
    assert_eq!(*refused.stream_id(), id);
    assert!(!refused.is_online());
    assert!(matches!(refused.send(1).await, Err(SendError::Closed(Some(1)))));
    assert!(matches!(refused.try_send(1), Err(SendError::Closed(Some(1)))));
}

#[tokio::test(start_paused = true)]
async fn any_serde_type_streams_under_a_name_and_any_datum_without_serde() {
    let n = nodes(2).await;
    let named = n[0].streams().producer::<Reading>().with_max_consumers(3);
    let named = named.with_stream_id("readings").build().unwrap();
    assert_eq!(named.config().max_consumers, 3);
    let mut readings = n[1].streams().consumer::<Reading>().with_stream_id("readings").build();
    let opaque = n[0].streams().produce::<Opaque>();
    let mut opaques = n[1].streams().consume::<Opaque>();
    soon(named.when().online()).await;
    soon(opaque.when().online()).await;
    let reading = Reading { sensor: 1, celsius: 21.5 };
    named.send(reading.clone()).await.unwrap();
    assert_eq!(soon(readings.recv()).await, Some(reading));
    let failed = opaque.send(Opaque(255.into())).await;
    assert!(matches!(failed, Err(SendError::Encoding(Opaque(_), _))));
    opaque.send(Opaque(7.into())).await.unwrap();
    assert_eq!(soon(opaques.recv()).await.unwrap().0.get(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_datum_over_the_limit_is_refused_and_one_below_it_arrives() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<String>();
    let mut consumer = n[1].streams().consume::<String>();
    soon(producer.when().online()).await;
    let refused = producer.send("x".repeat(frames::MAX_DATUM_BYTES)).await;
    assert!(matches!(refused, Err(SendError::TooLarge { .. })));
    let large = "x".repeat(frames::MAX_DATUM_BYTES - 16);
    producer.send(large.clone()).await.unwrap();
    assert!(soon(consumer.recv()).await.unwrap() == large);
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_producer_was_dropped_arrives() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().online()).await;
    for i in 0..1000 {
        producer.send(i).await.unwrap();
    }
    drop(producer);
    sleep(Duration::from_secs(2)).await;
    for i in 0..1000 {
        assert_eq!(soon(consumer.recv()).await, Some(i));
    }
    assert_eq!(consumer.producers().count(), 0);
    let again = n[0].streams().produce::<u64>();
    soon(again.when().online()).await;
    again.send(1000).await.unwrap();
    assert_eq!(soon(consumer.recv()).await, Some(1000));
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_was_dropped_while_its_window_was_full_is_not_shown_as_refusing() {
    let n = nodes(2).await;
    let producer = n[0].streams().producer::<Vec<u8>>().with_buffer_size(16).build().unwrap();
    let mut consumer = n[1].streams().consume::<Vec<u8>>();
    soon(producer.when().online()).await;
    let mut sent = 0;
    while producer.send_timeout(vec![7; 100_000], Duration::from_secs(1)).await.is_ok() {
        sent += 1;
    }
    drop(producer);
    sleep(Duration::from_secs(2)).await;
    for _ in 0..sent {
        assert!(soon(consumer.recv()).await.is_some());
    }
    sleep(Duration::from_secs(2)).await;
    assert_eq!(consumer.refusals().collect::<Vec<_>>(), []);
    assert_eq!(consumer.producers().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_network_ends_both_ends() {
    let mut n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let mut consumer = n[1].streams().consume::<u64>();
    soon(consumer.when().subscribed()).await;
    soon(producer.when().online()).await;
    let second = n.pop().unwrap();
    soon(second.shutdown()).await;
    assert_eq!(soon(consumer.recv()).await, None);
    assert_eq!(consumer.try_recv(), Err(TryRecvError::Disconnected));
    assert!(!consumer.is_online());
    soon(producer.when().unsubscribed()).await;
    let first = n.pop().unwrap();
    soon(first.shutdown()).await;
    assert!(matches!(producer.send(1).await, Err(SendError::Closed(Some(1)))));
    assert!(!producer.is_online());
    soon(producer.when().offline()).await;
}

#[tokio::test(start_paused = true)]
async fn a_freed_place_is_taken_by_who_waits() {
    let n = nodes(3).await;
    let producer = n[0].streams().producer::<u64>().with_max_consumers(1).build().unwrap();
    let first = n[1].streams().consume::<u64>();
    soon(first.when().subscribed()).await;
    let second = n[2].streams().consume::<u64>();
    let producer_id = n[0].local().id();
    until(|| second.refusals().any(|refusal| refusal == (producer_id, SubscribeError::NoCapacity)))
        .await;
    assert_eq!(producer.consumers().count(), 1);
    drop(first);
    timeout(Duration::from_secs(2), second.when().subscribed()).await.unwrap();
    assert_eq!(second.refusals().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_producer_judges_its_consumers_whenever_their_entries_change() {
    let n = nodes(2).await;
    let paid = Tag::from("paid");
    let producer = n[0].streams().producer::<u64>();
    let producer = producer.require(move |peer| peer.tags().contains(&paid)).build().unwrap();
    let consumer = n[1].streams().consume::<u64>();
    let refusal = (n[0].local().id(), SubscribeError::NotAllowed);
    until(|| consumer.refusals().any(|found| found == refusal)).await;
    for _ in 0..3 {
        n[1].discovery().add_tags(paid);
        timeout(Duration::from_secs(3), producer.when().subscribed()).await.unwrap();
        assert!(producer.when().subscribed().with_tags(paid) == true);
        n[1].discovery().remove_tags(paid);
        timeout(Duration::from_secs(3), producer.when().unsubscribed()).await.unwrap();
        until(|| consumer.refusals().any(|found| found == refusal)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_producer_judges_by_the_round_trip_time_of_the_moment_and_not_because_it_changes() {
    let n = nodes(2).await;
    let producer = n[0].streams().producer::<u64>();
    let producer = producer.require(|peer| peer.rtt_below(Duration::from_millis(100)));
    let producer = producer.build().unwrap();
    let _consumer = n[1].streams().consume::<u64>();
    soon(producer.when().subscribed()).await;
    let far = LinkQuality::default().with_latency(Duration::from_millis(200));
    n[0].sim().unwrap().set_links(&far);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(producer.consumers().count(), 1);
    n[1].discovery().add_tags("changed");
    soon(producer.when().unsubscribed()).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_consumed_from_a_producer_while_it_is_too_far_away() {
    let config = discovery::Config::builder().with_rtt_probe_interval(Duration::from_secs(1));
    let n = nodes_with(2, config.with_max_rtt(Duration::from_millis(100))).await;
    let producer = n[0].streams().producer::<u64>().online_when(|c| c.minimum_of(0));
    let producer = producer.build().unwrap();
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().subscribed()).await;
    tokio::spawn(async move {
        for i in 0.. {
            producer.send(i).await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
    });
    let far = LinkQuality::default().with_latency(Duration::from_millis(200));
    for _ in 0..2 {
        assert!(soon(consumer.recv()).await.is_some());
        n[0].sim().unwrap().set_links(&far);
        until_reading(&mut consumer, |consumer| consumer.producers().count() == 0).await;
        while consumer.try_recv().is_ok() {}
        let more = timeout(Duration::from_secs(60), consumer.recv()).await;
        assert!(more.is_err(), "{more:?}");
        assert_eq!(consumer.refusals().count(), 0);
        n[0].sim().unwrap().set_links(&LinkQuality::default());
        let near = timeout(Duration::from_secs(60), consumer.recv()).await;
        assert!(near.unwrap().is_some());
    }
}

/// Receives until a condition holds.
async fn until_reading(consumer: &mut Consumer<u64>, holds: impl Fn(&Consumer<u64>) -> bool) {
    let reading = async {
        while !holds(consumer) {
            let _ = timeout(Duration::from_millis(100), consumer.recv()).await;
        }
    };
    timeout(Duration::from_secs(60), reading).await.expect("it takes too long");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_judges_by_the_round_trip_time_that_it_was_told() {
    let config = discovery::Config::builder().with_rtt_probe_interval(Duration::from_secs(1));
    let n = nodes_with(2, config).await;
    let _producer = n[0].streams().produce::<u64>();
    let consumer = n[1].streams().consumer::<u64>();
    let consumer = consumer.require(|peer| peer.rtt_below(Duration::from_millis(100))).build();
    soon(consumer.when().subscribed()).await;
    let far = LinkQuality::default().with_latency(Duration::from_millis(60));
    n[0].sim().unwrap().set_links(&far);
    // The change of the entry comes while the smoothed time is still short.
    n[0].discovery().add_tags("changed");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(consumer.producers().count(), 1);
    timeout(Duration::from_secs(60), consumer.when().unsubscribed()).await.unwrap();
    n[0].sim().unwrap().set_links(&LinkQuality::default());
    timeout(Duration::from_secs(60), consumer.when().subscribed()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_consumer_judges_producers_whenever_their_entries_change() {
    let n = nodes(3).await;
    let good = Tag::from("good");
    let producers = [n[0].streams().produce::<u64>(), n[1].streams().produce::<u64>()];
    let consumer = n[2].streams().consumer::<u64>();
    let consumer = consumer
        .require(move |peer| peer.tags().contains(&good))
        .online_when(|c| c.minimum_of(1))
        .build();
    sleep(Duration::from_secs(3)).await;
    assert!(!consumer.is_online() && consumer.producers().count() == 0);
    n[0].discovery().add_tags(good);
    timeout(Duration::from_secs(3), consumer.when().online()).await.unwrap();
    assert!(producers[0].is_online() && !producers[1].is_online());
    n[0].discovery().remove_tags(good);
    timeout(Duration::from_secs(3), consumer.when().offline()).await.unwrap();
    timeout(Duration::from_secs(3), producers[0].when().offline()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn types_that_differ_are_refused_with_both_fingerprints_and_the_field() {
    #[derive(Serialize, Deserialize)]
    struct Renamed {
        sensor: u32,
        kelvin: f32,
    }
    let n = nodes(2).await;
    let id = StreamId::from("readings");
    let producer = n[0].streams().producer::<Reading>().with_stream_id(id).build().unwrap();
    let consumer = n[1].streams().consumer::<Renamed>().with_stream_id(id).build();
    until(|| consumer.refusals().count() == 1).await;
    let (_, error) = consumer.refusals().next().unwrap();
    let SubscribeError::SchemaMismatch { producer: theirs, consumer: ours, difference } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(*theirs, crate::schema::schema_of::<Reading>().fingerprint());
    assert_eq!(*ours, crate::schema::schema_of::<Renamed>().fingerprint());
    assert!(difference.is_some());
    let text = error.to_string();
    assert!(text.ends_with("is `celsius` as field 1 at the producer and `kelvin` as field 1 here"));
    assert!(!producer.is_online());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_decoded_ends_that_channel_only() {
    let n = nodes(3).await;
    let id = StreamId::from("opaque");
    let good = n[0].streams().producer::<Opaque>().with_stream_id(id).build().unwrap();
    let bad = n[1].streams().producer::<String>().with_stream_id(id).build().unwrap();
    let mut consumer = n[2].streams().consumer::<Opaque>().with_stream_id(id).build();
    soon(consumer.when().subscribed().minimum_of(2)).await;
    bad.send("no".into()).await.unwrap();
    soon(bad.when().online()).await;
    let receiving = tokio::spawn(async move { (consumer.recv().await, consumer) });
    soon(bad.when().unsubscribed()).await;
    good.send(Opaque(3.into())).await.unwrap();
    let (received, consumer) = soon(receiving).await.unwrap();
    assert_eq!(received.unwrap().0.get(), 3);
    let refused: Vec<_> = consumer.refusals().collect();
    assert!(matches!(&refused[..], [(peer, SubscribeError::Undecodable(_))]
        if *peer == n[1].local().id()));
}

#[tokio::test(start_paused = true)]
async fn a_cut_connection_is_made_anew_and_both_ends_say_so() {
    let n = nodes(2).await;
    let net = n[0].sim().unwrap().clone();
    let producer = n[0].streams().produce::<u64>();
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().online()).await;
    producer.send(1).await.unwrap();
    assert_eq!(soon(consumer.recv()).await, Some(1));
    let channel = producer.consumers().next().unwrap();
    net.partition(&[vec![n[0].local().id()], vec![n[1].local().id()]]);
    soon(channel.disconnected()).await;
    soon(producer.when().offline()).await;
    assert_eq!(channel.state(), State::Terminated);
    soon(consumer.when().unsubscribed()).await;
    net.heal();
    timeout(Duration::from_secs(40), producer.when().online()).await.unwrap();
    producer.send(2).await.unwrap();
    assert_eq!(soon(consumer.recv()).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn subscriptions_leave_nothing_behind() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let tasks = || n[0].running_tasks() + n[1].running_tasks();
    let mut first = 0;
    for round in 0..50 {
        let mut consumer = n[1].streams().consume::<u64>();
        soon(producer.when().online()).await;
        producer.send(round).await.unwrap();
        assert_eq!(soon(consumer.recv()).await, Some(round));
        drop(consumer);
        soon(producer.when().offline()).await;
        sleep(Duration::from_millis(100)).await;
        if round == 0 {
            first = tasks();
        }
    }
    assert_eq!(tasks(), first);
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_needs_nobody_is_online_at_once() {
    let n = nodes(1).await;
    let producer =
        n[0].streams().producer::<u64>().online_when(|c| c.minimum_of(0)).build().unwrap();
    assert!(producer.is_online());
    producer.send(1).await.unwrap();
    producer.try_send(2).unwrap();
}

#[test]
fn handles_and_futures_go_where_they_are_needed() {
    fn handle<T: Clone + Send + Sync + Unpin + std::fmt::Debug + 'static>() {}
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    fn future<T: Send + Sync + 'static>(_: impl Fn(When) -> T) {}
    fn sent<T: Send>(_: impl Fn(&'static Producer<Opaque>) -> T) {}
    handle::<Producer<Opaque>>();
    handle::<Consumer<Opaque>>();
    handle::<Streams>();
    handle::<ChannelConditions>();
    error::<SendError<String>>();
    future(|when| when.online());
    future(|when| when.subscribed());
    sent(|producer| producer.send(Opaque(0.into())));
    let _ = StreamDef::<u64>::new().with_stream_id(StreamId::from("x"));
}

/// Many threads at once, so that a wake-up that is lost, or a datum, shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_senders_and_slow_readers_lose_nothing() {
    const SENDERS: u64 = 6;
    const EACH: u64 = 2_000;
    let n = nodes(3).await;
    for buffer in [1, 3, 64] {
        let builder = n[0].streams().producer::<(u64, u64)>().with_buffer_size(buffer);
        let producer = builder.build().unwrap();
        let consumers: Vec<_> =
            n[1..].iter().map(|node| node.streams().consume::<(u64, u64)>()).collect();
        timeout(LIMIT, producer.when().subscribed().minimum_of(2)).await.unwrap();
        let senders =
            (0..SENDERS).map(|sender| tokio::spawn(send_each(producer.clone(), sender, EACH)));
        let readers = consumers
            .into_iter()
            .map(|consumer| tokio::spawn(receive_each(consumer, SENDERS as usize, SENDERS * EACH)));
        for task in senders.chain(readers).collect::<Vec<_>>() {
            timeout(LIMIT, task).await.unwrap().unwrap();
        }
    }
}

const LIMIT: Duration = Duration::from_secs(60);

/// Sends in every way there is.
async fn send_each(mut producer: Producer<(u64, u64)>, sender: u64, count: u64) {
    for number in 0..count {
        let mut datum = (sender, number);
        match (sender + number) % 4 {
            0 => producer.feed(datum).await.unwrap(),
            1 => SinkExt::send(&mut producer, datum).await.unwrap(),
            2 => producer.send(datum).await.unwrap(),
            _ => {
                while let Err(error) = producer.try_send(datum) {
                    datum = error.into_datum().unwrap();
                    tokio::task::yield_now().await;
                }
            }
        }
    }
    producer.flush().await.unwrap();
}

/// Receives with pauses, and checks each sender's order.
async fn receive_each(mut consumer: Consumer<(u64, u64)>, senders: usize, count: u64) {
    let mut next = vec![0; senders];
    for received in 0..count {
        let (sender, number) = consumer.next().await.unwrap();
        let expected = &mut next[usize::try_from(sender).unwrap()];
        assert_eq!(number, *expected);
        *expected += 1;
        if received % 97 == 0 {
            tokio::task::yield_now().await;
        }
    }
}
