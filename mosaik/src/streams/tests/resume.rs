//! Connections that break, producers that end, consumers that come late.

use tokio::{sync::broadcast, time::Instant};

use super::*;
use crate::{
    id::PeerId,
    streams::consumer::{Event, Gap},
};

/// Cuts the two nodes off from each other for so long.
async fn cut_off(n: &[Network], time: Duration) {
    let net = n[0].sim().unwrap().clone();
    net.partition(&[vec![n[0].local().id()], vec![n[1].local().id()]]);
    sleep(time).await;
    net.heal();
}

fn gaps(events: &mut broadcast::Receiver<Event>) -> Vec<(PeerId, Option<u64>)> {
    let mut gaps = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Gap(Gap { producer, missed }) = event {
            gaps.push((producer, missed));
        }
    }
    gaps
}

async fn receive(consumer: &mut Consumer<u64>, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        let received = timeout(Duration::from_secs(60), consumer.recv()).await;
        assert_eq!(received.expect("nothing comes any more"), Some(number));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_broken_connection_it_goes_on_with_no_gap_and_no_duplicate() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let mut consumer = n[1].streams().consume::<u64>();
    let mut events = consumer.events();
    soon(producer.when().online()).await;
    for round in 0..3 {
        let first = round * 1000;
        let sender = producer.clone();
        let sending = tokio::spawn(async move {
            for i in first..first + 1000 {
                sender.send(i).await.unwrap();
                sleep(Duration::from_millis(1)).await;
            }
        });
        receive(&mut consumer, first..first + 200).await;
        cut_off(&n, Duration::from_secs(8)).await;
        receive(&mut consumer, first + 200..first + 1000).await;
        sending.await.unwrap();
    }
    assert_eq!(consumer.missed(), 0);
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        told.push(match event {
            Event::Connected { .. } => '+',
            Event::Disconnected { error: SubscribeError::Lost(_), .. } => '-',
            event => panic!("{event:?}"),
        });
    }
    assert_eq!(told.iter().collect::<String>(), "+-+-+-+");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_read_when_the_connection_broke_comes_again_once() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().online()).await;
    for i in 0..500 {
        producer.send(i).await.unwrap();
    }
    receive(&mut consumer, 0..100).await;
    cut_off(&n, Duration::from_secs(7)).await;
    timeout(Duration::from_secs(20), producer.when().online()).await.unwrap();
    producer.send(500).await.unwrap();
    receive(&mut consumer, 100..=500).await;
    assert_eq!(consumer.missed(), 0);
}

#[tokio::test(start_paused = true)]
async fn after_the_resume_window_the_gap_is_told_and_counted() {
    let n = nodes(2).await;
    let builder = n[0].streams().producer::<u64>().online_when(|c| c.minimum_of(0));
    let producer = builder.build().unwrap();
    let mut consumer = n[1].streams().consume::<u64>();
    let mut events = consumer.events();
    soon(producer.when().subscribed()).await;
    producer.send(0).await.unwrap();
    receive(&mut consumer, [0]).await;
    let net = n[0].sim().unwrap().clone();
    net.partition(&[vec![n[0].local().id()], vec![n[1].local().id()]]);
    soon(producer.when().unsubscribed()).await;
    for i in 1..=5 {
        producer.send(i).await.unwrap();
    }
    sleep(Duration::from_secs(11)).await;
    net.heal();
    timeout(Duration::from_secs(40), producer.when().subscribed()).await.unwrap();
    producer.send(6).await.unwrap();
    receive(&mut consumer, [6]).await;
    assert_eq!(gaps(&mut events), [(n[0].local().id(), Some(5))]);
    assert_eq!(consumer.missed(), 5);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_held_does_not_count_and_its_full_window_holds_the_producer() {
    let n = nodes(3).await;
    let producer = n[0].streams().producer::<u64>().with_buffer_size(8).build().unwrap();
    let mut held = n[1].streams().consume::<u64>();
    let mut other = n[2].streams().consume::<u64>();
    soon(producer.when().subscribed().minimum_of(2)).await;
    let net = n[0].sim().unwrap().clone();
    net.partition(&[vec![n[0].local().id()], vec![n[1].local().id()]]);
    soon(producer.when().subscribed().minimum_of(2).unmet()).await;
    assert_eq!(producer.consumers().count(), 1);
    let started = Instant::now();
    let sender = producer.clone();
    let sending = tokio::spawn(async move {
        for i in 0..20 {
            sender.send(i).await.unwrap();
        }
    });
    receive(&mut other, 0..8).await;
    sleep(Duration::from_secs(3)).await;
    assert!(other.try_recv().is_err() && !sending.is_finished());
    let held_up = producer.send_timeout(99, Duration::from_secs(1)).await;
    assert!(matches!(held_up, Err(SendError::Full(99))));
    net.heal();
    receive(&mut held, 0..20).await;
    receive(&mut other, 8..20).await;
    soon(sending).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!((held.missed(), other.missed()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn who_unsubscribed_or_left_is_not_waited_for() {
    let mut n = nodes(3).await;
    let builder = n[0].streams().producer::<u64>().with_buffer_size(4);
    let producer = builder.online_when(|c| c.minimum_of(0)).build().unwrap();
    let dropped = n[1].streams().consume::<u64>();
    let left = n[2].streams().consume::<u64>();
    soon(producer.when().subscribed().minimum_of(2)).await;
    drop(dropped);
    soon(n.pop().unwrap().shutdown()).await;
    soon(producer.when().unsubscribed()).await;
    for i in 0..20 {
        timeout(Duration::from_millis(1), producer.send(i)).await.unwrap().unwrap();
    }
    drop(left);
}

#[tokio::test(start_paused = true)]
async fn all_subscriptions_of_a_peer_come_back_together() {
    let n = nodes(2).await;
    let streams = 20u64;
    let name = |i: u64| StreamId::from(format!("stream {i}").as_str());
    let mut pairs = Vec::new();
    for i in 0..streams {
        let producer = n[0].streams().producer::<u64>().with_stream_id(name(i)).build().unwrap();
        let consumer = n[1].streams().consumer::<u64>().with_stream_id(name(i)).build();
        pairs.push((producer, consumer));
    }
    for (producer, _) in &pairs {
        soon(producer.when().online()).await;
        producer.send(0).await.unwrap();
    }
    for (_, consumer) in &mut pairs {
        receive(consumer, [0]).await;
    }
    cut_off(&n, Duration::from_secs(9)).await;
    timeout(Duration::from_secs(20), pairs[0].0.when().online()).await.unwrap();
    for (producer, consumer) in &mut pairs {
        timeout(Duration::from_secs(1), producer.when().online()).await.unwrap();
        producer.send(1).await.unwrap();
        receive(consumer, [1]).await;
        assert_eq!(consumer.missed(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_is_new_is_a_gap_unless_the_old_one_had_ended() {
    let n = nodes(2).await;
    let mut consumer = n[1].streams().consume::<u64>();
    let mut events = consumer.events();
    for i in 0..2 {
        let producer = n[0].streams().produce::<u64>();
        soon(producer.when().online()).await;
        producer.send(i).await.unwrap();
        receive(&mut consumer, [i]).await;
        if i == 1 {
            let id = n[0].local().id();
            n[0].sim().unwrap().partition(&[vec![id], vec![n[1].local().id()]]);
        }
        drop(producer);
        sleep(Duration::from_secs(7)).await;
    }
    n[0].sim().unwrap().heal();
    let producer = n[0].streams().produce::<u64>();
    timeout(Duration::from_secs(60), producer.when().online()).await.unwrap();
    producer.send(2).await.unwrap();
    receive(&mut consumer, [2]).await;
    assert_eq!(gaps(&mut events), [(n[0].local().id(), None)]);
    assert_eq!(consumer.missed(), 0, "how many is not known");
}

#[tokio::test(start_paused = true)]
async fn the_last_data_of_a_producer_wait_for_their_reader() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().online()).await;
    for i in 0..100 {
        producer.send(i).await.unwrap();
    }
    drop(producer);
    sleep(Duration::from_secs(300)).await;
    receive(&mut consumer, 0..100).await;
    let tasks = || n[0].running_tasks();
    let before = tasks();
    sleep(Duration::from_secs(5)).await;
    assert!(tasks() <= before && consumer.missed() == 0);
}

#[tokio::test(start_paused = true)]
async fn who_comes_late_first_gets_the_last_ones() {
    let n = nodes(3).await;
    let builder = n[0].streams().producer::<u64>().retain(3);
    let producer = builder.online_when(|c| c.minimum_of(0)).build().unwrap();
    for i in 0..10 {
        producer.send(i).await.unwrap();
    }
    let mut first = n[1].streams().consume::<u64>();
    receive(&mut first, 7..10).await;
    producer.send(10).await.unwrap();
    receive(&mut first, [10]).await;
    let mut second = n[2].streams().consume::<u64>();
    receive(&mut second, 8..11).await;
    cut_off(&n, Duration::from_secs(7)).await;
    producer.send(11).await.unwrap();
    receive(&mut first, [11]).await;
    receive(&mut second, [11]).await;
    assert_eq!((first.missed(), second.missed()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_gets_comes_out_at_the_sink() {
    let n = nodes(2).await;
    let (sink, mut undelivered) = tokio::sync::mpsc::unbounded_channel();
    let builder = n[0].streams().producer::<u64>().with_undelivered_sink(sink);
    let producer = builder.online_when(|c| c.minimum_of(0)).build().unwrap();
    producer.send(0).await.unwrap();
    assert_eq!(undelivered.try_recv(), Ok(0));
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().subscribed()).await;
    for i in 1..10 {
        producer.send(i).await.unwrap();
    }
    receive(&mut consumer, 1..6).await;
    sleep(Duration::from_millis(100)).await;
    drop(consumer);
    for i in 6..10 {
        assert_eq!(soon(undelivered.recv()).await, Some(i));
    }
    let mut consumer = n[1].streams().consume::<u64>();
    soon(producer.when().subscribed()).await;
    for i in 10..15 {
        producer.send(i).await.unwrap();
    }
    drop(producer);
    receive(&mut consumer, 10..15).await;
    assert_eq!(soon(undelivered.recv()).await, None, "all were taken");
}
