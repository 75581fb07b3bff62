//! The same key twice: past lives, and twins.

use super::*;

const KEY: u8 = 9;

fn stopped(node: &Node) -> bool {
    node.discovery.superseded().is_cancelled()
}

#[tokio::test(start_paused = true)]
async fn of_two_live_twins_one_stops_and_the_other_stays() {
    for late_ms in [1, 50, 500, 5_000, 30_000, 59_000, 61_000, 120_000] {
        let world = World::new(300 + late_ms);
        let meeting = world.node(1, Config::builder());
        let with = || Config::builder().with_bootstrap(meeting.id());
        let others = [2, 3].map(|seed| world.node(seed, with()));
        let first = world.node(KEY, with());
        sleep(Duration::from_millis(late_ms)).await;
        let second = world.node(KEY, with());
        let one = async {
            tokio::select! {
                () = first.discovery.superseded().cancelled() => {}
                () = second.discovery.superseded().cancelled() => {}
            }
        };
        timeout(90 * SECOND, one).await.unwrap_or_else(|_| panic!("{late_ms} ms: both live on"));
        if late_ms > 60_000 {
            assert!(stopped(&first), "the older one stops at once");
        }
        sleep(180 * SECOND).await;
        assert!(stopped(&first) != stopped(&second), "{late_ms} ms: both have stopped");
        let stays = if stopped(&first) { &second } else { &first };
        stays.discovery.add_tags("it stays");
        let id = stays.id();
        for node in others.iter().chain([&meeting]) {
            node.until(60 * SECOND, |catalog| {
                catalog.get(&id).is_some_and(|entry| entry.tags().len() == 1)
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn twins_that_only_know_one_peer_learn_of_each_other_through_it() {
    for seeds in [(1, 2), (2, 1)] {
        // The peer's id is once the smaller and once the greater one: it decides, or obeys.
        let world = World::new(330);
        let peer = world.node(seeds.0, Config::builder());
        let twin = || world.node(seeds.1, Config::builder().with_bootstrap(peer.id()));
        let first = twin();
        sleep(70 * SECOND).await;
        let second = twin();
        let superseded = first.discovery.superseded().cancelled();
        timeout(10 * SECOND, superseded).await.expect("the first one is told");
        sleep(60 * SECOND).await;
        assert!(!stopped(&second));
        assert!(peer.knows(&second));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stopped_announces_nothing_more() {
    let world = World::new(331);
    let peer = world.node(1, Config::builder());
    let first = world.node(KEY, Config::builder().with_bootstrap(peer.id()));
    sleep(70 * SECOND).await;
    let second = world.node(KEY, Config::builder().with_bootstrap(peer.id()));
    timeout(10 * SECOND, first.discovery.superseded().cancelled()).await.unwrap();
    sleep(5 * SECOND).await;
    let version = peer.discovery.catalog().get(&second.id()).unwrap().update_version();
    first.discovery.add_tags("a word too many");
    sleep(200 * SECOND).await;
    let known = peer.discovery.catalog().get(&second.id()).unwrap().clone();
    assert_eq!(known.update_version(), version);
    assert!(known.tags().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restart_with_the_clock_set_back_takes_the_past_life_s_place() {
    for (network, back) in [(340, 0), (341, 20), (342, 45)] {
        let world = World::new(network);
        let nodes = world.nodes(4);
        converged(&nodes, 5 * SECOND).await;
        let past = world.node(KEY, Config::builder().with_bootstrap(nodes[0].id()));
        let id = past.id();
        sleep(5 * SECOND).await;
        past.kill().await;
        sleep(SECOND).await;
        let now = world.set_back(Duration::from_secs(back));
        let again = now.node(KEY, Config::builder().with_bootstrap(nodes[0].id()));
        again.discovery.add_tags("again");
        for node in &nodes {
            node.until(30 * SECOND, |catalog| {
                catalog.get(&id).is_some_and(|entry| entry.tags().len() == 1)
            })
            .await;
        }
        sleep(120 * SECOND).await;
        assert!(!stopped(&again));
        assert!(nodes.iter().all(|node| node.knows(&again)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_after_a_goodbye_with_the_clock_set_back_is_seen_as_well() {
    let world = World::new(343);
    let nodes = world.nodes(3);
    converged(&nodes, 5 * SECOND).await;
    let past = world.node(KEY, Config::builder().with_bootstrap(nodes[0].id()));
    sleep(5 * SECOND).await;
    past.leave().await;
    let now = world.set_back(Duration::from_secs(30));
    let again = now.node(KEY, Config::builder().with_bootstrap(nodes[0].id()));
    for node in &nodes {
        node.until(30 * SECOND, |catalog| catalog.get(&again.id()).is_some()).await;
    }
    assert!(!stopped(&again));
}
