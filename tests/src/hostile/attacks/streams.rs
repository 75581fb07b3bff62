//! Hostile consumers, and misuse of streams and lanes.

use std::time::Duration;

use iroh::endpoint::{Connection, RecvStream, SendStream, VarInt};
use mosaik::UniqueId;
use tokio::time::{sleep, timeout, timeout_at};

use super::{Aim, garbage, stream_id};
use crate::hostile::{
    peer::{Attacker, Session, drain, hear, noise, say},
    wire::{self, Answer, Subscribe, Word},
};

/// What a stream of data begins with, for a slot.
pub(super) fn header(slot: u64) -> Vec<u8> {
    [&[1][..], &slot.to_le_bytes()].concat()
}

/// First bytes of streams: kinds that are known, and some that are not.
const KINDS: [u8; 8] =
    [wire::GOSSIP, wire::SYNC, wire::SUBSCRIBE, 4, wire::BOND, wire::HEARTBEAT, 0, 255];

pub(super) async fn stream_garbage(aim: &Aim<'_>) -> u64 {
    aim.inside(async |_, session| {
        for number in 0..500 {
            let kind = KINDS[number as usize % KINDS.len()];
            let (mut send, mut recv) = session.open(kind).await?;
            send.write_all(&garbage(number / KINDS.len() as u64)).await?;
            let _ = send.finish();
            if number % 2 == 0 {
                let _ = recv.stop(VarInt::from_u32(1));
            }
        }
        Ok(())
    })
    .await
}

pub(super) async fn signal_garbage(aim: &Aim<'_>) -> u64 {
    aim.alone(async |attacker, number| {
        let mut session = attacker.enter().await?;
        match number % 6 {
            // A token from the wrong side.
            4 => say(&mut session.send, &wire::Signal::LogToken([7; 16])).await?,
            5 => say(&mut session.send, &wire::Signal::BulkToken([7; 16])).await?,
            _ => session.send.write_all(&garbage(number)).await?,
        }
        let _ = timeout(Duration::from_millis(200), session.conn.closed()).await;
        Ok(())
    })
    .await
}

pub(super) async fn half_open_streams(aim: &Aim<'_>, identities: usize) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let mut opened = 0;
    while !aim.is_over() {
        let Ok(session) = attacker.enter().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let mut streams = Vec::new();
        while !aim.is_over() && session.conn.close_reason().is_none() {
            // The other kinds have few places: what is more is refused at once.
            match timeout_at(aim.until, session.open(wire::SUBSCRIBE)).await {
                Ok(Ok(stream)) => streams.push(stream),
                // As many as the node allows are open: they are given up, for others.
                Ok(Err(_)) => streams.clear(),
                Err(_) => break,
            }
            opened += 1;
            if streams.len() >= 10_000 / identities {
                // Until the node has had enough of them.
                sleep(Duration::from_secs(6)).await;
                streams.clear();
            }
        }
    }
    opened
}

pub(super) async fn bulk_garbage(aim: &Aim<'_>) -> u64 {
    aim.alone(async |attacker, number| match number % 4 {
        // No token, a wrong one, one too long.
        kind @ 0..3 => {
            let conn = attacker.dial(wire::BULK).await?;
            let (mut send, mut recv) = conn.open_bi().await?;
            send.write_all(&noise([0, 16, 5000][usize::try_from(kind)?])).await?;
            let _ = send.finish();
            let _ = recv.read_to_end(10).await;
            Ok(())
        }
        _ => streams_for_nobody(aim, attacker).await,
    })
    .await
}

pub(super) async fn log_garbage(aim: &Aim<'_>) -> u64 {
    aim.alone(async |attacker, number| match number % 3 {
        0 => {
            let conn = attacker.dial(wire::LOG).await?;
            let (mut send, mut recv) = conn.open_bi().await?;
            send.write_all(&noise(16)).await?;
            let _ = send.finish();
            let _ = recv.read_to_end(10).await;
            Ok(())
        }
        1 => with_the_other_token(attacker).await,
        _ => log_streams_for_nobody(aim, attacker).await,
    })
    .await
}

/// Shows the token of the bulk lane where that of the log lane is due.
async fn with_the_other_token(attacker: &Attacker) -> anyhow::Result<()> {
    let mut session = attacker.enter().await?;
    say(&mut session.send, &wire::Signal::AskBulk).await?;
    let wire::Signal::BulkToken(token) = hear(&mut session.recv).await? else { return Ok(()) };
    let conn = attacker.dial(wire::LOG).await?;
    let (mut send, mut recv) = conn.open_bi().await?;
    send.write_all(&token).await?;
    let _ = send.finish();
    let _ = recv.read_to_end(10).await;
    Ok(())
}

async fn log_streams_for_nobody(aim: &Aim<'_>, attacker: &Attacker) -> anyhow::Result<()> {
    let mut session = attacker.enter().await?;
    let conn = attacker.log(&mut session).await?;
    for number in 0..300_u64 {
        let (mut send, mut recv) = timeout_at(aim.until, conn.open_bi()).await??;
        match number % 3 {
            0 => send.write_all(&garbage(number / 3)).await?,
            1 => send.write_all(&header(number)).await?,
            _ => {
                let _ = send.write_all(&[header(number), noise(3000)].concat()).await;
            }
        }
        if number % 2 == 0 {
            let _ = recv.stop(VarInt::from_u32(1));
        }
    }
    sleep(Duration::from_millis(200)).await;
    Ok(())
}

async fn streams_for_nobody(aim: &Aim<'_>, attacker: &Attacker) -> anyhow::Result<()> {
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
    aim: &Aim<'_>,
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
        // Each stream has such that are alone, and such that are the only one of a group.
        group: (slot / 2 % 2 == 1).then(UniqueId::random),
    };
    say(&mut send, &subscribe).await?;
    let _: Answer = timeout_at(aim.until, hear(&mut recv)).await??;
    Ok((send, recv))
}

/// Subscribers that acknowledge nothing; says how many there were.
async fn mute(
    aim: &Aim<'_>,
    mut meanwhile: impl AsyncFnMut(Connection) -> anyhow::Result<()>,
) -> u64 {
    let mut subscribed = 0;
    aim.inside(async |attacker, mut session| {
        let bulk = attacker.bulk(&mut session).await?;
        let mut held = Vec::new();
        for slot in 0..20 {
            held.push(subscribe(aim, &session, slot).await?);
            subscribed += 1;
        }
        meanwhile(bulk).await
    })
    .await;
    subscribed
}

pub(super) async fn never_reads(aim: &Aim<'_>) -> u64 {
    mute(aim, async |_bulk| {
        sleep(Duration::from_secs(2)).await;
        Ok(())
    })
    .await
}

/// Takes all that comes, as fast as it can, and never says so.
pub(super) async fn never_acknowledges(aim: &Aim<'_>) -> u64 {
    mute(aim, async |bulk| {
        loop {
            drain(bulk.accept_uni().await?);
        }
    })
    .await
}

/// Subscribers that talk nonsense from then on.
pub(super) async fn word_garbage(aim: &Aim<'_>) -> u64 {
    let mut said = 0;
    aim.inside(async |attacker, mut session| {
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
