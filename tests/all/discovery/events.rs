//! What is told of peers: each thing once, and in order.

use std::time::Duration;

use mosaik::{Network, discovery::Event};
use mosaik_tests::{discover_all, eventually, lone, secs, strangers, unique_name};
use tokio::{
    sync::broadcast::error::{RecvError, TryRecvError},
    time::sleep,
};

use super::{alone, key, knows, meet, next};

/// Long enough for several announcements of a node that announces often.
const A_WHILE: Duration = Duration::from_millis(600);

fn entry_of(node: &Network) -> mosaik::discovery::PeerEntry {
    node.discovery().me().into_unsigned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_discovered_updated_and_departed_in_this_order() {
    let name = unique_name();
    let often = alone().with_announce_interval(Duration::from_millis(100));
    let a = lone(&name).with_discovery(often.clone()).build().await.unwrap();
    let mut events = a.discovery().events();
    let b = lone(&name).with_discovery(often.with_tags("first")).build().await.unwrap();
    let id = b.local().id();
    meet(&b, &a).await;
    assert_eq!(next(&mut events).await, Event::PeerDiscovered(entry_of(&b)));
    for _ in 0..3 {
        tokio::join!(meet(&b, &a), meet(&a, &b));
    }
    sleep(A_WHILE).await;
    assert_eq!(events.try_recv(), Err(TryRecvError::Empty), "beats and syncs are no events");
    b.discovery().add_tags("second");
    assert_eq!(next(&mut events).await, Event::PeerUpdated(entry_of(&b)));
    b.discovery().remove_tags("first");
    assert_eq!(next(&mut events).await, Event::PeerUpdated(entry_of(&b)));
    sleep(A_WHILE).await;
    drop(b);
    assert_eq!(next(&mut events).await, Event::PeerDeparted(id));
    sleep(A_WHILE).await;
    assert_eq!(events.try_recv(), Err(TryRecvError::Empty), "nothing comes after the departure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_peer_is_discovered_once_however_many_tell_of_it() {
    let nodes = strangers(&unique_name(), 6).await;
    let mut all_events: Vec<_> = nodes.iter().map(|node| node.discovery().events()).collect();
    discover_all(&nodes).await;
    sleep(A_WHILE).await;
    for (node, events) in nodes.iter().zip(&mut all_events) {
        let mut expected: Vec<_> =
            nodes.iter().filter(|other| other.local().id() != node.local().id()).collect();
        while !expected.is_empty() {
            let Event::PeerDiscovered(entry) = next(events).await else { panic!("not first") };
            let at = expected.iter().position(|other| other.local().id() == *entry.id());
            let discovered = expected.remove(at.expect("each is discovered once"));
            assert_eq!(entry, entry_of(discovered));
        }
        assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_is_discovered_again() {
    let (name, key) = (unique_name(), key());
    let a = lone(&name).build().await.unwrap();
    let mut events = a.discovery().events();
    let id = key.public();
    let mut started = None;
    for _ in 0..3 {
        let b = lone(&name).with_secret_key(key.clone()).build().await.unwrap();
        meet(&b, &a).await;
        assert_eq!(next(&mut events).await, Event::PeerDiscovered(entry_of(&b)));
        assert!(
            started.replace(b.discovery().me().started_at())
                < Some(b.discovery().me().started_at())
        );
        b.shutdown().await;
        assert_eq!(next(&mut events).await, Event::PeerDeparted(id));
        assert_eq!(a.discovery().catalog().peers_count(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_falls_behind_is_told_so_and_finds_the_rest_in_the_catalog() {
    let name = unique_name();
    let short = alone().with_events_backlog(2);
    let a = lone(&name).with_discovery(short).build().await.unwrap();
    let mut events = a.discovery().events();
    let mut others = Vec::new();
    for _ in 0..6 {
        let other = lone(&name).build().await.unwrap();
        meet(&other, &a).await;
        others.push(other);
    }
    eventually(secs(5), "all", || others.iter().all(|other| knows(&a, other))).await;
    assert!(matches!(events.recv().await, Err(RecvError::Lagged(_))));
    assert!(matches!(next(&mut events).await, Event::PeerDiscovered(_)));
}
