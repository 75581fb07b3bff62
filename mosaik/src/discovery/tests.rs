//! Whole discoveries over the simulated network, in virtual time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep, timeout};

mod clocks;
mod healing;
mod questions;
mod sources;
mod syncs;
mod twins;

use super::*;
use crate::{
    id::Tag,
    transport::{
        Admission, CloseReason, Config as TransportConfig, Parts, Transport,
        sim::{SimConfig, SimNet},
    },
};

/// The hello with nothing but discovery's sections.
struct Hello(HelloSections);

impl Admission for Hello {
    fn offer(&self, peer: PeerId) -> Bytes {
        self.0.offer(&peer)
    }

    fn bodies(&self, _peer: PeerId, offer: &[u8]) -> Result<Bytes, CloseReason> {
        self.0.bodies(offer)
    }

    fn newer_run(&self, peer: PeerId) -> Bytes {
        self.0.newer_run(&peer)
    }

    fn hear_of_newer_run(&self, proof: &[u8]) {
        self.0.hear_of_newer_run(proof);
    }

    fn admit(&self, peer: PeerId, offer: &[u8], bodies: &[u8]) -> Result<(), CloseReason> {
        self.0.admit(&peer, offer, bodies)
    }
}

struct Node {
    discovery: Discovery,
    transport: Transport,
    tasks: Tasks,
    /// The transport's: they outlive those of discovery, to carry its goodbye.
    transport_tasks: Tasks,
    key: SecretKey,
}

/// A simulated network with its date.
struct World {
    net: SimNet,
    clock: Clock,
}

impl World {
    fn new(seed: u64) -> Self {
        let date: DateTime<Utc> = "2026-01-01T00:00:00Z".parse().unwrap();
        Self { net: SimNet::new(seed, SimConfig::default()), clock: Clock::starting_at(date) }
    }

    /// The same network, as seen by nodes whose clocks are behind.
    fn set_back(&self, by: Duration) -> Self {
        let clock = self.clock.clone();
        Self { net: self.net.clone(), clock: Clock::from_fn(move || clock.now() - by) }
    }

    /// The same network, as seen by nodes whose clocks are ahead.
    fn set_forward(&self, by: Duration) -> Self {
        let clock = self.clock.clone();
        Self { net: self.net.clone(), clock: Clock::from_fn(move || clock.now() + by) }
    }

    /// The same network with another clock, and what makes that go ahead by two minutes.
    fn with_a_clock_that_jumps(&self) -> (Self, impl FnOnce()) {
        let (clock, ahead) = (self.clock.clone(), Arc::new(AtomicBool::new(false)));
        let jumps = ahead.clone();
        let date = move || match jumps.load(Ordering::Relaxed) {
            true => clock.now() + Duration::from_secs(120),
            false => clock.now(),
        };
        let world = Self { net: self.net.clone(), clock: Clock::from_fn(date) };
        (world, move || ahead.store(true, Ordering::Relaxed))
    }

    fn node(&self, seed: u8, config: ConfigBuilder) -> Node {
        self.node_of("net", SecretKey::from_bytes(&[seed; 32]), config)
    }

    fn node_of(&self, network: &str, key: SecretKey, config: ConfigBuilder) -> Node {
        let network_id = NetworkId::from(network);
        let random = Random::from_seed(u64::from(key.public().as_bytes()[0]));
        let (tasks, transport_tasks) = (Tasks::new(), Tasks::new());
        let parts = Parts {
            network: network_id,
            secret_key: key.clone(),
            start: version::micros(self.clock.now()),
            config: TransportConfig::default(),
            clock: self.clock.clone(),
            random: random.clone(),
            tasks: transport_tasks.clone(),
        };
        let transport = Transport::simulated(parts, &self.net);
        let discovery = Discovery::start(DiscoveryParts {
            network_id,
            secret_key: key.clone(),
            transport: transport.clone(),
            clock: self.clock.clone(),
            random,
            tasks: tasks.clone(),
            config: config.with_local(false).build().unwrap(),
            gate: None,
        })
        .unwrap();
        transport.set_admission(Arc::new(Hello(discovery.hello())));
        transport.listen();
        discovery.look_for_peers(&Random::from_seed(0));
        Node { discovery, transport, tasks, transport_tasks, key }
    }

    /// `count` nodes of which all but the first know the first.
    fn nodes(&self, count: u8) -> Vec<Node> {
        let first = self.node(1, Config::builder());
        let id = first.id();
        let others = (2..=count).map(|seed| self.node(seed, Config::builder().with_bootstrap(id)));
        std::iter::once(first).chain(others.collect::<Vec<_>>()).collect()
    }
}

impl Node {
    fn id(&self) -> PeerId {
        self.key.public()
    }

    fn knows(&self, other: &Node) -> bool {
        self.discovery.catalog().get(&other.id()).is_some()
    }

    /// Waits until the catalog satisfies a condition.
    async fn until(&self, limit: Duration, condition: impl Fn(&Catalog) -> bool) {
        let mut catalog = self.discovery.catalog_watch();
        let holds = catalog.wait_for(condition);
        let outcome = timeout(limit, holds).await.map(|_| ());
        assert!(outcome.is_ok(), "{} at the limit: {:?}", self.id(), self.discovery.catalog());
    }

    async fn leave(self) {
        self.discovery.depart().await;
        self.kill().await;
    }

    /// Stops without a goodbye from discovery.
    async fn kill(self) {
        self.tasks.cancel();
        self.transport.close().await;
        self.transport_tasks.cancel();
        self.tasks.ended().await;
    }
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

async fn converged(nodes: &[Node], limit: Duration) {
    for node in nodes {
        node.until(limit, |catalog| catalog.peers_count() == nodes.len() - 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_nodes_converge_from_one_bootstrap() {
    let world = World::new(1);
    let begun = Instant::now();
    let nodes = world.nodes(20);
    converged(&nodes, 5 * SECOND).await;
    let took = begun.elapsed();
    assert!(took < SECOND, "{took:?}");
    for node in &nodes {
        let refusals = node.discovery.refusals();
        assert_eq!(refusals.of(Refusal::Forged) + refusals.of(Refusal::Malformed), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_nodes_converge_from_one_bootstrap() {
    let world = World::new(18);
    let begun = Instant::now();
    let nodes = world.nodes(100);
    converged(&nodes, 10 * SECOND).await;
    println!("100 simulated nodes converged in {:?} of virtual time", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_before_it_has_neighbours_is_heard_by_all_who_met_it() {
    for delay_ms in 0..20 {
        let world = World::new(100 + delay_ms);
        let a = world.node(1, Config::builder());
        let b = world.node(2, Config::builder().with_bootstrap(a.id()));
        let mut events = a.discovery.events();
        let id = b.id();
        let first = timeout(SECOND, events.recv()).await.unwrap().unwrap();
        assert!(matches!(first, Event::PeerDiscovered(entry) if *entry.id() == id));
        sleep(Duration::from_millis(delay_ms)).await;
        b.leave().await;
        let last = timeout(SECOND, events.recv()).await.unwrap().unwrap();
        assert_eq!(last, Event::PeerDeparted(id), "{delay_ms} ms after it was met");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_while_it_heals_is_heard_by_the_peer_it_has_just_met() {
    // Healing begins 250 ms after the start, and dials those whose entry is known; the hello of a
    // connection that the peer has dialled may not be over then.
    for (met_ms, left_ms) in (225..255).flat_map(|met| (0..8).map(move |left| (met, left))) {
        let world = World::new(200 + met_ms);
        let (a, b) = (world.node(1, Config::builder()), world.node(2, Config::builder()));
        let mut events = a.discovery.events();
        sleep(Duration::from_millis(met_ms)).await;
        drop(a.discovery.sync_with(b.id()));
        let id = b.id();
        b.until(SECOND, |catalog| catalog.peers_count() == 1).await;
        sleep(Duration::from_millis(left_ms)).await;
        b.leave().await;
        let first = timeout(SECOND, events.recv()).await.unwrap().unwrap();
        assert!(matches!(first, Event::PeerDiscovered(entry) if *entry.id() == id));
        let last = timeout(SECOND, events.recv()).await;
        assert_eq!(
            last.unwrap().unwrap(),
            Event::PeerDeparted(id),
            "met at {met_ms}, left {left_ms} ms later"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_reaches_everyone_within_a_moment() {
    let world = World::new(2);
    let nodes = world.nodes(12);
    converged(&nodes, 5 * SECOND).await;
    sleep(2 * SECOND).await;
    let tag = Tag::from("changed");
    let begun = Instant::now();
    nodes[5].discovery.add_tags(tag);
    assert!(nodes[5].discovery.catalog().local().tags().contains(&tag));
    let id = nodes[5].id();
    for node in &nodes {
        node.until(SECOND, |catalog| catalog.get(&id).unwrap().tags().contains(&tag)).await;
    }
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_departure_is_heard_by_all_at_once() {
    let world = World::new(3);
    let mut nodes = world.nodes(8);
    converged(&nodes, 5 * SECOND).await;
    let leaving = nodes.remove(3);
    let id = leaving.id();
    let mut events = nodes[0].discovery.events();
    let begun = Instant::now();
    leaving.leave().await;
    for node in &nodes {
        node.until(SECOND, |catalog| catalog.get(&id).is_none()).await;
    }
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    assert_eq!(events.recv().await.unwrap(), Event::PeerDeparted(id));
}

#[tokio::test(start_paused = true)]
async fn the_others_stay_together_when_the_bootstrap_node_is_gone() {
    let world = World::new(4);
    let mut nodes = world.nodes(10);
    converged(&nodes, 5 * SECOND).await;
    nodes.remove(0).kill().await;
    sleep(30 * SECOND).await;
    nodes[2].discovery.add_tags("after");
    let id = nodes[2].id();
    for node in &nodes {
        node.until(5 * SECOND, |catalog| catalog.get(&id).unwrap().tags().len() == 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_bootstrap_node_that_is_down_at_start_is_found_when_it_comes() {
    let world = World::new(5);
    let id = SecretKey::from_bytes(&[1; 32]).public();
    let early = world.node(2, Config::builder().with_bootstrap(id));
    sleep(60 * SECOND).await;
    assert_eq!(early.discovery.catalog().peers_count(), 0);
    let late = world.node(1, Config::builder());
    late.until(60 * SECOND, |catalog| catalog.peers_count() == 1).await;
    early.until(SECOND, |catalog| catalog.peers_count() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_bootstrap_node_that_restarts_is_found_again() {
    let world = World::new(6);
    let mut nodes = world.nodes(4);
    converged(&nodes, 5 * SECOND).await;
    let first = nodes.remove(0);
    let started = first.discovery.me().started_at();
    first.kill().await;
    sleep(SECOND).await;
    let again = world.node(1, Config::builder());
    again.until(20 * SECOND, |catalog| catalog.peers_count() == 3).await;
    let id = again.id();
    for node in &nodes {
        node.until(20 * SECOND, |catalog| {
            catalog.get(&id).is_some_and(|entry| entry.started_at() > started)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_sync_both_sides_hold_each_other_and_all_that_either_knew() {
    let world = World::new(7);
    let [a, b, c] = [1, 2, 3].map(|seed| world.node(seed, Config::builder()));
    a.discovery.sync_with(c.id()).await.unwrap();
    assert!(a.knows(&c) && c.knows(&a));
    b.discovery.sync_with(a.id()).await.unwrap();
    assert!(a.knows(&b) && b.knows(&a));
    assert!(b.knows(&c), "what the other side knew came along");
}

#[tokio::test(start_paused = true)]
async fn a_sync_goes_to_the_newest_run_of_a_peer() {
    let world = World::new(19);
    let (a, old) = (world.node(1, Config::builder()), world.node(2, Config::builder()));
    a.discovery.sync_with(old.id()).await.unwrap();
    sleep(SECOND).await;
    let new = world.node(2, Config::builder());
    // It begins on the link to the old run, which ends when the new run becomes known.
    let sync = a.discovery.sync_with(new.id());
    sleep(Duration::from_millis(1)).await;
    assert!(a.discovery.feed(new.discovery.me()));
    sync.await.unwrap();
    assert!(new.knows(&a));
}

#[tokio::test(start_paused = true)]
async fn all_pairs_can_sync_at_once() {
    let world = World::new(8);
    let nodes: Vec<_> = (1..=6).map(|seed| world.node(seed, Config::builder())).collect();
    let syncs = nodes.iter().flat_map(|a| nodes.iter().map(move |b| (a, b.id())));
    let syncs = syncs.filter(|(a, b)| a.id() != *b);
    let syncs = join_all(syncs.map(|(a, b)| a.discovery.sync_with(b)));
    let outcomes = timeout(5 * SECOND, syncs).await.expect("within 5 s");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    converged(&nodes, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_sync_with_another_network_adds_nothing_and_is_no_error() {
    let world = World::new(9);
    let a = world.node(1, Config::builder());
    let b = world.node_of("other", SecretKey::from_bytes(&[2; 32]), Config::builder());
    a.discovery.sync_with(b.id()).await.unwrap();
    assert_eq!(a.discovery.catalog().peers_count(), 0);
    assert_eq!(b.discovery.catalog().peers_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_sync_with_nobody_says_who_is_unreachable() {
    let world = World::new(10);
    let a = world.node(1, Config::builder());
    let nobody = SecretKey::from_bytes(&[9; 32]).public();
    let outcome = timeout(10 * SECOND, a.discovery.sync_with(nobody)).await.unwrap();
    assert!(matches!(outcome, Err(Error::Unreachable { peer, .. }) if peer == nobody));
}

#[tokio::test(start_paused = true)]
async fn dial_joins_two_networks_of_nodes() {
    let world = World::new(11);
    let mut nodes = world.nodes(4);
    let (fifth, sixth) = (world.node(50, Config::builder()), world.node(51, Config::builder()));
    sixth.discovery.dial(fifth.id()).await;
    assert!(fifth.knows(&sixth));
    converged(&nodes, 5 * SECOND).await;
    fifth.discovery.dial(nodes[0].id()).await;
    nodes.extend([fifth, sixth]);
    converged(&nodes, SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn dial_returns_in_time_when_the_peer_does_not_answer_the_sync() {
    let world = World::new(20);
    let [a, b] = [1, 2].map(|seed| world.node(seed, Config::builder()));
    b.transport.serve(StreamKind::Sync, |_, send, recv| async move {
        let _streams = (send, recv);
        std::future::pending().await
    });
    let begun = Instant::now();
    a.discovery.dial(b.id()).await;
    assert!(begun.elapsed() <= 5 * SECOND, "{:?}", begun.elapsed());
    assert!(a.knows(&b), "the hello has told of it");
}

#[tokio::test(start_paused = true)]
async fn events_come_once_and_in_order() {
    let world = World::new(12);
    let a = world.node(1, Config::builder());
    let mut events = a.discovery.events();
    let b = world.node(2, Config::builder().with_bootstrap(a.id()).with_tags("first"));
    let discovered = timeout(SECOND, events.recv()).await.unwrap().unwrap();
    assert_eq!(discovered, Event::PeerDiscovered(b.discovery.me().into_unsigned()));
    b.discovery.sync_with(a.id()).await.unwrap();
    sleep(200 * SECOND).await;
    assert!(events.try_recv().is_err(), "beats and syncs of what is known are no events");
    b.discovery.add_tags("second");
    let updated = timeout(SECOND, events.recv()).await.unwrap().unwrap();
    assert_eq!(updated, Event::PeerUpdated(b.discovery.me().into_unsigned()));
    let id = b.id();
    b.leave().await;
    let departed = timeout(SECOND, events.recv()).await.unwrap().unwrap();
    assert_eq!(departed, Event::PeerDeparted(id));
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_dropped_after_purge_after_and_not_before() {
    let world = World::new(13);
    let config =
        || Config::builder().with_announce_interval(2 * SECOND).with_purge_after(10 * SECOND);
    let a = world.node(1, config());
    let b = world.node(2, config().with_bootstrap(a.id()));
    let c = world.node(3, config().with_bootstrap(a.id()));
    let nodes = [a, b, c];
    converged(&nodes, 5 * SECOND).await;
    sleep(60 * SECOND).await;
    assert!(nodes.iter().all(|node| node.discovery.catalog().peers_count() == 2));
    let [a, b, c] = nodes;
    let id = c.id();
    c.kill().await;
    sleep(5 * SECOND).await;
    assert!(a.discovery.catalog().get(&id).is_some());
    let gone = |catalog: &Catalog| catalog.get(&id).is_none();
    a.until(6 * SECOND, gone).await;
    b.until(6 * SECOND, gone).await;
    assert!(a.knows(&b) && b.knows(&a));
}

#[tokio::test(start_paused = true)]
async fn a_partition_heals() {
    let world = World::new(14);
    let nodes = world.nodes(8);
    converged(&nodes, 5 * SECOND).await;
    sleep(10 * SECOND).await;
    let ids: Vec<_> = nodes.iter().map(Node::id).collect();
    world.net.partition(&[ids[..4].to_vec(), ids[4..].to_vec()]);
    sleep(60 * SECOND).await;
    nodes[1].discovery.add_tags("left");
    nodes[6].discovery.add_tags("right");
    sleep(10 * SECOND).await;
    let tagged = |index: usize| {
        let id = ids[index];
        move |catalog: &Catalog| catalog.get(&id).is_some_and(|entry| entry.tags().len() == 1)
    };
    assert!(!tagged(6)(&nodes[1].discovery.catalog()));
    world.net.heal();
    for node in &nodes {
        node.until(60 * SECOND, tagged(1)).await;
        node.until(60 * SECOND, tagged(6)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_too_large_for_gossip_arrives_all_the_same() {
    let world = World::new(15);
    let nodes = world.nodes(5);
    converged(&nodes, 5 * SECOND).await;
    let tags: Vec<_> = (0..1000_u64).map(Tag::from_u64).collect();
    nodes[2].discovery.add_tags(tags);
    let id = nodes[2].id();
    for node in &nodes {
        node.until(5 * SECOND, |catalog| catalog.get(&id).unwrap().tags().len() == 1000).await;
    }
    let too_many: Vec<_> = (0..10_000_u64).map(Tag::from_u64).collect();
    nodes[2].discovery.add_tags(too_many);
    assert_eq!(nodes[2].discovery.catalog().local().tags().len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn an_entry_with_large_tickets_is_gossiped_without_them() {
    let world = World::new(20);
    let [a, b] = <[Node; 2]>::try_from(world.nodes(2)).unwrap_or_else(|_| unreachable!());
    a.until(5 * SECOND, |catalog| catalog.peers_count() == 1).await;
    let ticket = crate::ticket::Ticket::new("class".into(), vec![7; 20_000].into());
    b.discovery.add_ticket(ticket).unwrap();
    sleep(10 * SECOND).await;
    let begun = Instant::now();
    b.discovery.add_tags("changed");
    let id = b.id();
    a.until(5 * SECOND, |catalog| catalog.get(&id).unwrap().tags().len() == 1).await;
    // Whoever learns of it by a beat alone waits for longer than that before it asks.
    assert!(begun.elapsed() < Duration::from_millis(150), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn streams_are_followed_by_id() {
    let world = World::new(16);
    let nodes = world.nodes(3);
    converged(&nodes, 5 * SECOND).await;
    let stream = StreamId::from("prices");
    let mut peers = nodes[1].discovery.stream_peers(stream);
    assert_eq!(peers.next().await.unwrap(), []);
    nodes[2].discovery.add_stream(stream).unwrap();
    let deltas = timeout(SECOND, peers.next()).await.unwrap().unwrap();
    assert!(matches!(&deltas[..], [PeerDelta::Added(entry)] if *entry.id() == nodes[2].id()));
    nodes[2].discovery.remove_stream(stream).unwrap();
    let deltas = timeout(SECOND, peers.next()).await.unwrap().unwrap();
    assert_eq!(deltas, [PeerDelta::Removed(nodes[2].id())]);
}

#[tokio::test(start_paused = true)]
async fn members_of_a_group_find_each_other() {
    let world = World::new(18);
    let nodes = world.nodes(3);
    converged(&nodes, 5 * SECOND).await;
    let group = GroupId::from("ledger");
    let mut peers = nodes[1].discovery.group_peers(group);
    assert_eq!(peers.next().await.unwrap(), []);
    for node in &nodes[1..] {
        node.discovery.add_group(group).unwrap();
        assert!(node.discovery.catalog().local().groups().contains(&group));
    }
    let deltas = timeout(SECOND, peers.next()).await.unwrap().unwrap();
    assert!(matches!(&deltas[..], [PeerDelta::Added(entry)] if *entry.id() == nodes[2].id()));
    nodes[2].discovery.remove_group(group).unwrap();
    let deltas = timeout(SECOND, peers.next()).await.unwrap().unwrap();
    assert_eq!(deltas, [PeerDelta::Removed(nodes[2].id())]);
    assert!(nodes[0].discovery.catalog().local().groups().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_task_of_discovery_outlives_it() {
    let world = World::new(17);
    let mut nodes = world.nodes(4);
    converged(&nodes, 5 * SECOND).await;
    let node = nodes.remove(1);
    node.discovery.depart().await;
    node.tasks.cancel();
    timeout(SECOND, node.tasks.ended()).await.expect("all tasks end");
}
