//! Nodes that say goodbye.

use std::{thread, time::Duration};

use mosaik::{Network, PeerId, discovery::Event};
use mosaik_tests::{eventually, lone, nodes, secs, unique_name, within};
use tokio::sync::broadcast::Receiver;

use super::{alone, beside, meet, next, private_dir};

async fn departs(events: &mut Receiver<Event>, id: PeerId) {
    let departed = async { while events.recv().await != Ok(Event::PeerDeparted(id)) {} };
    within(secs(5), "word of the departure", departed).await;
}

fn is_gone(nodes: &[Network], id: PeerId) -> bool {
    nodes.iter().all(|node| node.discovery().catalog().get(&id).is_none())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_hear_that_a_node_was_dropped() {
    let [leaving, rest @ ..] = nodes::<6>().await;
    let mut events: Vec<_> = rest.iter().map(|node| node.discovery().events()).collect();
    let id = leaving.local().id();
    drop(leaving);
    let took = eventually(secs(15), "the departure", || is_gone(&rest, id)).await;
    println!("5 others knew of a departure after {took:?}");
    for events in &mut events {
        departs(events, id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_had_no_contact_hear_of_a_departure_too() {
    let name = unique_name();
    let first = lone(&name).build().await.unwrap();
    let entrance = first.local().addr();
    let mut rest = vec![first];
    for _ in 0..9 {
        let discovery = alone().with_bootstrap(entrance.clone());
        rest.push(lone(&name).with_discovery(discovery).build().await.unwrap());
    }
    super::until_all_know_all(&rest).await;
    for _ in 0..3 {
        let leaving = rest.pop().unwrap();
        let id = leaving.local().id();
        within(secs(5), "the shutdown", leaving.shutdown()).await;
        let took = eventually(secs(15), "the departure", || is_gone(&rest, id)).await;
        println!("{} others knew of a departure after {took:?}", rest.len());
    }
    let counts: Vec<_> = rest.iter().map(|n| n.discovery().catalog().peers_count()).collect();
    assert!(counts.iter().all(|count| *count == 6), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_right_after_it_was_found_is_gone_at_once() {
    let (name, dir) = (unique_name(), private_dir());
    let a = beside(&name, dir.path()).build().await.unwrap();
    let mut events = a.discovery().events();
    for round in 0_u64..10 {
        let b = beside(&name, dir.path()).build().await.unwrap();
        let id = b.local().id();
        assert!(
            matches!(next(&mut events).await, Event::PeerDiscovered(entry) if *entry.id() == id)
        );
        // From "before its own side of the hello is over" to "it may have a neighbour".
        tokio::time::sleep(Duration::from_micros(500 * round)).await;
        drop(b);
        assert_eq!(next(&mut events).await, Event::PeerDeparted(id));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_right_after_a_sync_is_gone_everywhere() {
    let rest = nodes::<4>().await;
    let name = *rest[0].network_id();
    for round in 0..5 {
        let b = mosaik::Network::builder(name)
            .offline()
            .bind("127.0.0.1:0".parse().unwrap())
            .with_discovery(alone())
            .build()
            .await
            .unwrap();
        let id = b.local().id();
        meet(&b, &rest[round % 4]).await;
        drop(b);
        // Those who have not heard of it yet may still hear of it, and then of its end.
        let told = &rest[round % 4];
        eventually(secs(5), "the departure", || told.discovery().catalog().get(&id).is_none())
            .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        eventually(secs(15), "the departure elsewhere", || is_gone(&rest, id)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_departed_node_is_not_brought_back_by_those_who_still_know_it() {
    let name = unique_name();
    let [a, b, c] = [
        lone(&name).build().await.unwrap(),
        lone(&name).build().await.unwrap(),
        lone(&name).build().await.unwrap(),
    ];
    meet(&a, &b).await;
    let id = b.local().id();
    // It knows of the node by hand, and is in contact with nobody.
    c.discovery().feed(b.discovery().me());
    within(secs(5), "the shutdown", b.shutdown()).await;
    eventually(secs(5), "the departure", || is_gone(std::slice::from_ref(&a), id)).await;
    meet(&c, &a).await;
    assert!(is_gone(&[a, c], id), "the one who knows better is believed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_can_be_dropped_outside_of_any_runtime() {
    let [a, b] = nodes::<2>().await;
    let mut events = a.discovery().events();
    let id = b.local().id();
    thread::spawn(move || drop(b)).join().expect("no panic");
    departs(&mut events, id).await;
}
