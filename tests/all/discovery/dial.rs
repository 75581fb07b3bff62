//! Joining a network through nodes at given places.

use mosaik::{discovery::NodeTicket, iroh::EndpointAddr};
use mosaik_tests::{eventually, lone, secs, strangers, unique_name, within};

use super::{beside, key, knows, meet, private_dir, until_all_know_all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_can_be_dialled_by_its_address() {
    let name = unique_name();
    let (a, b) = (lone(&name).build().await.unwrap(), lone(&name).build().await.unwrap());
    within(secs(5), "the dial", a.discovery().dial(b.local().addr())).await;
    assert!(knows(&a, &b) && knows(&b, &a));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_can_be_dialled_by_its_ticket_as_text() {
    let name = unique_name();
    let (a, b) = (lone(&name).build().await.unwrap(), lone(&name).build().await.unwrap());
    let ticket: NodeTicket = b.local().ticket().to_string().parse().unwrap();
    within(secs(5), "the dial", a.discovery().dial(ticket)).await;
    assert!(knows(&a, &b) && knows(&b, &a));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_known_can_be_dialled_by_its_id() {
    let name = unique_name();
    let (a, b) = (lone(&name).build().await.unwrap(), lone(&name).build().await.unwrap());
    let c = lone(&name).build().await.unwrap();
    assert!(a.discovery().feed(b.discovery().me()));
    within(secs(5), "the dial", a.discovery().dial(b.local().id())).await;
    assert!(knows(&b, &a));
    assert!(c.discovery().insert(a.discovery().me()));
    within(secs(5), "the dial", c.discovery().dial(a.local().id())).await;
    assert!(knows(&a, &c) && knows(&c, &a) && knows(&c, &b));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_this_machine_can_be_dialled_by_its_id_as_soon_as_it_is_built() {
    let (name, dir) = (unique_name(), private_dir());
    for _ in 0..5 {
        let a = beside(&name, dir.path()).build().await.unwrap();
        let b = beside(&name, dir.path()).build().await.unwrap();
        let sync = a.discovery().sync_with(b.local().id());
        within(secs(5), "a sync by id", sync).await.unwrap();
        let sync = b.discovery().sync_with(a.local().id());
        within(secs(5), "a sync by id", sync).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_addresses_those_that_answer_are_joined() {
    let name = unique_name();
    let nodes = strangers(&name, 4).await;
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let dead = EndpointAddr::new(key().public()).with_ip_addr(silent.local_addr().unwrap());
    let stranger = lone(&unique_name()).build().await.unwrap();
    let mut to: Vec<_> = nodes[1..].iter().map(|node| node.local().addr()).collect();
    // Nobody, one of another network, one without an address, and the node itself.
    to.extend([dead, stranger.local().addr(), key().public().into(), nodes[0].local().addr()]);
    let dialling = nodes[0].discovery().dial(to);
    within(secs(10), "the dial", dialling).await;
    assert!(nodes[1..].iter().all(|node| knows(&nodes[0], node) && knows(node, &nodes[0])));
    assert_eq!(nodes[0].discovery().catalog().peers_count(), 3);
    assert_eq!(stranger.discovery().catalog().peers_count(), 0);
    until_all_know_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_moved_is_reached_at_its_new_place() {
    let (name, key) = (unique_name(), key());
    let a = lone(&name).build().await.unwrap();
    let b = lone(&name).with_secret_key(key.clone()).build().await.unwrap();
    meet(&a, &b).await;
    let old = b.local().addr();
    within(secs(5), "the shutdown", b.shutdown()).await;
    let b = lone(&name).with_secret_key(key).build().await.unwrap();
    assert_ne!(b.local().addr(), old);
    // The old address is still what the dialler has in hand.
    a.discovery().feed(b.discovery().me());
    within(secs(5), "a sync", a.discovery().sync_with(old)).await.unwrap();
    eventually(secs(5), "both", || knows(&a, &b) && knows(&b, &a)).await;
}
