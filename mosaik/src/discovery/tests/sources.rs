//! What comes of the addresses that sources find.

use super::*;

fn address(seed: u64) -> EndpointAddr {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    EndpointAddr::new(SecretKey::from_bytes(&key).public())
}

#[tokio::test(start_paused = true)]
async fn two_groups_become_one_when_a_source_finds_one_node_of_the_other() {
    let world = World::new(700);
    let left = world.nodes(6);
    let first = world.node(50, Config::builder());
    let id = first.id();
    let others = (51..56).map(|seed| world.node(seed, Config::builder().with_bootstrap(id)));
    let right: Vec<_> = std::iter::once(first).chain(others.collect::<Vec<_>>()).collect();
    converged(&left, 5 * SECOND).await;
    converged(&right, 5 * SECOND).await;
    sleep(120 * SECOND).await;
    left[3].discovery.reach.found("mdns", right[2].id().into()).await;
    let nodes: Vec<_> = left.into_iter().chain(right).collect();
    converged(&nodes, 60 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_finds_dead_addresses_keeps_no_other_from_being_heard() {
    let world = World::new(701);
    let (a, b) = (world.node(1, Config::builder()), world.node(2, Config::builder()));
    let reach = a.discovery.reach.clone();
    for seed in 0..2000 {
        reach.found("mdns", address(seed)).await;
    }
    sleep(SECOND).await;
    reach.found("local", b.id().into()).await;
    a.until(SECOND, |catalog| catalog.peers_count() == 1).await;
}
