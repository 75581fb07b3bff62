//! Exchanges of catalogs between two nodes.

use std::time::Duration;

use mosaik::{Network, discovery::Error, iroh::EndpointAddr};
use mosaik_tests::{eventually, lone, nodes, secs, unique_name, within};
use tokio::sync::broadcast::error::TryRecvError;

use super::{key, knows, meet};

async fn pair() -> [Network; 2] {
    let name = unique_name();
    [lone(&name).build().await.unwrap(), lone(&name).build().await.unwrap()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_sync_both_hold_each_other() {
    for _ in 0..5 {
        let [a, b] = pair().await;
        meet(&a, &b).await;
        assert!(knows(&a, &b) && knows(&b, &a));
        let seen = b.discovery().catalog().get(&a.local().id()).cloned();
        assert_eq!(seen, Some(a.discovery().me().into_unsigned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_either_knew_comes_along() {
    let name = unique_name();
    let (a, b) = (lone(&name).build().await.unwrap(), lone(&name).build().await.unwrap());
    let (c, d) = (lone(&name).build().await.unwrap(), lone(&name).build().await.unwrap());
    meet(&a, &b).await;
    meet(&c, &d).await;
    meet(&b, &c).await;
    assert!(knows(&b, &d) && knows(&c, &a));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_pairs_can_sync_at_once() {
    let nodes = nodes::<6>().await;
    for node in &nodes {
        assert_eq!(node.discovery().catalog().signed_peers_count(), 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sides_can_begin_at_once() {
    let [a, b] = pair().await;
    for _ in 0..10 {
        tokio::join!(meet(&a, &b), meet(&b, &a));
    }
    assert!(knows(&a, &b) && knows(&b, &a));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_with_another_network_adds_nothing_and_is_no_error() {
    let (a, b) =
        (lone(&unique_name()).build().await.unwrap(), lone(&unique_name()).build().await.unwrap());
    let mut events = [a.discovery().events(), b.discovery().events()];
    let sync = a.discovery().sync_with(b.local().addr());
    within(secs(2), "a sync across networks", sync).await.unwrap();
    for (node, events) in [&a, &b].into_iter().zip(&mut events) {
        assert_eq!(node.discovery().catalog().peers_count(), 0);
        assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_nowhere_is_named_in_the_error() {
    let [a, _] = pair().await;
    let nobody = key().public();
    let unknown = within(secs(10), "a sync with nobody", a.discovery().sync_with(nobody)).await;
    assert!(matches!(&unknown, Err(Error::Unreachable { peer, .. }) if *peer == nobody));
    // Nothing listens there.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = EndpointAddr::new(nobody).with_ip_addr(silent.local_addr().unwrap());
    let silence = within(secs(10), "a sync with silence", a.discovery().sync_with(address)).await;
    assert!(matches!(&silence, Err(Error::Unreachable { peer, .. }) if *peer == nobody));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_goes_on_when_nobody_waits_for_it() {
    let [a, b] = pair().await;
    drop(a.discovery().sync_with(b.local().addr()));
    eventually(secs(5), "the sync", || knows(&a, &b) && knows(&b, &a)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_of_a_node_that_ended_is_cancelled() {
    let [a, b] = pair().await;
    let discovery = a.discovery().clone();
    within(secs(5), "the shutdown", a.shutdown()).await;
    let outcome = within(secs(2), "the sync", discovery.sync_with(b.local().addr())).await;
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
    // The handle still answers.
    assert_eq!(discovery.catalog().local_id(), *discovery.me().id());
    within(Duration::from_secs(2), "a dial", discovery.dial(b.local().addr())).await;
}
