//! Names, labels and values of what two nodes do.

use mosaik::{
    StreamId,
    futures::StreamExt,
    groups::{ConsensusConfig, GroupKey},
    primitives::ShortFmtExt,
};
use mosaik_tests::{discover_all, lone, nodes, secs, unique_name, within};

use super::{address, exporting, scrape_until};

const STREAM: &str = "metrics.numbers";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_of_a_stream_are_counted_where_they_are() {
    // The nodes are of one network, so what the exporter shows is the sum of both.
    let (name, stream) = (unique_name(), StreamId::from(STREAM).short().to_string());
    let a = exporting(lone(&name)).build().await.unwrap();
    let b = lone(&name).build().await.unwrap();
    let nodes = [a, b];
    discover_all(&nodes).await;
    let [a, b] = nodes;
    let producer = a.streams().producer::<u64>().with_stream_id(STREAM).build().unwrap();
    let mut consumer = b.streams().consumer::<u64>().with_stream_id(STREAM).build();
    within(secs(5), "the subscription", producer.when().subscribed()).await;
    for number in 0..100 {
        producer.send(number).await.unwrap();
        assert_eq!(within(secs(5), "a datum", consumer.next()).await, Some(number));
    }
    let labels = [("stream", stream.as_str())];
    let scrape = scrape_until(address(&a), "all received", |scrape| {
        scrape.value(&a, "mosaik_streams_datums_total", &labels) == Some(200)
    })
    .await;
    for (name, value) in [
        ("mosaik_streams_producer_items_sent", 100),
        ("mosaik_streams_producer_items_dropped", 0),
        ("mosaik_streams_producer_bytes_sent", 100),
        ("mosaik_streams_producer_consumers", 1),
        ("mosaik_streams_producer_consumers_accepted", 1),
        ("mosaik_streams_consumers_active", 1),
        ("mosaik_streams_consumer_producers", 1),
        ("mosaik_streams_consumer_items_received", 100),
        ("mosaik_streams_consumer_bytes_received", 100),
        ("mosaik_streams_bytes_total", 200),
    ] {
        assert_eq!(scrape.value(&a, name, &labels), Some(value), "{name} in\n{}", scrape.0);
    }
    for (name, least) in [
        ("mosaik_streams_producers_active", 1),
        ("mosaik_streams_connections_accepted", 1),
        ("mosaik_discovery_catalog_size", 2),
        ("mosaik_discovery_catalog_syncs", 2),
        ("mosaik_discovery_peers_discovered", 2),
        // A control and a bulk connection, counted by both.
        ("mosaik_network_connections_opened", 4),
        ("mosaik_network_egress_bytes", 1000),
        ("mosaik_network_ingress_bytes", 1000),
    ] {
        let value = scrape.value(&a, name, &[]);
        assert!(value >= Some(least), "{name} is {value:?} in\n{}", scrape.0);
    }
    drop(consumer);
    within(secs(5), "b's end", b.shutdown()).await;
    let scrape = scrape_until(address(&a), "without the consumer", |scrape| {
        scrape.value(&a, "mosaik_streams_consumers_active", &labels) == Some(0)
            && scrape.value(&a, "mosaik_streams_producer_consumers", &labels) == Some(0)
            && scrape.value(&a, "mosaik_discovery_catalog_size", &[]) == Some(0)
    })
    .await;
    let total = scrape.value(&a, "mosaik_streams_consumer_items_received", &labels);
    assert_eq!(total, Some(100), "counters stay");
    assert!(scrape.value(&a, "mosaik_discovery_peers_departed", &[]) >= Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_counted_by_reason() {
    let (name, stream) = (unique_name(), StreamId::from(STREAM).short().to_string());
    let a = exporting(lone(&name)).build().await.unwrap();
    let nodes = [a, lone(&name).build().await.unwrap(), lone(&name).build().await.unwrap()];
    discover_all(&nodes).await;
    let [a, b, c] = &nodes;
    let foreign = [("reason", "different_network")];
    let before = scrape_until(address(a), "published", |scrape| {
        scrape.value(a, "mosaik_discovery_refusals", &[("reason", "forged")]) == Some(0)
    })
    .await;
    let refused = before.value(a, "mosaik_network_connections_refused", &foreign);
    assert_eq!(refused, None, "there is no such series yet");
    let producer = a.streams().producer::<u64>().with_stream_id(STREAM).with_max_consumers(1);
    let producer = producer.build().unwrap();
    let _first = b.streams().consumer::<u64>().with_stream_id(STREAM).build();
    within(secs(5), "the subscription", producer.when().subscribed()).await;
    let _second = c.streams().consumer::<u64>().with_stream_id(STREAM).build();
    // Somebody who knows the address and not the network.
    let stranger = lone(&unique_name()).build().await.unwrap();
    let sync = stranger.discovery().sync_with(a.local().addr());
    within(secs(5), "a sync across networks", sync).await.unwrap();
    let reason = ("reason", "no_capacity");
    scrape_until(address(a), "refused", |scrape| {
        let of_stream = [("stream", stream.as_str()), reason];
        scrape.value(a, "mosaik_streams_producer_consumers_rejected", &of_stream) >= Some(1)
            && scrape.value(a, "mosaik_streams_connections_rejected", &[reason]) >= Some(1)
            && scrape.value(a, "mosaik_network_connections_refused", &foreign) >= Some(1)
            && scrape.value(a, "mosaik_discovery_refusals", &[("reason", "forged")]) == Some(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_networks_of_a_process_are_told_apart() {
    let [a, _b] = nodes::<2>().await;
    let other = exporting(lone(&unique_name())).build().await.unwrap();
    scrape_until(address(&other), "both", |scrape| {
        scrape.value(&a, "mosaik_discovery_catalog_size", &[]) == Some(2)
            && scrape.value(&other, "mosaik_discovery_catalog_size", &[]) == Some(0)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_counted_by_each_of_its_members() {
    let name = unique_name();
    let a = exporting(lone(&name)).build().await.unwrap();
    let mut nodes = vec![a];
    for _ in 0..3 {
        nodes.push(lone(&name).build().await.unwrap());
    }
    discover_all(&nodes).await;
    let key = GroupKey::from_secret("metrics");
    let groups: Vec<_> = nodes[..3].iter().map(|node| Counter::join(node, key)).collect();
    for group in &groups {
        within(secs(20), "the group", group.when().online()).await;
    }
    for group in &groups {
        within(secs(5), "a command", group.add(1)).await.unwrap();
    }
    let group = groups[0].id().short().to_string();
    let labels = [("group", group.as_str())];
    // The nodes are of one network, so what the exporter shows is the sum of all.
    let scrape = scrape_until(address(&nodes[0]), "all applied", |scrape| {
        scrape.value(&nodes[0], "mosaik_groups_raft_committed", &labels) == Some(9)
    })
    .await;
    for (name, value) in [
        ("mosaik_groups_bonds_active", 6),
        ("mosaik_groups_raft_committee_voters", 9),
        ("mosaik_groups_raft_committee_non_voters", 0),
        ("mosaik_groups_raft_committee_size", 9),
    ] {
        assert_eq!(scrape.value(&nodes[0], name, &labels), Some(value), "{name} in\n{}", scrape.0);
    }
    assert_eq!(scrape.value(&nodes[0], "mosaik_groups_active", &[]), Some(3));
    for (name, least) in [
        ("mosaik_groups_raft_elections", 3),
        ("mosaik_groups_raft_leader_changes", 3),
        ("mosaik_groups_bonds_messages_sent", 6),
        ("mosaik_groups_bonds_messages_received", 6),
        ("mosaik_groups_bonds_bytes_sent", 100),
        ("mosaik_groups_bonds_bytes_received", 100),
    ] {
        let value = scrape.value(&nodes[0], name, &labels);
        assert!(value >= Some(least), "{name} is {value:?} in\n{}", scrape.0);
    }
    // Another one joins: it is a learner, since four voters are not better than three.
    let joined = Counter::join(&nodes[3], key);
    within(secs(20), "the group", joined.when().online()).await;
    let of_reason = [labels[0], ("reason", "joined")];
    scrape_until(address(&nodes[0]), "the change", |scrape| {
        let changes = "mosaik_groups_raft_committee_changes";
        scrape.value(&nodes[0], changes, &of_reason) == Some(1)
    })
    .await;
    drop((groups, joined));
    scrape_until(address(&nodes[0]), "without the group", |scrape| {
        scrape.value(&nodes[0], "mosaik_groups_active", &[]) == Some(0)
            && scrape.value(&nodes[0], "mosaik_groups_bonds_active", &labels) == Some(0)
    })
    .await;
}

#[mosaik::group_state("metrics.counter", quorum = 3, consensus = ConsensusConfig::fast())]
#[derive(Clone, Default)]
struct Counter(u64);

#[mosaik::group_state]
impl Counter {
    pub fn add(&mut self, number: u64) -> u64 {
        self.0 += number;
        self.0
    }
}
