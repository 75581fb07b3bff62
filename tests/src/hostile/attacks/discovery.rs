//! Lies about who is there.

use std::time::Duration;

use anyhow::ensure;
use iroh::SecretKey;
use mosaik::UniqueId;
use tokio::time::{timeout, timeout_at};

use super::{Aim, garbage};
use crate::hostile::{
    peer::{Attacker, Session, drain, noise, say},
    wire::{self, Beat, Body, Departure, Item, Page, Summary},
};

const HOUR: u64 = 3_600_000_000;
/// How long one sync may take.
const SYNC_LIMIT: Duration = Duration::from_secs(1);

/// An entry that must be refused, by number: forged, foreign, of the future, of the past, about
/// the node itself, damaged.
fn lie(attacker: &Attacker, number: u64) -> Item {
    let key = &attacker.key;
    let version = attacker.version();
    let network = &attacker.network;
    let body = |version, network| Body::new(network, version, attacker.endpoint.addr());
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
pub(super) async fn sync_lies(aim: &Aim<'_>) -> u64 {
    let mut told = 0;
    aim.inside(async |attacker, session| {
        let replayed = Item::Entry(attacker.entry(1));
        for number in 0..500 {
            let items = [Item::Entry(attacker.entry(0)), lie(attacker, number)];
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
pub(super) async fn sync_turns(aim: &Aim<'_>) -> u64 {
    let unknown = SecretKey::generate().public();
    let mut told = 0;
    aim.inside(async |attacker, session| {
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

pub(super) async fn sync_flood(aim: &Aim<'_>) -> u64 {
    let mut told = 0;
    aim.inside(async |attacker, session| {
        let (mut send, recv) = session.open(wire::SYNC).await?;
        say(&mut send, &Page::End).await?;
        // What comes back is read, so that the exchange goes on.
        drain(recv);
        for _ in 0..1000 {
            if aim.is_over() {
                break;
            }
            // Close to the largest entry.
            let large = Item::Entry(wire::phantom(&attacker.network, 7000));
            say(&mut send, &wire::items([&large])).await?;
            let small: Vec<_> =
                (0..20).map(|_| Item::Entry(wire::phantom(&attacker.network, 0))).collect();
            say(&mut send, &wire::items(&small)).await?;
            told += 21;
        }
        Ok(())
    })
    .await;
    told
}

pub(super) async fn sync_phantoms(aim: &Aim<'_>) -> u64 {
    // Keys are costly to make; these are enough to choose from.
    let ids: Vec<_> = (0..5000).map(|_| SecretKey::generate().public()).collect();
    let mut named = 0;
    aim.inside(async |attacker, session| {
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

/// Frames as they are made, by number, until it is over; says how many were told.
async fn gossip(aim: &Aim<'_>, mut frame: impl FnMut(&Attacker, u64) -> Vec<u8>) -> u64 {
    let mut told = 0;
    aim.inside(async |attacker, session| {
        let (mut send, _recv) = session.open(wire::GOSSIP).await?;
        for number in 0..20_000 {
            // Making so much takes long, and the node may never make it wait.
            if aim.is_over() {
                break;
            }
            send.write_all(&wire::framed(&frame(attacker, number))).await?;
            told += 1;
        }
        Ok(())
    })
    .await;
    told
}

pub(super) async fn gossip_lies(aim: &Aim<'_>) -> u64 {
    let mut replayed = None;
    gossip(aim, |attacker, number| {
        let topic = wire::topic(&attacker.network);
        let of_item = |item: &Item| wire::announcement(topic, &wire::encode(item));
        let replayed = replayed.get_or_insert_with(|| of_item(&Item::Entry(attacker.entry(1))));
        let lie = lie(attacker, number);
        match number % 7 {
            0 => replayed.clone(),
            1 => noise(300),
            2 => wire::announcement([1; 32], &wire::encode(&lie)),
            3 => [replayed.as_slice(), &[0]].concat(),
            4 => wire::announcement(topic, &noise(100)),
            _ => of_item(&lie),
        }
    })
    .await
}

pub(super) async fn gossip_flood(aim: &Aim<'_>) -> u64 {
    gossip(aim, |attacker, number| {
        let topic = wire::topic(&attacker.network);
        if number % 4 == 0 {
            let ids: Vec<[u8; 32]> = (0..100).map(|_| *UniqueId::random().as_bytes()).collect();
            return wire::offers(topic, &ids);
        }
        let entry = Item::Entry(wire::phantom(&attacker.network, 10));
        wire::announcement(topic, &wire::encode(&entry))
    })
    .await
}
