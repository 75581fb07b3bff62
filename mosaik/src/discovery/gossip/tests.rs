//! Many overlays in one loop, in virtual time, by a seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use iroh::SecretKey;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::*;
use crate::{
    discovery::{
        beat::{Beat, Raw},
        catalog::{Effects, Input, Merged, Rules, State},
        derived::{NetworkTag, gossip_topic},
        entry::PeerEntry,
        refusal::Refusal,
        version::PeerEntryVersion,
    },
    id::{NetworkId, PeerId},
};

const EPOCH: u64 = 1_700_000_000_000_000;

struct Node {
    key: SecretKey,
    overlay: Overlay,
    catalog: State,
    refused: u64,
    /// When each announced update arrived.
    heard: Vec<Duration>,
}

enum Event {
    Frame { from: PeerId, to: PeerId, frame: Bytes },
    Released { by: PeerId, at: PeerId },
    Join(PeerId),
    Timer(PeerId),
}

struct World {
    nodes: BTreeMap<PeerId, Node>,
    dead: BTreeSet<PeerId>,
    queue: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    start: Instant,
    now: Duration,
    rng: StdRng,
    sent: u64,
}

fn network() -> NetworkId {
    "net".into()
}

fn node(seed: u8, start: Instant) -> Node {
    let key = SecretKey::from_bytes(&[seed; 32]);
    let local =
        PeerEntry::starting(network(), key.public().into(), PeerEntryVersion::new(EPOCH, EPOCH));
    let rules = Rules::new(network(), Duration::from_secs(300), Duration::from_secs(50));
    let rng = StdRng::seed_from_u64(seed.into());
    Node {
        overlay: Overlay::new(key.public(), gossip_topic(&network()), rng, start),
        catalog: State::new(rules, local.sign(&key).unwrap()),
        key,
        refused: 0,
        heard: Vec::new(),
    }
}

impl World {
    fn new(count: u8, seed: u64) -> (Self, Vec<PeerId>) {
        let start = Instant::now();
        let nodes: Vec<_> = (0..count).map(|seed| node(seed, start)).collect();
        let ids = nodes.iter().map(|node| node.key.public()).collect();
        let world = Self {
            nodes: nodes.into_iter().map(|node| (node.key.public(), node)).collect(),
            dead: BTreeSet::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            start,
            now: Duration::ZERO,
            rng: StdRng::seed_from_u64(seed),
            sent: 0,
        };
        (world, ids)
    }

    fn at(&mut self, when: Duration, event: Event) {
        self.sequence += 1;
        self.queue.insert((when, self.sequence), event);
    }

    fn latency(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(4..=6))
    }

    fn run_until(&mut self, end: Duration) {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at > end {
                self.at(at, event);
                break;
            }
            self.now = at;
            self.step(event);
        }
        self.now = end;
    }

    fn step(&mut self, event: Event) {
        let now = self.start + self.now;
        let node = match &event {
            Event::Frame { to, .. } => *to,
            Event::Released { at, .. } => *at,
            Event::Join(id) | Event::Timer(id) => *id,
        };
        let first = *self.nodes.keys().next().unwrap();
        if self.dead.contains(&node) {
            if let Event::Frame { from, to, .. } = event
                && let Some(sender) = self.nodes.get_mut(&from)
            {
                sender.overlay.disconnected(to, now);
                self.effects(from);
            }
            return;
        }
        let to = self.nodes.get_mut(&node).unwrap();
        match event {
            Event::Frame { from, frame, .. } => {
                let Node { overlay, catalog, heard, .. } = to;
                let since = self.now;
                let judged = overlay.frame(from, &frame, now, |announcement| {
                    judge(catalog, announcement).map(|merged| {
                        if merged == Merged::New {
                            heard.push(since);
                        }
                    })
                });
                to.refused += u64::from(judged.is_err());
            }
            Event::Released { by, .. } => to.overlay.disconnected(by, now),
            Event::Join(_) => to.overlay.join([first], now),
            Event::Timer(_) => to.overlay.tick(now),
        }
        self.effects(node);
    }

    fn effects(&mut self, id: PeerId) {
        let node = self.nodes.get_mut(&id).unwrap();
        let effects = node.overlay.take_effects();
        if let Some(next) = node.overlay.next_timer() {
            let when = next.saturating_duration_since(self.start).max(self.now);
            self.at(when, Event::Timer(id));
        }
        for effect in effects {
            let latency = self.latency();
            let when = self.now + latency;
            match effect {
                Effect::Send { to, frame } => {
                    self.sent += 1;
                    self.at(when, Event::Frame { from: id, to, frame });
                }
                Effect::Release(peer) => self.at(when, Event::Released { by: id, at: peer }),
                Effect::NeighborUp(_) | Effect::NeighborDown(_) => {}
            }
        }
    }

    fn announce(&mut self, id: PeerId, announcement: &Announcement) {
        let now = self.start + self.now;
        assert!(self.nodes.get_mut(&id).unwrap().overlay.announce(announcement, now));
        self.effects(id);
    }
}

fn judge(catalog: &mut State, announcement: Announcement) -> Result<Merged, Refusal> {
    let tag = NetworkTag::of(&network());
    let input = match announcement {
        Announcement::Entry(raw) => Input::Entry(raw.verify(&tag, |_| None)?),
        Announcement::Beat(raw) => Input::Beat(raw.verify(&tag)?),
        Announcement::Departure(raw) => Input::Departure(raw.verify(&tag)?),
    };
    catalog.merge(input, EPOCH, &mut Effects::default())
}

/// All nodes join through the first one.
fn joined(count: u8, seed: u64) -> (World, Vec<PeerId>) {
    let (mut world, ids) = World::new(count, seed);
    for (order, id) in ids.iter().enumerate() {
        world.at(Duration::from_millis(order as u64), Event::Join(*id));
    }
    world.run_until(Duration::from_secs(20));
    (world, ids)
}

#[test]
fn an_announcement_reaches_all_of_50_nodes() {
    let (mut world, ids) = joined(50, 1);
    let speaker = ids[3];
    let entry = world.nodes[&speaker].catalog.local().to_raw();
    world.announce(speaker, &Announcement::Entry(entry));
    world.run_until(Duration::from_secs(21));
    for (id, node) in &world.nodes {
        assert!(!node.overlay.neighbors().is_empty());
        if *id != speaker {
            assert!(node.catalog.catalog().get(&speaker).is_some());
            assert!(node.heard[0] < Duration::from_millis(20_200), "{:?}", node.heard);
        }
    }
    assert!(world.sent < 10_000, "{}", world.sent);
}

#[test]
fn a_forged_announcement_dies_at_the_first_honest_hop() {
    let (mut world, ids) = joined(50, 2);
    let (liar, victim) = (ids[5], ids[6]);
    let tag = NetworkTag::of(&"another network".into());
    let beat = Beat::sign(
        &world.nodes[&victim].key,
        &tag,
        PeerEntryVersion::new(EPOCH, EPOCH),
        EPOCH,
        Duration::from_secs(45),
    );
    world.announce(liar, &Announcement::Beat(Raw::from(beat)));
    world.run_until(Duration::from_secs(60));
    let hops = world.nodes[&liar].overlay.neighbors().len() as u64;
    let refused: u64 = world.nodes.values().map(|node| node.refused).sum();
    assert!(refused >= 1);
    // Its own neighbours refuse it, each once for every time that the liar offers it.
    let refusing = world.nodes.values().filter(|node| node.refused > 0).count() as u64;
    assert!(refusing <= hops, "{refusing} of {hops}");
    assert!(world.nodes.values().all(|node| node.heard.is_empty()));
}

#[test]
fn the_overlay_survives_the_loss_of_a_third() {
    let (mut world, ids) = joined(50, 3);
    world.dead.extend(ids.iter().step_by(3).copied());
    let speaker = ids[1];
    // The dead are noticed when somebody talks to them.
    for step in 1..=40_u64 {
        let version = PeerEntryVersion::new(EPOCH, EPOCH + step);
        let key = world.nodes[&speaker].key.clone();
        let entry = PeerEntry::starting(network(), speaker.into(), version).sign(&key).unwrap();
        world.announce(speaker, &Announcement::Entry(entry.to_raw()));
        world.run_until(Duration::from_secs(20 + 2 * step));
    }
    let last = PeerEntryVersion::new(EPOCH, EPOCH + 40);
    for (id, node) in &world.nodes {
        if *id != speaker && !world.dead.contains(id) {
            let known = node.catalog.catalog().get(&speaker).map(|entry| entry.update_version());
            assert_eq!(known, Some(last));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| joined(20, seed).0.sent;
    assert_eq!(run(9), run(9));
}

#[test]
fn an_announcement_with_bytes_to_spare_is_not_passed_on() {
    let start = Instant::now();
    let (mut node, speaker) = (node(1, start), node(2, start));
    let beat = Beat::sign(
        &speaker.key,
        &NetworkTag::of(&network()),
        PeerEntryVersion::new(EPOCH, EPOCH),
        EPOCH,
        Duration::from_secs(45),
    );
    let content = postcard::to_stdvec(&Announcement::Beat(Raw::from(beat))).unwrap();
    let longer = [&content[..], b"more"].concat();
    let mut deliver = |content: Vec<u8>| {
        let frame = frame::first_hop(&gossip_topic(&network()), content.into());
        node.overlay.frame(speaker.key.public(), &frame, start, |_| Ok(()))
    };
    assert_eq!(deliver(longer), Err(Refusal::Malformed));
    assert_eq!(deliver(content), Ok(()));
}

#[test]
fn garbage_uses_up_the_share_of_the_neighbour_that_delivers_it() {
    let start = Instant::now();
    let (mut node, liar) = (node(1, start), node(2, start));
    let topic = gossip_topic(&network());
    let mut deliver =
        |frame: &[u8]| node.overlay.frame(liar.key.public(), frame, start, |_| Ok(()));
    let foreign = frame::first_hop(&[7; 32], Bytes::from_static(b"hello"));
    let garbage: [(&[u8], _); 3] = [
        (b"garbage", Refusal::Malformed),
        (&foreign, Refusal::Foreign),
        (&[0; MAX_FRAME_BYTES + 1], Refusal::Oversized),
    ];
    for (frame, refusal) in garbage {
        assert_eq!(deliver(frame), Err(refusal));
    }
    let outcomes: Vec<_> = (0..2000).map(|_| deliver(b"garbage")).collect();
    assert_eq!(outcomes[1999], Err(Refusal::Flooded));
    // What it announces has a share of its own.
    let beat = Beat::sign(
        &liar.key,
        &NetworkTag::of(&network()),
        PeerEntryVersion::new(EPOCH, EPOCH),
        EPOCH,
        Duration::from_secs(45),
    );
    let content = postcard::to_stdvec(&Announcement::Beat(Raw::from(beat))).unwrap();
    assert_eq!(deliver(&frame::first_hop(&topic, content.into())), Ok(()));
}

#[test]
fn offers_of_what_never_comes_are_forgotten() {
    let start = Instant::now();
    let (mut node, liar) = (node(1, start), node(2, start));
    let offers = (0..50).map(|id| [id; 32]);
    let offers = frame::offer(&gossip_topic(&network()), offers);
    node.overlay.frame(liar.key.public(), &offers, start, |_| Ok(())).unwrap();
    let waits = |node: &Node| !format!("{:?}", node.overlay).contains("missing_messages: {}");
    for second in 0..59 {
        node.overlay.tick(start + Duration::from_secs(second));
        assert!(waits(&node));
    }
    node.overlay.tick(start + Duration::from_secs(60));
    assert!(!waits(&node));
}

#[test]
fn an_oversized_announcement_is_not_sent() {
    let start = Instant::now();
    let mut node = node(1, start);
    let tags: Vec<_> = (0..200_u64).map(crate::id::Tag::from_u64).collect();
    let entry = node.catalog.local().clone().into_unsigned().add_tags(tags).sign(&node.key);
    let announcement = Announcement::Entry(entry.unwrap().to_raw());
    assert!(!node.overlay.announce(&announcement, start));
    assert!(node.overlay.take_effects().is_empty());
}
