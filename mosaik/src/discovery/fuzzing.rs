//! The decoders of discovery: entries, signs of life, gossip, sync pages, hello sections, the
//! files of the local directory, tickets.

use std::time::Duration;

use bytes::Bytes;
use iroh::{EndpointAddr, SecretKey};
use rand::{SeedableRng, rngs::StdRng};
use tokio::time::Instant;

use super::{
    admission,
    ask::{Answer, Question},
    beat::{Beat, Departure, Raw},
    bootstrap::Bootstrap,
    catalog::{Summary, SyncItem, Want},
    derived::{NetworkTag, gossip_topic},
    description::Description,
    entry::{PeerEntry, RawEntry, SignedPeerEntry},
    gossip::{self, Announcement, Overlay},
    node_ticket::NodeTicket,
    sources, sync,
    version::PeerEntryVersion,
};
use crate::{
    decoder::{Decoder, parses},
    id::{NetworkId, PeerId},
    schema::{self, fuzzing::encoded, schema_of},
    ticket::Ticket,
    transport::fuzzing::{framed, messages},
};

const VERSION: PeerEntryVersion = PeerEntryVersion::new(1, 2);

fn network() -> NetworkId {
    NetworkId::from("fuzzing")
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32])
}

fn beat(seed: u8) -> Beat {
    let tag = NetworkTag::of(&network());
    Beat::sign(&key(seed), &tag, VERSION, 3, Duration::from_secs(45))
}

fn departure(seed: u8) -> Raw<Departure> {
    Departure::sign(&key(seed), &NetworkTag::of(&network()), VERSION, 3).into()
}

fn address(seed: u8) -> EndpointAddr {
    EndpointAddr::new(key(seed).public())
        .with_ip_addr("192.0.2.1:4433".parse().expect("an address"))
        .with_ip_addr("[2001:db8::1]:4433".parse().expect("an address"))
        .with_relay_url("https://relay.example.org".parse().expect("an address"))
}

fn entry(seed: u8) -> SignedPeerEntry {
    PeerEntry::starting(network(), address(seed), VERSION)
        .add_tags(["one", "two"])
        .add_streams(["a stream"])
        .add_groups(["a group"])
        .sign(&key(seed))
        .expect("it is the key of the entry")
}

fn raw(seed: u8) -> RawEntry {
    entry(seed).with_beat(Some(beat(seed))).to_raw()
}

fn ticket() -> Ticket {
    Ticket::new(network(), Bytes::from_static(b"let me in"))
}

pub(crate) fn decoders() -> Vec<Decoder> {
    let [announcements, gossip] = gossip_decoders();
    let entries = Decoder::new("discovery/entry", |bytes| {
        schema::decode_prefix::<RawEntry>(bytes).is_ok_and(verifies)
    })
    .sample(encoded(&raw(1)))
    .sample(encoded(&entry(2).to_raw()));
    let files = Decoder::new("discovery/local-file", |bytes| {
        schema::decode_prefix::<RawEntry>(bytes).is_ok_and(verifies)
    })
    .sample(encoded(&raw(1)))
    .sample([encoded(&raw(1)), b"of a later version".to_vec()].concat());
    let newer_runs = Decoder::new("discovery/newer-run", |proof| {
        admission::newer_run(proof).is_some_and(proves)
    })
    .sample(encoded(&SyncItem::Entry(raw(1))))
    .sample(encoded(&SyncItem::Departure(departure(3))));
    let names = Decoder::new("discovery/local-file-name", |bytes| {
        std::str::from_utf8(bytes).is_ok_and(|name| sources::peer_of_entry(name).is_some())
    })
    .sample(format!("{}.entry", key(1).public()));
    let bodies = Decoder::new("discovery/hello-bodies", |bytes| {
        let bodies = admission::decode::<admission::Bodies>(bytes);
        bodies.is_ok_and(|bodies| bodies.entry.is_none_or(verifies))
    })
    .sample(encoded(&admission::Bodies { entry: Some(raw(1)), tickets: vec![ticket()] }))
    .sample(encoded(&admission::Bodies { entry: None, tickets: Vec::new() }));
    let mut offers = Decoder::new("discovery/hello-offer", |bytes| {
        admission::decode::<admission::Offer>(bytes).is_ok()
    });
    offers.samples = admission::samples().iter().map(encoded).collect();
    let mut pages = Decoder::new("discovery/sync-page", |bytes| {
        schema::decode_prefix::<sync::Page>(bytes).is_ok()
    });
    pages.samples = sync::samples(vec![
        SyncItem::Entry(raw(1)),
        SyncItem::Beat(beat(2).into()),
        SyncItem::Departure(departure(3)),
    ])
    .iter()
    .map(encoded)
    .collect();
    let mut items = Decoder::new("discovery/sync-item", |bytes| {
        schema::decode_prefix::<SyncItem>(bytes).is_ok_and(proves)
    });
    items.samples = vec![
        encoded(&SyncItem::Entry(raw(1))),
        encoded(&SyncItem::Beat(beat(2).into())),
        encoded(&SyncItem::Departure(departure(3))),
    ];
    let mut questions = Decoder::new("discovery/question", |bytes| {
        schema::decode_prefix::<Question>(bytes).is_ok()
    });
    questions.samples = [
        Question::Ping,
        Question::Describe(network()),
        Question::Fetch(key(1).public()),
        Question::Skew { ours: 1, yours: u64::MAX },
        Question::Tickets([network(), ticket().id()].into()),
        Question::TicketsChanged(VERSION),
    ]
    .iter()
    .map(encoded)
    .collect();
    let described = Description::new("a stream").with_schema(Some(schema_of::<(u8, String)>()));
    let mut answers = Decoder::new("discovery/answer", |bytes| {
        schema::decode_prefix::<Answer>(bytes).is_ok_and(|answer| match answer {
            Answer::Entry(Some(raw)) => verifies(raw),
            _ => true,
        })
    });
    answers.samples = [
        Answer::Heard,
        Answer::Description(Some(described)),
        Answer::Description(None),
        Answer::Entry(Some(raw(1))),
        Answer::Tickets(vec![ticket(), ticket()]),
    ]
    .iter()
    .map(encoded)
    .collect();
    let tickets = Decoder::new("discovery/node-ticket", parses::<NodeTicket>)
        .sample(NodeTicket::from(address(1)).to_string());
    let bootstrap = Decoder::new("discovery/bootstrap", parses::<Bootstrap>)
        .sample(format!("{}@node.example.org:4433", key(1).public()))
        .sample(format!("{}@[::1]:4433", key(1).public()))
        .sample(key(1).public().to_string())
        .sample(NodeTicket::from(address(1)).to_string());
    vec![
        entries,
        files,
        names,
        newer_runs,
        bodies,
        offers,
        pages,
        items,
        questions,
        answers,
        announcements,
        gossip,
        tickets,
        bootstrap,
    ]
}

/// The announcements on their own, and the protocol behind the check of its frames.
fn gossip_decoders() -> [Decoder; 2] {
    let topic = gossip_topic(&network());
    let contents = [
        encoded(&Announcement::Entry(raw(1))),
        encoded(&Announcement::Beat(beat(2).into())),
        encoded(&Announcement::Departure(departure(3))),
    ];
    let mut announcements = Decoder::new("discovery/announcement", |bytes| {
        schema::decode::<Announcement>(bytes).is_ok_and(|said| {
            let tag = NetworkTag::of(&network());
            match said {
                Announcement::Entry(raw) => verifies(raw),
                Announcement::Beat(raw) => raw.verify(&tag).is_ok(),
                Announcement::Departure(raw) => raw.verify(&tag).is_ok(),
            }
        })
    });
    announcements.samples = contents.to_vec();
    let frames = gossip::samples(topic, &contents, &key(5).public());
    let mut gossip = Decoder::new("discovery/gossip", gossips);
    gossip.samples = frames.iter().map(|frame| framed(frame)).collect();
    gossip.samples.push(frames.iter().flat_map(|frame| framed(frame)).collect());
    [announcements, gossip]
}

fn proves(item: SyncItem) -> bool {
    match item {
        SyncItem::Entry(raw) => verifies(raw),
        SyncItem::Beat(raw) => raw.verify(&NetworkTag::of(&network())).is_ok(),
        SyncItem::Departure(raw) => raw.verify(&NetworkTag::of(&network())).is_ok(),
    }
}

fn verifies(raw: RawEntry) -> bool {
    raw.verify(&NetworkTag::of(&network()), |_| None).is_ok()
}

/// Gives frames to a node's place in the gossip, which believes every announcement; then its
/// timers run for a minute.
fn gossips(bytes: &[u8]) -> bool {
    let Some(frames) = messages(bytes) else { return false };
    let from: PeerId = key(7).public();
    let mut now = Instant::now();
    let topic = gossip_topic(&network());
    let rng = StdRng::seed_from_u64(1);
    let mut overlay = Overlay::new(key(8).public(), topic, rng, now);
    let taken = frames.iter().all(|frame| overlay.frame(from, frame, now, |_| Ok(())).is_ok());
    for _ in 0..12 {
        now += Duration::from_secs(5);
        overlay.tick(now);
    }
    overlay.disconnected(from, now);
    overlay.take_effects();
    taken
}

/// What two catalogs compare, of peers with these seeds.
pub(super) fn summaries(seeds: [u8; 2]) -> (Vec<Summary>, Vec<Want>) {
    let summary = |seed| Summary::sample(key(seed).public(), VERSION);
    let want = |seed| Want::sample(key(seed).public(), VERSION);
    (seeds.map(summary).into(), seeds.map(want).into())
}
