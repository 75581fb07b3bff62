//! Lies about who is there.

use std::time::Duration;

use anyhow::ensure;
use iroh::{EndpointAddr, SecretKey};
use mosaik::UniqueId;
use tokio::time::{timeout, timeout_at};

use super::{Aim, garbage};
use crate::hostile::{
    peer::{Attacker, Session, hear, noise, say},
    wire::{
        self, Beat, Bodies, Body, Departure, Hello, Item, Offer, Page, RawEntry, Summary, Verdict,
    },
};

const HOUR: u64 = 3_600_000_000;
/// How long one sync may take.
const SYNC_LIMIT: Duration = Duration::from_secs(1);

/// An entry of an identity that was made up for it.
fn phantom(attacker: &Attacker, tags: usize) -> (SecretKey, RawEntry) {
    let key = SecretKey::generate();
    let version = (attacker.start, wire::now());
    let mut tags: Vec<_> = (0..tags).map(|_| UniqueId::random()).collect();
    tags.sort_unstable();
    let body = Body {
        network: wire::tag(&attacker.network),
        version,
        protocol: "1.0.0".into(),
        address: EndpointAddr::new(key.public()).with_ip_addr(([127, 0, 0, 1], 9).into()),
        tags,
        streams: vec![super::stream_id("open")],
        tickets: Vec::new(),
    };
    let beat = wire::sign_beat(&key, &attacker.network, version, wire::now());
    let entry = wire::sign_entry(&key, &body, Some(beat));
    (key, entry)
}

/// An entry that must be refused, by number: forged, foreign, of the future, of the past, about
/// the node itself, damaged.
fn lie(attacker: &Attacker, number: u64) -> Item {
    let key = &attacker.key;
    let version = attacker.version();
    let body = |version: wire::Version, network: &UniqueId| Body {
        network: wire::tag(network),
        version,
        protocol: "1.0.0".into(),
        address: attacker.endpoint.addr(),
        tags: Vec::new(),
        streams: Vec::new(),
        tickets: Vec::new(),
    };
    let network = &attacker.network;
    let beat = |version, time| wire::sign_beat(key, network, version, time);
    match number % 8 {
        0 => {
            let other = SecretKey::generate();
            Item::Entry(wire::sign_entry(&other, &body(version, network), None))
        }
        1 => Item::Entry(wire::sign_entry(key, &body(version, &UniqueId::random()), None)),
        2 => {
            let future = (version.0, version.1 + HOUR);
            Item::Entry(wire::sign_entry(key, &body(future, network), None))
        }
        3 => Item::Entry(wire::sign_entry(key, &body((1, 2), network), None)),
        4 => {
            let address = attacker.target.clone();
            let body = Body { address, ..body(version, network) };
            Item::Entry(wire::sign_entry(key, &body, None))
        }
        5 => {
            let mut entry = attacker.entry(2);
            entry.bytes = noise(entry.bytes.len()).into();
            Item::Entry(entry)
        }
        6 => Item::Beat(Beat { time: wire::now() + 1, ..beat(version, wire::now()) }),
        _ => {
            let peer = attacker.target.id;
            let signature = key.sign(b"the node departs");
            Item::Departure(Departure { peer, version, time: wire::now(), signature })
        }
    }
}

pub(super) async fn bodies_garbage(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    aim.again(async |number| {
        let conn = attacker.dial(wire::CONTROL).await?;
        let (mut send, mut recv) = conn.open_bi().await?;
        say(&mut send, &Hello::Opening(attacker.opening(&conn, wire::DIALLER)?, None)).await?;
        let Hello::Opening(_, verdict) = hear(&mut recv).await? else { return Ok(()) };
        let ours = verdict.is_none().then_some(Verdict::Keep);
        let offer = match number % 6 {
            0 => noise(80),
            1 => vec![1; 300_000],
            2 => return Ok(send.write_all(&garbage(number / 6)).await?),
            _ => {
                let version = attacker.version();
                let offer = Offer { version, digest: [0; 32], known: None, held: Vec::new() };
                wire::encode(&offer)
            }
        };
        say(&mut send, &Hello::Offer(ours, offer.into())).await?;
        let bodies = match number % 6 {
            3 => noise(500),
            4 => {
                let entry = Some(phantom(&attacker, 0).1);
                // Tickets that the entry does not name, beside an entry of somebody else.
                let tickets = vec![(UniqueId::random(), noise(100_000).into()); 2];
                wire::encode(&Bodies { entry, tickets })
            }
            5 => vec![1; 320 * 1024],
            _ => wire::encode(&Bodies { entry: None, tickets: Vec::new() }),
        };
        say(&mut send, &Hello::Bodies(bodies.into())).await?;
        let _ = recv.read_to_end(1 << 20).await;
        Ok(())
    })
    .await
}

/// A sync in which these pages follow the summary, which is empty; until the node ends it.
async fn sync(session: &Session, pages: &[Vec<u8>]) -> anyhow::Result<()> {
    let (mut send, mut recv) = session.open(wire::SYNC).await?;
    say(&mut send, &Page::End).await?;
    for page in pages {
        // The node may have had enough.
        if send.write_all(page).await.is_err() {
            break;
        }
    }
    let _ = send.finish();
    let _ = timeout(SYNC_LIMIT, recv.read_to_end(1 << 20)).await;
    Ok(())
}

fn page(page: &Page) -> Vec<u8> {
    wire::framed(&wire::encode(page))
}

/// One lie in each sync, behind what is true: a sync ends at its first forgery.
pub(super) async fn sync_lies(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let replayed = Item::Entry(attacker.entry(1));
    let mut told = 0;
    aim.again(async |_| {
        let session = attacker.enter().await?;
        for number in 0..500 {
            let items = [Item::Entry(attacker.entry(0)), lie(&attacker, number)];
            let items = wire::items(items.iter().chain([&replayed]));
            sync(&session, &[page(&items), page(&Page::End)]).await?;
            told += 1;
        }
        Ok(())
    })
    .await;
    told
}

/// The first turn is right; the pages of the later ones are noise, or do not belong there.
pub(super) async fn sync_turns(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let unknown = SecretKey::generate().public();
    let mut told = 0;
    aim.again(async |_| {
        let session = attacker.enter().await?;
        for number in 0..500 {
            let wants = Page::Wants(vec![(unknown, None); 1000]);
            let summary = Page::Summary(vec![Summary {
                peer: unknown,
                version: attacker.version(),
                beat: wire::now(),
                departed: false,
            }]);
            let pages = match number % 5 {
                0 => vec![garbage(number / 5)],
                1 => vec![page(&wants); 100],
                2 => vec![page(&summary), page(&Page::End), page(&Page::End)],
                3 => vec![page(&Page::Items(vec![noise(100).into(); 500]))],
                _ => vec![page(&Page::End), garbage(number / 5)],
            };
            sync(&session, &pages).await?;
            told += 1;
        }
        Ok(())
    })
    .await;
    told
}

pub(super) async fn sync_flood(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let mut told = 0;
    aim.again(async |_| {
        let session = attacker.enter().await?;
        let (mut send, mut recv) = session.open(wire::SYNC).await?;
        say(&mut send, &Page::End).await?;
        // What comes back is read, so that the exchange goes on.
        tokio::spawn(async move {
            let mut sink = vec![0; 64 * 1024];
            while let Ok(Some(_)) = recv.read(&mut sink).await {}
        });
        for _ in 0..1000 {
            // Making so much takes long, and the node may never make it wait.
            if aim.is_over() {
                break;
            }
            // Close to the largest entry.
            let large = Item::Entry(phantom(&attacker, 7000).1);
            say(&mut send, &wire::items([&large])).await?;
            let small: Vec<_> = (0..20).map(|_| Item::Entry(phantom(&attacker, 0).1)).collect();
            say(&mut send, &wire::items(&small)).await?;
            told += 21;
        }
        Ok(())
    })
    .await;
    told
}

pub(super) async fn sync_phantoms(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    // Keys are costly to make; these are enough to choose from.
    let ids: Vec<_> = (0..5000).map(|_| SecretKey::generate().public()).collect();
    let mut named = 0;
    aim.again(async |_| {
        let session = attacker.enter().await?;
        let (mut send, mut recv) = session.open(wire::SYNC).await?;
        for _ in 0..12 {
            for ids in ids.chunks(1000) {
                let summary = ids.iter().map(|peer| Summary {
                    peer: *peer,
                    version: attacker.version(),
                    beat: wire::now(),
                    departed: false,
                });
                say(&mut send, &Page::Summary(summary.collect())).await?;
                named += ids.len() as u64;
            }
        }
        say(&mut send, &Page::End).await?;
        let wanted = timeout_at(aim.until, recv.read_to_end(64 << 20)).await?;
        ensure!(wanted.is_err(), "it ends only when the node has had enough");
        Ok(())
    })
    .await;
    named
}

pub(super) async fn gossip_lies(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let topic = wire::topic(&attacker.network);
    let replayed = wire::announcement(topic, &wire::encode(&Item::Entry(attacker.entry(1))));
    let mut told = 0;
    aim.again(async |_| {
        let session = attacker.enter().await?;
        let (mut send, _recv) = session.open(wire::GOSSIP).await?;
        for number in 0..20_000 {
            if aim.is_over() {
                break;
            }
            let content = wire::encode(&lie(&attacker, number));
            let frame = match number % 7 {
                0 => replayed.clone(),
                1 => noise(300),
                2 => wire::announcement([1; 32], &content),
                3 => [replayed.as_slice(), &[0]].concat(),
                4 => wire::announcement(topic, &noise(100)),
                _ => wire::announcement(topic, &content),
            };
            send.write_all(&wire::framed(&frame)).await?;
            told += 1;
        }
        Ok(())
    })
    .await;
    told
}

pub(super) async fn gossip_flood(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let topic = wire::topic(&attacker.network);
    let mut told = 0;
    aim.again(async |_| {
        let session = attacker.enter().await?;
        let (mut send, _recv) = session.open(wire::GOSSIP).await?;
        for number in 0..20_000 {
            if aim.is_over() {
                break;
            }
            let frame = if number % 4 == 0 {
                let ids: Vec<[u8; 32]> = (0..100).map(|_| *UniqueId::random().as_bytes()).collect();
                wire::offers(topic, &ids)
            } else {
                let (_, entry) = phantom(&attacker, 10);
                wire::announcement(topic, &wire::encode(&Item::Entry(entry)))
            };
            send.write_all(&wire::framed(&frame)).await?;
            told += 1;
        }
        Ok(())
    })
    .await;
    told
}
