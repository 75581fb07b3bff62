//! Share groups, and many consumers.

use std::collections::BTreeMap;

use super::*;
use crate::streams::consumer::Delivery;

fn worker(node: &Network) -> Consumer<u64> {
    node.streams().consumer::<u64>().in_group("workers").build()
}

/// Receives until nothing more comes for a while.
async fn all(consumer: &mut Consumer<u64>) -> Vec<Delivery<u64>> {
    let mut all = Vec::new();
    while let Ok(Some(delivery)) =
        timeout(Duration::from_millis(500), consumer.recv_delivery()).await
    {
        all.push(delivery);
    }
    all
}

#[tokio::test(start_paused = true)]
async fn each_datum_goes_to_one_member_and_to_everybody_outside() {
    let n = nodes(4).await;
    let producer = n[0].streams().produce::<u64>();
    let mut members = [worker(&n[1]), worker(&n[2])];
    let mut outside = n[3].streams().consume::<u64>();
    soon(producer.when().subscribed().minimum_of(3)).await;
    for i in 0..1000 {
        producer.send(i).await.unwrap();
    }
    let mut seen = Vec::new();
    for member in &mut members {
        let part = all(member).await;
        assert!((400..=600).contains(&part.len()), "{}", part.len());
        assert!(part.iter().all(|delivery| !delivery.redelivered));
        assert!(part.windows(2).all(|pair| pair[0].datum < pair[1].datum), "in order");
        seen.extend(part.into_iter().map(|delivery| delivery.datum));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
    for i in 0..1000 {
        assert_eq!(soon(outside.recv()).await, Some(i));
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_busy_gets_less() {
    let n = nodes(3).await;
    let producer = n[0].streams().producer::<u64>().with_buffer_size(4).build().unwrap();
    let (mut quick, _busy) = (worker(&n[1]), worker(&n[2]));
    soon(producer.when().subscribed().minimum_of(2)).await;
    tokio::spawn(async move {
        for i in 0..200 {
            producer.send(i).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    let part = all(&mut quick).await;
    assert_eq!(part.len(), 200 - 4);
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_member_had_not_taken_goes_to_another_at_once() {
    let n = nodes(3).await;
    let producer = n[0].streams().produce::<u64>();
    let (mut stays, mut lost) = (worker(&n[1]), worker(&n[2]));
    soon(producer.when().subscribed().minimum_of(2)).await;
    for i in 0..100 {
        producer.send(i).await.unwrap();
    }
    let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
    for _ in 0..10 {
        *seen.entry(soon(lost.recv()).await.unwrap()).or_default() += 1;
    }
    sleep(Duration::from_millis(100)).await;
    let first = all(&mut stays).await;
    assert!(first.iter().all(|delivery| !delivery.redelivered));
    let net = n[0].sim().unwrap().clone();
    net.partition(&[vec![n[0].local().id()], vec![n[2].local().id()]]);
    soon(producer.when().subscribed().minimum_of(2).unmet()).await;
    let second = all(&mut stays).await;
    assert!(!second.is_empty() && second.iter().all(|delivery| delivery.redelivered));
    assert!(second.iter().all(|delivery| delivery.producer == n[0].local().id()));
    for delivery in first.into_iter().chain(second) {
        *seen.entry(delivery.datum).or_default() += 1;
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..100).map(|i| (i, 1)).collect::<Vec<_>>());
    // It comes back and gets its part of what is new, and nothing twice.
    net.heal();
    timeout(Duration::from_secs(40), producer.when().subscribed().minimum_of(2)).await.unwrap();
    for i in 100..120 {
        producer.send(i).await.unwrap();
    }
    let back: Vec<_> = all(&mut lost).await.into_iter().map(|delivery| delivery.datum).collect();
    assert_eq!(back.len(), 10);
    assert!(back.iter().all(|datum| *datum >= 100));
}

#[tokio::test(start_paused = true)]
async fn only_the_first_member_gets_what_is_retained_and_the_last_leaves_the_rest() {
    let n = nodes(3).await;
    let (sink, mut undelivered) = tokio::sync::mpsc::unbounded_channel();
    let builder = n[0].streams().producer::<u64>().retain(5).with_undelivered_sink(sink);
    let producer = builder.online_when(|c| c.minimum_of(0)).build().unwrap();
    for i in 0..10 {
        producer.send(i).await.unwrap();
    }
    for i in 0..5 {
        assert_eq!(undelivered.try_recv(), Ok(i));
    }
    let mut first = worker(&n[1]);
    soon(producer.when().subscribed()).await;
    let part: Vec<_> = all(&mut first).await.into_iter().map(|delivery| delivery.datum).collect();
    assert_eq!(part, [5, 6, 7, 8, 9]);
    let mut second = worker(&n[2]);
    soon(producer.when().subscribed().minimum_of(2)).await;
    assert_eq!(all(&mut second).await, []);
    drop(first);
    soon(producer.when().subscribed().minimum_of(2).unmet()).await;
    producer.send(10).await.unwrap();
    producer.send(11).await.unwrap();
    assert_eq!(soon(second.recv()).await, Some(10));
    sleep(Duration::from_millis(100)).await;
    drop(second);
    assert_eq!(soon(undelivered.recv()).await, Some(11));
}

#[tokio::test(start_paused = true)]
async fn a_group_waits_for_its_only_member() {
    let n = nodes(2).await;
    let builder = n[0].streams().producer::<u64>().online_when(|c| c.minimum_of(0));
    let producer = builder.build().unwrap();
    let mut member = worker(&n[1]);
    soon(producer.when().subscribed()).await;
    for i in 0..10 {
        producer.send(i).await.unwrap();
    }
    for i in 0..5 {
        assert_eq!(soon(member.recv()).await, Some(i));
    }
    sleep(Duration::from_millis(100)).await;
    let net = n[0].sim().unwrap().clone();
    net.partition(&[vec![n[0].local().id()], vec![n[1].local().id()]]);
    soon(producer.when().unsubscribed()).await;
    producer.send(10).await.unwrap();
    net.heal();
    let rest: Vec<_> = timeout(Duration::from_secs(20), async {
        let mut rest = Vec::new();
        while rest.len() < 6 {
            let delivery = member.recv_delivery().await.unwrap();
            rest.push((delivery.datum, delivery.redelivered));
        }
        rest
    })
    .await
    .unwrap();
    let expected: Vec<_> = (5..10).map(|i| (i, true)).chain([(10, false)]).collect();
    assert_eq!(rest, expected);
}

#[tokio::test(start_paused = true)]
async fn eight_and_sixty_four_consumers_get_everything() {
    for count in [8, 64] {
        let n = nodes(9).await;
        let producer = n[0].streams().produce::<u64>();
        let consumers: Vec<_> =
            (0..count).map(|i| n[1 + i % 8].streams().consume::<u64>()).collect();
        soon(producer.when().subscribed().minimum_of(count)).await;
        let readers: Vec<_> = consumers
            .into_iter()
            .map(|mut consumer| {
                tokio::spawn(async move {
                    for i in 0..3000 {
                        assert_eq!(consumer.recv().await, Some(i));
                    }
                    consumer.missed()
                })
            })
            .collect();
        for i in 0..3000 {
            producer.send(i).await.unwrap();
        }
        for reader in readers {
            assert_eq!(soon(reader).await.unwrap(), 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_the_producer_was_dropped_reaches_a_busy_group() {
    let n = nodes(2).await;
    let producer = n[0].streams().produce::<u64>();
    let mut member = worker(&n[1]);
    soon(producer.when().subscribed()).await;
    for i in 0..1000 {
        producer.send(i).await.unwrap();
    }
    drop(producer);
    sleep(Duration::from_secs(2)).await;
    for i in 0..1000 {
        assert_eq!(soon(member.recv()).await, Some(i));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_member_loses_after_the_producer_was_dropped_goes_to_another() {
    let n = nodes(3).await;
    let producer = n[0].streams().produce::<u64>();
    let (mut stays, lost) = (worker(&n[1]), worker(&n[2]));
    soon(producer.when().subscribed().minimum_of(2)).await;
    for i in 0..100 {
        producer.send(i).await.unwrap();
    }
    drop(producer);
    let first = all(&mut stays).await;
    assert_eq!(first.len(), 50);
    // Longer than a stall may last: what was sent may be read late.
    sleep(Duration::from_secs(100)).await;
    assert_eq!(all(&mut stays).await.len(), 0);
    drop(lost);
    let second = all(&mut stays).await;
    assert!(second.iter().all(|delivery| delivery.redelivered));
    let mut seen: Vec<_> = first.into_iter().chain(second).map(|it| it.datum).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn after_the_last_handle_members_of_a_group_stay_until_all_is_taken() {
    let n = nodes(3).await;
    let producer = n[0].streams().produce::<u64>();
    let (mut first, mut second) = (worker(&n[1]), worker(&n[2]));
    soon(producer.when().subscribed().minimum_of(2)).await;
    for i in 0..100 {
        producer.send(i).await.unwrap();
    }
    drop(producer);
    assert_eq!(all(&mut first).await.len(), 50);
    assert_eq!(first.producers().count(), 1, "there may be more for it");
    assert_eq!(all(&mut second).await.len(), 50);
    until(|| first.producers().count() + second.producers().count() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_member_never_takes_after_the_producer_was_dropped_goes_to_another_in_the_end() {
    let n = nodes(3).await;
    let producer = n[0].streams().produce::<u64>();
    let (mut takes, sleeps) = (worker(&n[1]), worker(&n[2]));
    soon(producer.when().subscribed().minimum_of(2)).await;
    for i in 0..100 {
        producer.send(i).await.unwrap();
    }
    drop(producer);
    let first = all(&mut takes).await.len();
    sleep(Duration::from_secs(500)).await;
    assert_eq!((first, all(&mut takes).await.len()), (50, 0));
    sleep(Duration::from_secs(200)).await;
    assert_eq!(all(&mut takes).await.len(), 50);
    until(|| takes.producers().count() == 0).await;
    drop(sleeps);
}
