//! Nodes that say nothing any more.

use std::time::{Duration, Instant};

use mosaik::{discovery::Event, network::TransportConfig};
use mosaik_tests::{NodeProcess, eventually, lone, scaled, secs, unique_name, within};
use tokio::{sync::broadcast::error::TryRecvError, time::sleep};

use super::{alone, next};

const PURGE_AFTER: Duration = Duration::from_secs(2);
/// Far more often than `PURGE_AFTER`, so that only the silent are dropped.
const ANNOUNCE_MS: &str = "200";

fn impatient() -> mosaik::discovery::ConfigBuilder {
    let seldom = PURGE_AFTER - Duration::from_millis(1);
    let regular = alone().with_announce_jitter(0.0);
    regular.with_purge_after(PURGE_AFTER).with_announce_interval(seldom)
}

fn announcer(name: &str) -> NodeProcess {
    NodeProcess::start(env!("CARGO_BIN_EXE_test-node"), &[name, "announce", ANNOUNCE_MS])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_departs_and_is_discovered_again_when_it_speaks() {
    let name = unique_name();
    let process = announcer(&name);
    let id = process.ticket().id();
    let a = lone(&name).with_discovery(impatient()).build().await.unwrap();
    let mut events = a.discovery().events();
    within(secs(5), "the dial", a.discovery().dial(process.ticket().clone())).await;
    assert!(matches!(next(&mut events).await, Event::PeerDiscovered(entry) if *entry.id() == id));
    // Longer than `PURGE_AFTER`: it is kept as long as it announces.
    sleep(PURGE_AFTER + secs(1)).await;
    assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
    process.pause();
    let begun = Instant::now();
    assert_eq!(next(&mut events).await, Event::PeerDeparted(id));
    let silence = begun.elapsed();
    assert_eq!(a.discovery().catalog().peers_count(), 0);
    assert!(silence > PURGE_AFTER / 2, "{silence:?}");
    assert!(silence < scaled(PURGE_AFTER + secs(1)), "{silence:?}");
    process.resume();
    assert!(matches!(next(&mut events).await, Event::PeerDiscovered(entry) if *entry.id() == id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_leaves_the_catalog_of_all() {
    let name = unique_name();
    let mut process = announcer(&name);
    let id = process.ticket().id();
    // Their own signs of life must come often enough for each other, too.
    let discovery = impatient()
        .with_announce_interval(Duration::from_millis(200))
        .with_bootstrap(process.ticket().clone());
    // Who waits for the dead longer than for signs of life would purge the living as well: those
    // of whom it hears only through the dead.
    let transport = TransportConfig::default()
        .with_idle_timeout(PURGE_AFTER / 4)
        .with_keep_alive(PURGE_AFTER / 20);
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let builder = lone(&name).with_transport(transport.clone());
        nodes.push(builder.with_discovery(discovery.clone()).build().await.unwrap());
    }
    let all = || nodes.iter().all(|node| node.discovery().catalog().peers_count() == 3);
    eventually(secs(10), "the convergence", all).await;
    process.kill();
    let gone = || nodes.iter().all(|node| node.discovery().catalog().get(&id).is_none());
    let took = eventually(PURGE_AFTER + secs(5), "the purge", gone).await;
    println!("a killed process was purged after {took:?} (purge_after {PURGE_AFTER:?})");
    let others = || nodes.iter().all(|node| node.discovery().catalog().peers_count() == 2);
    eventually(secs(5), "the others in their catalogs", others).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_to_a_killed_process_ends_soon() {
    let name = unique_name();
    let mut process = announcer(&name);
    let a = lone(&name).build().await.unwrap();
    let to = process.ticket().address().clone();
    within(secs(5), "a sync", a.discovery().sync_with(to.clone())).await.unwrap();
    process.kill();
    let begun = Instant::now();
    let sync = within(secs(10), "a sync with the dead", a.discovery().sync_with(to)).await;
    sync.expect_err("nobody answers");
    println!("a sync with a killed process failed after {:?} (goal 6 s)", begun.elapsed());
}
