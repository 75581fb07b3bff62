use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Faults, Simulation, simulate};
use crate::{Network, testing::LinkQuality};

const LONG: Duration = Duration::from_secs(900);

/// Waits until a node's catalog holds so many peers.
async fn until_it_knows(node: &Network, peers: usize) {
    let mut catalog = node.discovery().catalog_watch();
    let known = catalog.wait_for(|catalog| catalog.peers_count() == peers);
    timeout(LONG, known).await.expect("in time").expect("the node lives");
}

#[test]
fn who_crashes_says_nothing_and_who_is_restarted_is_known_again() {
    simulate(1, |simulation: Simulation| async move {
        let mut nodes = simulation.nodes(4).await;
        let id = nodes[3].local().id();
        nodes.crash(3);
        sleep(Duration::from_secs(60)).await;
        assert_eq!(nodes[0].discovery().catalog().peers_count(), 3);
        until_it_knows(&nodes[0], 2).await;
        for _ in 0..3 {
            nodes.restart(3).await;
        }
        assert_eq!(nodes[3].local().id(), id);
        for node in &nodes {
            until_it_knows(node, 3).await;
        }
    });
}

#[test]
fn nobody_finds_a_node_that_crashed_for_good() {
    simulate(2, |simulation: Simulation| async move {
        let nodes = simulation.nodes(2).await;
        nodes.crash(1);
        sleep(Duration::from_secs(20)).await;
        let to = nodes[1].local().addr();
        nodes[0].discovery().sync_with(to).await.expect_err("nobody answers");
        assert_eq!(nodes[1].running_tasks(), 0);
    });
}

#[test]
fn each_clock_is_set_by_itself() {
    simulate(3, |simulation: Simulation| async move {
        let nodes = simulation.nodes(2).await;
        // Versions of a running node's entry only ever grow.
        nodes.set_clock_ahead(0, Duration::from_secs(40));
        nodes.set_clock_ahead(1, Duration::from_secs(10));
        sleep(Duration::from_secs(1)).await;
        let dates = [0, 1].map(|i: usize| {
            nodes[i].discovery().add_tags("now");
            nodes[i].discovery().me().updated_at()
        });
        assert_eq!((dates[0] - dates[1]).num_seconds(), 30);
    });
}

#[test]
fn links_are_set_at_run_time() {
    simulate(4, |simulation: Simulation| async move {
        let nodes = simulation.nodes(2).await;
        nodes.set_links(LinkQuality::default().with_latency(Duration::from_millis(300)));
        assert_eq!(nodes.link(1, 0).latency, Some(Duration::from_millis(300)));
        let begun = Instant::now();
        nodes[0].discovery().sync_with(nodes[1].local().addr()).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
        nodes.cut(0, 1);
        nodes.heal();
        assert_eq!(nodes.link(0, 1).latency, Some(Duration::from_millis(300)));
        assert!(simulation.traffic(&nodes[0]).bytes > 0);
    });
}
