//! Networks that fell apart.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_network_heals_within_a_minute_of_a_partition_of_six() {
    for seed in 0..5 {
        let world = World::new(500 + seed);
        let nodes = world.nodes(10);
        converged(&nodes, 5 * SECOND).await;
        sleep(10 * SECOND).await;
        let ids: Vec<_> = nodes.iter().map(Node::id).collect();
        // The one bootstrap node is on one side only.
        world.net.partition(&[ids[..5].to_vec(), ids[5..].to_vec()]);
        sleep(360 * SECOND).await;
        for node in &nodes {
            assert_eq!(node.discovery.catalog().peers_count(), 4, "each side has purged the other");
        }
        world.net.heal();
        let begun = Instant::now();
        converged(&nodes, 60 * SECOND).await;
        println!("seed {seed}: healed after {:?} of virtual time", begun.elapsed());
        assert!(begun.elapsed() < 60 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_neighbours_all_died_finds_others() {
    let world = World::new(510);
    let mut nodes = world.nodes(12);
    converged(&nodes, 5 * SECOND).await;
    sleep(30 * SECOND).await;
    // Those that hold a link to the last node are its neighbours, or were a moment ago.
    let lonely = nodes.pop().unwrap();
    let linked: Vec<_> = lonely.transport.links().iter().map(|link| link.peer()).collect();
    assert!(linked.len() < nodes.len(), "not everyone is its neighbour");
    let (dead, alive): (Vec<_>, Vec<_>) =
        nodes.into_iter().partition(|node| linked.contains(&node.id()));
    // They say nothing to anybody: their links have to time out.
    dead.iter().for_each(|node| world.net.crash(node.id()));
    sleep(60 * SECOND).await;
    alive[0].discovery.add_tags("news");
    let id = alive[0].id();
    lonely
        .until(10 * SECOND, |catalog| catalog.get(&id).is_some_and(|entry| entry.tags().len() == 1))
        .await;
}
