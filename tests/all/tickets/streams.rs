//! Producers and consumers that require tickets, on the simulated network.

use mosaik::{
    Network,
    discovery::Error,
    futures::{FutureExt, StreamExt},
    streams::{Consumer, Producer, State, SubscribeError},
    tickets::Expiration,
};
use mosaik_tests::secs;
use tokio::time::Instant;

use super::{DOOR, For, SAFE, in_secs, large_ticket, pass, ticket, ticket_for, until};

fn guarded(node: &Network) -> Producer<u64> {
    node.streams().producer::<u64>().require_ticket(For(DOOR)).build().unwrap()
}

fn is_refused(consumer: &Consumer<u64>) -> bool {
    consumer.refusals().any(|(_, error)| error == SubscribeError::NotAllowed)
}

#[mosaik::network_test(sim, seeds = 3)]
async fn who_shows_no_valid_ticket_is_not_served(nodes: [Network; 5]) {
    let producer = guarded(&nodes[0]);
    let foreign = ticket(&nodes[0], DOOR, Expiration::Never);
    nodes[2].discovery().add_ticket(ticket(&nodes[2], SAFE, Expiration::Never)).unwrap();
    nodes[3].discovery().add_ticket(ticket(&nodes[3], DOOR, in_secs(-1))).unwrap();
    nodes[4].discovery().add_ticket(foreign).unwrap();
    let consumers = [1, 2, 3, 4].map(|i: usize| nodes[i].streams().consume::<u64>());
    for consumer in &consumers {
        until("a refusal", || is_refused(consumer)).await;
        assert_eq!(consumer.producers().count(), 0);
    }
    assert_eq!(producer.consumers().count(), 0);
    // As soon as there is a valid one, it is let in.
    nodes[1].discovery().add_ticket(ticket(&nodes[1], DOOR, Expiration::Never)).unwrap();
    let took = until("the subscription", || producer.consumers().count() == 1).await;
    assert!(took < secs(1), "{took:?}");
    pass(secs(60)).await;
    assert_eq!(producer.consumers().count(), 1);
}

#[mosaik::network_test(sim, seeds = 3)]
async fn access_ends_when_the_ticket_expires_and_comes_back_with_another(nodes: [Network; 2]) {
    let [a, b] = nodes;
    let producer = guarded(&a);
    let begun = Instant::now();
    b.discovery().add_ticket(ticket(&b, DOOR, in_secs(300))).unwrap();
    let mut consumer = b.streams().consume::<u64>();
    producer.send(1).await.unwrap();
    assert_eq!(consumer.next().await, Some(1));
    until_after(begun, 299, &producer).await;
    producer.when().unsubscribed().await;
    let ended = begun.elapsed();
    assert!((secs(300)..secs(301)).contains(&ended), "{ended:?}");
    until("the consumer's end", || consumer.producers().count() == 0).await;
    pass(secs(60)).await;
    assert_eq!(producer.consumers().count(), 0);
    b.discovery().replace_ticket(ticket(&b, DOOR, in_secs(60))).unwrap();
    producer.send(2).await.unwrap();
    assert_eq!(consumer.next().await, Some(2));
}

/// Passes the time until so many seconds after `begun`, with the subscription up.
async fn until_after(begun: Instant, seconds: u64, producer: &Producer<u64>) {
    tokio::time::sleep_until(begun + secs(seconds)).await;
    assert_eq!(producer.consumers().count(), 1);
}

#[mosaik::network_test(sim, seeds = 10)]
async fn a_refresh_before_expiry_interrupts_nothing(nodes: [Network; 3]) {
    let [a, b, c] = nodes;
    let producer = guarded(&a);
    let by_replacing = b.streams().consume::<u64>();
    let by_adding = c.streams().consume::<u64>();
    b.discovery().add_ticket(ticket(&b, DOOR, in_secs(20))).unwrap();
    c.discovery().add_ticket(ticket(&c, DOOR, in_secs(20))).unwrap();
    producer.when().subscribed().minimum_of(2).await;
    let mut states: Vec<_> = producer.consumers().map(|it| it.state_watcher().clone()).collect();
    for state in &mut states {
        assert_eq!(*state.borrow_and_update(), State::Connected);
    }
    let mut consumers = [by_replacing, by_adding];
    for round in 0..10 {
        // Large ones, which do not travel with the entry.
        b.discovery().replace_ticket(large_ticket(&b, DOOR, in_secs(20))).unwrap();
        let old: Vec<_> = c.discovery().me().tickets().keys().copied().collect();
        c.discovery().add_ticket(ticket(&c, DOOR, in_secs(20 + round))).unwrap();
        for step in 0..15 {
            let datum = u64::try_from(round).unwrap() * 15 + step;
            producer.send(datum).await.unwrap();
            for consumer in &mut consumers {
                assert_eq!(consumer.next().await, Some(datum));
            }
            pass(secs(1)).await;
        }
        old.into_iter().for_each(|id| c.discovery().remove_ticket(id));
    }
    assert_eq!(states.len(), 2);
    for mut state in states {
        assert_eq!(*state.borrow(), State::Connected);
        assert!(state.changed().now_or_never().is_none(), "it was the same subscription all along");
    }
}

#[mosaik::network_test(sim, seeds = 20)]
async fn removal_ends_access_within_a_second(nodes: [Network; 4]) {
    let producer = guarded(&nodes[0]);
    let consumers: Vec<_> = nodes[1..].iter().map(|it| it.streams().consume::<u64>()).collect();
    for node in &nodes[1..] {
        node.discovery().add_ticket(ticket(node, DOOR, Expiration::Never)).unwrap();
    }
    producer.when().subscribed().minimum_of(3).await;
    nodes[1].discovery().remove_tickets_of(DOOR);
    let took = until("the end", || producer.consumers().count() == 2).await;
    assert!(took < secs(1), "{took:?}");
    let id = nodes[2].discovery().me().tickets().keys().next().copied().unwrap();
    nodes[2].discovery().remove_ticket(id);
    let took = until("the end", || producer.consumers().count() == 1).await;
    assert!(took < secs(1), "{took:?}");
    until("the reason", || consumers[..2].iter().all(is_refused)).await;
}

#[mosaik::network_test(sim, seeds = 3)]
async fn all_of_several_validators_must_be_passed_and_the_earliest_expiry_counts(
    nodes: [Network; 2],
) {
    let [a, b] = nodes;
    let builder = a.streams().producer::<u64>();
    let producer = builder.require_ticket(For(DOOR)).require_ticket(For(SAFE)).build().unwrap();
    let consumer = b.streams().consume::<u64>();
    b.discovery().add_ticket(ticket(&b, DOOR, Expiration::Never)).unwrap();
    until("a refusal", || is_refused(&consumer)).await;
    pass(secs(40)).await;
    assert_eq!((producer.consumers().count(), consumer.producers().count()), (0, 0));
    let begun = Instant::now();
    b.discovery().add_ticket(ticket(&b, SAFE, in_secs(10))).unwrap();
    producer.when().subscribed().await;
    producer.when().unsubscribed().await;
    let ended = begun.elapsed();
    assert!((secs(10)..secs(11)).contains(&ended), "{ended:?}");
}

#[mosaik::network_test(sim, seeds = 3)]
async fn a_consumer_follows_only_producers_with_a_valid_ticket(nodes: [Network; 3]) {
    let [a, b, c] = nodes;
    let (trusted, other) = (b.streams().produce::<u64>(), c.streams().produce::<u64>());
    let builder = a.streams().consumer::<u64>();
    let mut consumer = builder.require_ticket(For(DOOR)).build();
    let begun = Instant::now();
    b.discovery().add_ticket(large_ticket(&b, DOOR, in_secs(100))).unwrap();
    trusted.send(7).await.unwrap();
    assert_eq!(consumer.next().await, Some(7));
    assert_eq!(other.consumers().count(), 0);
    b.discovery().replace_ticket(ticket(&b, DOOR, in_secs(200))).unwrap();
    until_after(begun, 199, &trusted).await;
    until("the end", || consumer.producers().count() == 0).await;
    let ended = begun.elapsed();
    assert!((secs(200)..secs(201)).contains(&ended), "{ended:?}");
    until("the producer's view of it", || trusted.consumers().count() == 0).await;
    b.discovery().add_ticket(ticket(&b, DOOR, Expiration::Never)).unwrap();
    trusted.send(8).await.unwrap();
    assert_eq!(consumer.next().await, Some(8));
    b.discovery().remove_tickets_of(DOOR);
    let took = until("the end", || consumer.producers().count() == 0).await;
    assert!(took < secs(1), "{took:?}");
}

#[mosaik::network_test(sim)]
async fn tickets_that_are_too_large_are_refused_where_they_are_added(network: Network) {
    let discovery = network.discovery();
    let of_size = |bytes| ticket_for(network.local().id(), DOOR, Expiration::Never, bytes);
    discovery.add_ticket(of_size(40_000)).unwrap();
    let before = discovery.me();
    let error = discovery.add_ticket(of_size(30_000)).unwrap_err();
    assert!(matches!(error, Error::TicketsTooLarge { limit: 65_536, .. }), "{error:?}");
    assert_eq!(discovery.me(), before);
    assert_eq!(discovery.me().tickets().len(), 1);
    // In the place of the other there is room for it.
    discovery.replace_ticket(of_size(60_000)).unwrap();
    assert_eq!(discovery.me().tickets().len(), 1);
    assert_eq!(discovery.me().tickets_of(SAFE).count(), 0);
}
