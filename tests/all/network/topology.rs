//! Who sends what to whom.

use mosaik::{
    Datum, Network,
    discovery::Catalog,
    futures::StreamExt,
    groups::{ConsensusConfig, GroupKey},
    network::{Flow, Topology},
};
use serde::{Serialize, de::DeserializeOwned};

fn is_plain_data<T: Serialize + DeserializeOwned + Clone + PartialEq>(_: &T) {}

#[mosaik::network_test(sim)]
async fn the_graph_shows_who_produces_and_who_consumes(nodes: [Network; 3]) {
    let [a, b, c] = &nodes;
    let numbers = u64::derived_stream_id();
    let text = String::derived_stream_id();
    let producer = a.streams().produce::<u64>();
    let _unheard = c.streams().produce::<String>();
    let mut consumer = b.streams().consume::<u64>();
    producer.send(1).await.unwrap();
    assert_eq!(consumer.next().await, Some(1));
    for node in [a, b] {
        let mut changes = node.discovery().catalog_watch();
        let knows = |catalog: &Catalog| {
            let entry = catalog.get(&c.local().id());
            entry.is_some_and(|entry| entry.streams().contains(&text))
        };
        drop(changes.wait_for(knows).await.unwrap());
    }
    let flow = Flow { stream: numbers, producer: a.local().id(), consumer: b.local().id() };
    for node in [a, b] {
        let topology: Topology = node.topology();
        is_plain_data(&topology);
        assert_eq!(topology.nodes.len(), 3);
        assert_eq!(topology.flows, [flow].into());
        assert!(topology.nodes[&a.local().id()].produces.contains(&numbers));
        assert!(topology.nodes[&b.local().id()].consumes.contains(&numbers));
        assert!(topology.nodes[&c.local().id()].produces.contains(&text));
    }
    drop(consumer);
    producer.when().unsubscribed().await;
    assert!(a.topology().flows.is_empty());
}

#[mosaik::network_test(sim)]
async fn who_is_not_subscribed_to_receives_nothing(nodes: [Network; 3]) {
    let [a, b, c] = &nodes;
    let numbers = u64::derived_stream_id();
    let (first, second) = (a.streams().produce::<u64>(), c.streams().produce::<u64>());
    let wanted = a.local().id();
    let picky = b.streams().consumer::<u64>().require(move |peer| *peer.id() == wanted).build();
    let _deaf = b.streams().consumer::<u64>().require(|_| false).build();
    first.when().subscribed().await;
    picky.when().subscribed().await;
    let mut changes = b.discovery().catalog_watch();
    let knows = |catalog: &Catalog| {
        catalog.get(&c.local().id()).is_some_and(|entry| entry.streams().contains(&numbers))
    };
    drop(changes.wait_for(knows).await.unwrap());
    let flow = Flow { stream: numbers, producer: wanted, consumer: b.local().id() };
    let topology = b.topology();
    assert_eq!(topology.flows, [flow].into());
    assert!(topology.nodes[&b.local().id()].consumes.contains(&numbers));
    assert!(topology.nodes[&c.local().id()].produces.contains(&numbers));
    assert_eq!(second.consumers().count(), 0);
    drop(picky);
    first.when().unsubscribed().await;
    assert!(b.topology().flows.is_empty());
}

#[mosaik::network_test(sim)]
async fn a_stream_tells_its_name_and_schema_to_whoever_asks(nodes: [Network; 2]) {
    let [a, b] = &nodes;
    let stream = u64::derived_stream_id();
    let ask = || b.discovery().describe(a.local().id(), stream);
    assert_eq!(ask().await.unwrap(), None);
    let producer = a.streams().produce::<u64>();
    let described = ask().await.unwrap().expect("it is produced");
    assert_eq!(described.intent(), u64::intent());
    let schema = u64::schema().expect("a number has one");
    assert_eq!(described.schema().map(|it| it.fingerprint()), Some(schema.fingerprint()));
    drop(producer);
    assert_eq!(ask().await.unwrap(), None);
}

#[mosaik::network_test(sim)]
async fn a_consumer_knows_how_far_away_a_producer_is_before_it_subscribes(nodes: [Network; 2]) {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };
    let [a, b] = &nodes;
    let _producer = a.streams().produce::<u64>();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let judged = seen.clone();
    let consumer = b
        .streams()
        .consumer::<u64>()
        .require(move |peer| {
            judged.lock().unwrap().push(peer.rtt());
            peer.rtt_below(Duration::from_millis(500))
        })
        .build();
    consumer.when().subscribed().await;
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty() && seen.iter().all(Option::is_some), "{seen:?}");
}

#[mosaik::network_test(sim)]
async fn the_leader_of_a_group_is_known_to_its_members(nodes: [Network; 3]) {
    let [a, b, c] = &nodes;
    let join = |node: &Network| {
        let builder = node.groups().with_key(GroupKey::from_secret("topology"));
        builder.with_consensus_config(ConsensusConfig::fast()).join()
    };
    let groups = [join(a), join(b)];
    let (first, second) = (groups[0].when().online(), groups[1].when().online());
    first.await;
    second.await;
    let id = *groups[0].id();
    let mut changes = c.discovery().catalog_watch();
    let knows = |catalog: &Catalog| {
        let entries = [a, b].map(|node| catalog.get(&node.local().id()));
        entries.iter().all(|entry| entry.is_some_and(|entry| entry.groups().contains(&id)))
    };
    drop(changes.wait_for(knows).await.unwrap());
    let leader = groups[0].when().leader_elected().await;
    groups[1].when().leader_is(leader).await;
    for node in [a, b] {
        let topology = node.topology();
        assert_eq!(topology.leaders, [(id, leader)].into());
        assert!(topology.nodes[&leader].groups.contains(&id));
    }
    assert!(c.topology().leaders.is_empty());
    drop(groups);
    while !a.topology().leaders.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
