//! Nodes that begin with little knowledge end with all of it.

use std::time::Instant;

use mosaik::{Network, discovery::Refusal, futures::future::join_all};
use mosaik_tests::{eventually, lone, secs, unique_name};

use super::{alone, beside, knows, meet, private_dir, until_all_know_all};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_nodes_converge_from_one_bootstrap_node() {
    let name = unique_name();
    let begun = Instant::now();
    let first = lone(&name).build().await.unwrap();
    let entrance = first.local().addr();
    let others = (1..20).map(|_| {
        let builder = lone(&name).with_discovery(alone().with_bootstrap(entrance.clone()));
        async { builder.build().await.unwrap() }
    });
    let mut nodes = join_all(others).await;
    nodes.push(first);
    until_all_know_all(&nodes).await;
    println!("20 nodes started and converged in {:?} (goal 1 s)", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_id_of_a_node_on_this_machine_is_enough_to_begin_with() {
    let (name, dir) = (unique_name(), private_dir());
    let first = beside(&name, dir.path()).build().await.unwrap();
    let id = first.local().id();
    let mut nodes = vec![first];
    for _ in 0..10 {
        let discovery = mosaik::discovery::Config::builder()
            .with_local_directory(dir.path())
            .with_bootstrap(id);
        nodes.push(lone(&name).with_discovery(discovery).build().await.unwrap());
    }
    let took = until_all_know_all(&nodes).await;
    println!("11 nodes converged {took:?} after the last started");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_acquaintances_becomes_one_network() {
    let name = unique_name();
    let mut nodes: Vec<Network> = Vec::new();
    for _ in 0..8 {
        let previous = nodes.last().map(|node| node.local().addr());
        let discovery = alone().with_bootstrap(previous.into_iter().collect::<Vec<_>>());
        nodes.push(lone(&name).with_discovery(discovery).build().await.unwrap());
    }
    until_all_know_all(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_contact_joins_two_networks_of_nodes() {
    let name = unique_name();
    let [a, b] = [converged(&name, 4).await, converged(&name, 4).await];
    assert!(!knows(&a[0], &b[0]));
    meet(&a[1], &b[2]).await;
    let nodes: Vec<_> = a.into_iter().chain(b).collect();
    let took = until_all_know_all(&nodes).await;
    println!("two networks of 4 were one after {took:?}");
}

async fn converged(name: &str, count: usize) -> Vec<Network> {
    let first = lone(name).build().await.unwrap();
    let entrance = first.local().addr();
    let mut nodes = vec![first];
    for _ in 1..count {
        let discovery = alone().with_bootstrap(entrance.clone());
        nodes.push(lone(name).with_discovery(discovery).build().await.unwrap());
    }
    until_all_know_all(&nodes).await;
    nodes
}

#[mosaik::network_test(sim)]
async fn a_hundred_simulated_nodes_know_each_other(nodes: [Network; 100]) {
    // The harness has waited for that; an edit is dated by the simulated clock, as the start is.
    nodes[0].discovery().add_tags("edited");
    let me = nodes[0].discovery().me();
    let took = (me.updated_at() - me.started_at()).to_std().unwrap();
    println!("100 simulated nodes started and converged in {took:?} of virtual time");
    assert!(took < secs(5), "{took:?}");
    let holds = |node: &Network| {
        let catalog = node.discovery().catalog();
        catalog.get(me.id()).is_some_and(|entry| entry.update_version() == me.update_version())
    };
    let all_hold = || nodes.iter().all(holds);
    let spread = eventually(secs(2), "the edit at all nodes", all_hold).await;
    assert!(spread < secs(1), "{spread:?}");
    let refusals = |node: &Network| {
        let refusals = node.discovery().refusals();
        refusals.of(Refusal::Forged) + refusals.of(Refusal::Malformed)
    };
    assert_eq!(nodes.iter().map(refusals).sum::<u64>(), 0);
}
