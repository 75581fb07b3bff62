//! Nodes that are named to begin with: late, gone, moved or never there.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use mosaik::{
    Network, PeerId, SecretKey,
    discovery::{Bootstrap, Config},
    iroh::EndpointAddr,
    network::TransportConfig,
};
use mosaik_tests::{eventually, lone, secs, unique_name, within};
use tokio::time::sleep;

use super::{alone, beside, key, knows, meet, private_dir, until_all_know_all};

/// A port on loopback that was free a moment ago.
fn free_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.local_addr().unwrap().port()
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// The node to begin with, at a given port.
async fn entrance(name: &str, key: &SecretKey, port: u16) -> Network {
    let builder = Network::builder(name).offline().bind(at(port)).with_discovery(alone());
    let builder = builder.with_secret_key(key.clone());
    // QUIC lingers at a port while it drains the connections of a node that was shut down.
    let bound = async {
        loop {
            match builder.clone().build().await {
                Ok(node) => return node,
                Err(error) => println!("not yet: {error}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    within(secs(5), "a free port", bound).await
}

/// A node that begins with another, and gives up on an attempt soon.
async fn follower(name: &str, bootstrap: impl Into<Bootstrap>) -> Network {
    let transport = TransportConfig::default().with_dial_timeout(Duration::from_millis(300));
    let discovery = alone().with_bootstrap(bootstrap.into());
    lone(name).with_discovery(discovery).with_transport(transport).build().await.unwrap()
}

fn host(id: PeerId, port: u16) -> Bootstrap {
    format!("{id}@localhost:{port}").parse().unwrap()
}

fn started_since(node: &Network, id: PeerId, before: &Network) -> bool {
    let catalog = node.discovery().catalog();
    let start = before.discovery().me().started_at();
    catalog.get(&id).is_some_and(|entry| entry.started_at() >= start)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_later_is_found() {
    let (name, key, port) = (unique_name(), key(), free_port());
    let address = EndpointAddr::new(key.public()).with_ip_addr(at(port));
    let early = follower(&name, address).await;
    // The first attempts fail.
    sleep(Duration::from_millis(800)).await;
    assert_eq!(early.discovery().catalog().peers_count(), 0);
    let late = entrance(&name, &key, port).await;
    let both = || knows(&early, &late) && knows(&late, &early);
    let took = eventually(secs(10), "the late node", both).await;
    println!("a late bootstrap node was found after {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_under_a_host_s_name_is_found_whenever_it_is_there() {
    let (name, key, port) = (unique_name(), key(), free_port());
    let follower = follower(&name, host(key.public(), port)).await;
    for _ in 0..2 {
        sleep(Duration::from_millis(400)).await;
        assert_eq!(follower.discovery().catalog().peers_count(), 0);
        let node = entrance(&name, &key, port).await;
        let both = || knows(&follower, &node) && knows(&node, &follower);
        eventually(secs(15), "the node at the host", both).await;
        within(secs(5), "the shutdown", node.shutdown()).await;
        let gone = || follower.discovery().catalog().peers_count() == 0;
        eventually(secs(5), "its departure", gone).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_followers_meet_again_at_a_node_that_restarted() {
    let (name, key, port) = (unique_name(), key(), free_port());
    let first = entrance(&name, &key, port).await;
    let mut nodes = vec![follower(&name, host(key.public(), port)).await];
    let address = EndpointAddr::new(key.public()).with_ip_addr(at(port));
    nodes.push(follower(&name, address).await);
    nodes.push(follower(&name, first.local().ticket()).await);
    nodes.push(first);
    until_all_know_all(&nodes).await;
    let first = nodes.pop().unwrap();
    within(secs(5), "the shutdown", first.shutdown()).await;
    nodes.push(entrance(&name, &key, port).await);
    let again = &nodes[3];
    let id = key.public();
    let all = || nodes[..3].iter().all(|node| started_since(node, id, again) && knows(again, node));
    let took = eventually(secs(20), "the new run", all).await;
    println!("a restarted bootstrap node knew all again after {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_restarted_on_another_port_is_found_by_its_entry() {
    let (name, key, dir) = (unique_name(), key(), private_dir());
    let here = || beside(&name, dir.path());
    let first = here().with_secret_key(key.clone()).build().await.unwrap();
    let old = first.local().addr();
    let bootstrap = Config::builder().with_local_directory(dir.path()).with_bootstrap(old.clone());
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(here().with_discovery(bootstrap.clone()).build().await.unwrap());
    }
    nodes.push(first);
    until_all_know_all(&nodes).await;
    within(secs(5), "the shutdown", nodes.pop().unwrap().shutdown()).await;
    let again = here().with_secret_key(key.clone()).build().await.unwrap();
    assert_ne!(again.local().addr(), old);
    let id = key.public();
    let all = || nodes.iter().all(|node| started_since(node, id, &again) && knows(&again, node));
    let took = eventually(secs(10), "the new run", all).await;
    println!("a bootstrap node on another port was found again after {took:?}");
    // By id alone it is reached at its new place.
    let sync = nodes[0].discovery().sync_with(id);
    within(secs(5), "a sync by id", sync).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_moved_and_meets_one_follower_is_found_by_all() {
    let (name, key) = (unique_name(), key());
    let first = lone(&name).with_secret_key(key.clone()).build().await.unwrap();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(follower(&name, first.local().addr()).await);
    }
    nodes.push(first);
    until_all_know_all(&nodes).await;
    within(secs(5), "the shutdown", nodes.pop().unwrap().shutdown()).await;
    let again = lone(&name).with_secret_key(key.clone()).build().await.unwrap();
    meet(&again, &nodes[1]).await;
    let id = key.public();
    let all = || nodes.iter().all(|node| started_since(node, id, &again));
    eventually(secs(10), "the new run", all).await;
    assert!(nodes.iter().all(|node| knows(&again, node)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_nodes_one_that_answers_is_enough() {
    let name = unique_name();
    let alive = lone(&name).build().await.unwrap();
    let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let nobody = || key().public();
    let dead = EndpointAddr::new(nobody()).with_ip_addr(silent.local_addr().unwrap());
    let stranger = lone(&unique_name()).build().await.unwrap();
    // One that is alive under another id than was named.
    let other_id = EndpointAddr::new(nobody()).with_addrs(alive.local().addr().addrs);
    let discovery = alone()
        .with_bootstrap([dead, EndpointAddr::new(nobody()), other_id, stranger.local().addr()])
        .with_bootstrap([host(nobody(), free_port())])
        .with_bootstrap(
            format!("{}@no.such.host.invalid:1", nobody()).parse::<Bootstrap>().unwrap(),
        )
        .with_bootstrap(alive.local().ticket());
    let mut nodes = vec![alive];
    for _ in 0..2 {
        nodes.push(lone(&name).with_discovery(discovery.clone()).build().await.unwrap());
    }
    let took = until_all_know_all(&nodes).await;
    println!("past dead bootstrap nodes, 3 nodes converged in {took:?}");
    assert_eq!(stranger.discovery().catalog().peers_count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_name_each_other_and_themselves_find_each_other() {
    let name = unique_name();
    let keys: Vec<_> = (0..4).map(|_| (key(), free_port())).collect();
    let all: Vec<_> = keys
        .iter()
        .map(|(key, port)| EndpointAddr::new(key.public()).with_ip_addr(at(*port)))
        .collect();
    let mut nodes = Vec::new();
    for (key, port) in &keys {
        let builder = Network::builder(name.as_str()).offline().bind(at(*port));
        let discovery = alone().with_bootstrap(all.clone());
        let builder = builder.with_discovery(discovery).with_secret_key(key.clone());
        nodes.push(builder.build().await.unwrap());
    }
    until_all_know_all(&nodes).await;
}
