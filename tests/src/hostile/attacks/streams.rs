//! Hostile producers and consumers, and misuse of the bulk lane.

use std::time::Duration;

use iroh::endpoint::{Connection, RecvStream, SendStream};
use mosaik::UniqueId;
use tokio::time::{sleep, timeout_at};

use super::{Aim, garbage, stream_id};
use crate::hostile::{
    peer::{Attacker, Session, hear, noise, say},
    wire::{self, Answer, Asked, Subscribe, Word},
};

/// What a stream of data begins with, for a slot.
fn header(slot: u64) -> Vec<u8> {
    [&[1][..], &slot.to_le_bytes()].concat()
}

pub(super) async fn bulk_garbage(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    aim.again(async |number| match number % 4 {
        // No token, a wrong one, one too long.
        kind @ 0..3 => {
            let conn = attacker.dial(wire::BULK).await?;
            let (mut send, mut recv) = conn.open_bi().await?;
            send.write_all(&noise([0, 16, 5000][usize::try_from(kind)?])).await?;
            let _ = send.finish();
            let _ = recv.read_to_end(10).await;
            Ok(())
        }
        _ => streams_for_nobody(aim, &attacker).await,
    })
    .await
}

async fn streams_for_nobody(aim: &Aim, attacker: &Attacker) -> anyhow::Result<()> {
    let mut session = attacker.enter().await?;
    let conn = attacker.bulk(&mut session).await?;
    let mut held = Vec::new();
    for number in 0..300_u64 {
        let mut send = timeout_at(aim.until, conn.open_uni()).await??;
        match number % 4 {
            0 => send.write_all(&garbage(number / 4)).await?,
            1 => send.write_all(&header(number)).await?,
            2 => send.write_all(&header(number)[..4]).await?,
            _ => {
                let _ = send.write_all(&[header(number), noise(3000)].concat()).await;
            }
        }
        // Half of a header: as slow as can be.
        if number % 4 == 2 && held.len() < 8 {
            held.push(send);
        }
    }
    sleep(Duration::from_millis(200)).await;
    Ok(())
}

/// The node's streams: one whose producer waits, and its twin that drops what is not read.
const STREAMS: [&str; 2] = ["open-out", "twin"];

/// Subscribes to one of the node's streams from what it retains, so that the producer waits.
async fn subscribe(
    aim: &Aim,
    session: &Session,
    slot: u64,
) -> anyhow::Result<(SendStream, RecvStream)> {
    let (mut send, mut recv) = session.open(wire::SUBSCRIBE).await?;
    let subscribe = Subscribe {
        version: 1,
        stream: stream_id(STREAMS[usize::try_from(slot)? % STREAMS.len()]),
        fingerprint: None,
        slot,
        consumer: slot,
        from: 0,
        group: None,
    };
    say(&mut send, &subscribe).await?;
    let _: Answer = timeout_at(aim.until, hear(&mut recv)).await??;
    Ok((send, recv))
}

pub(super) async fn never_reads(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let mut subscribed = 0;
    aim.again(async |_| {
        let mut session = attacker.enter().await?;
        let _bulk = attacker.bulk(&mut session).await?;
        let mut held = Vec::new();
        for slot in 0..20 {
            held.push(subscribe(aim, &session, slot).await?);
            subscribed += 1;
        }
        sleep(Duration::from_secs(2)).await;
        Ok(())
    })
    .await;
    subscribed
}

/// Takes all that comes, as fast as it can, and never says so.
pub(super) async fn never_acknowledges(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let mut read = 0;
    aim.again(async |_| {
        let mut session = attacker.enter().await?;
        let bulk = attacker.bulk(&mut session).await?;
        let mut held = Vec::new();
        for slot in 0..20 {
            held.push(subscribe(aim, &session, slot).await?);
            read += 1;
        }
        let readers = async {
            while let Ok(mut recv) = bulk.accept_uni().await {
                tokio::spawn(async move {
                    let mut sink = vec![0; 64 * 1024];
                    while let Ok(Some(_)) = recv.read(&mut sink).await {}
                });
            }
        };
        let _ = timeout_at(aim.until, readers).await;
        Ok(())
    })
    .await;
    read
}

/// Subscribers that talk nonsense from then on.
pub(super) async fn word_garbage(aim: &Aim) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let mut said = 0;
    aim.again(async |_| {
        let mut session = attacker.enter().await?;
        let _bulk = attacker.bulk(&mut session).await?;
        for slot in 0..100 {
            let (mut send, _recv) = subscribe(aim, &session, slot).await?;
            for _ in 0..20 {
                // Of a later version, as it were.
                send.write_all(&wire::framed(&[9; 30])).await?;
            }
            say(&mut send, &Word::Taken(u64::MAX)).await?;
            let _ = send.write_all(&garbage(slot)).await;
            let _ = send.finish();
            said += 22;
        }
        Ok(())
    })
    .await;
    said
}

/// Says that it produces two streams; to whoever subscribes it sends what it should not.
pub(super) async fn lying_producer(aim: &Aim, number: usize) -> u64 {
    let Ok(mut attacker) = aim.attacker().await else { return 0 };
    attacker.streams = ["open", "unread"].map(stream_id).into();
    let attacker = &attacker;
    let mut sent = 0;
    aim.again(async |_| {
        let mut session = attacker.enter().await?;
        let conn = session.conn.clone();
        let bulk = attacker.bulk(&mut session).await?;
        let mut held = Vec::new();
        loop {
            let (send, mut recv) = timeout_at(aim.until, conn.accept_bi()).await??;
            let mut kind = [0];
            recv.read_exact(&mut kind).await?;
            if kind[0] == wire::SUBSCRIBE {
                sent += 1;
                // The node may have had enough.
                sent += lie_to(aim, &bulk, send, recv, number).await.unwrap_or(0);
            } else {
                // A sync or gossip that never gets an answer.
                held.push((send, recv));
            }
        }
    })
    .await;
    sent
}

/// Serves one subscription; says how many bytes the node took.
async fn lie_to(
    aim: &Aim,
    bulk: &Connection,
    mut send: SendStream,
    mut recv: RecvStream,
    number: usize,
) -> anyhow::Result<u64> {
    let asked: Asked = hear(&mut recv).await?;
    let mut data = bulk.open_uni().await?;
    data.write_all(&header(asked.slot)).await?;
    say(&mut send, &Answer::Accepted { epoch: 1, next: 0 }).await?;
    let unread: UniqueId = stream_id("unread");
    let mut sent = 0;
    match number % 4 {
        // Ten times the window, one number after the other.
        0 => {
            let numbers = [1, 5].repeat(50_000);
            while sent < 12_500_000 && !aim.is_over() {
                let writing = data.write_all(&numbers);
                // The node's reader that never reads takes a window, and not a byte more.
                let limit = if asked.stream == unread { 1 } else { 5 };
                let until = tokio::time::Instant::now() + Duration::from_secs(limit);
                timeout_at(until.min(aim.until), writing).await??;
                sent += numbers.len() as u64;
            }
        }
        // The longest frame that is allowed, of which the last byte never comes.
        1 => {
            data.write_all(&wire::length(16 * 1024 * 1024)).await?;
            let part = noise(256 * 1024);
            for number in 1..=64 {
                let part = if number < 64 { &part[..] } else { &part[1..] };
                timeout_at(aim.until, data.write_all(part)).await??;
                sent += part.len() as u64;
            }
            timeout_at(aim.until, data.stopped()).await??;
        }
        // A frame that is longer than allowed; then datums that are none.
        2 => data.write_all(&wire::length(1 << 40)).await?,
        _ => data.write_all(&[wire::length(20), vec![0xff; 20]].concat()).await?,
    }
    // An answer that nobody asked for.
    send.write_all(&garbage(number as u64)).await?;
    Ok(sent)
}
