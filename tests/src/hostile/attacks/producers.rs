//! Hostile producers.

use std::time::Duration;

use futures::{StreamExt, stream::FuturesUnordered};
use iroh::endpoint::{Connection, RecvStream, SendStream};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Aim, garbage, stream_id, streams::header};
use crate::hostile::{
    peer::{Attacker, hear, noise, say},
    wire::{self, Answer, Asked},
};

/// What they say that they produce: a stream whose consumer reads, and one whose never does.
const READ: &str = "open";
const UNREAD: &str = "unread";
/// So long before the end of the attack datums that were begun are broken off.
pub(super) const BROKEN_OFF: Duration = Duration::from_millis(1200);

/// A peer that says that it produces both.
async fn producer(aim: &Aim<'_>) -> anyhow::Result<Attacker> {
    let mut attacker = aim.attacker().await?;
    attacker.streams = [READ, UNREAD].map(stream_id).into();
    Ok(attacker)
}

/// Waits for the next subscription; syncs and gossip never get an answer.
async fn asked(conn: &Connection) -> anyhow::Result<(SendStream, RecvStream)> {
    let mut held = Vec::new();
    loop {
        let (send, mut recv) = conn.accept_bi().await?;
        let mut kind = [0];
        recv.read_exact(&mut kind).await?;
        if kind[0] == wire::SUBSCRIBE {
            return Ok((send, recv));
        }
        held.push((send, recv));
    }
}

/// To whoever subscribes it sends what it should not.
pub(super) async fn lying_producer(aim: &Aim<'_>, number: usize) -> u64 {
    let Ok(attacker) = producer(aim).await else { return 0 };
    let mut sent = 0;
    aim.again(async |_| {
        let mut session = attacker.enter().await?;
        let bulk = attacker.bulk(&mut session).await?;
        loop {
            let (send, recv) = asked(&session.conn).await?;
            sent += 1;
            // The node may have had enough.
            sent += lie_to(aim, &bulk, send, recv, number).await.unwrap_or(0);
        }
    })
    .await;
    sent
}

/// The longest datum that is allowed, to whoever subscribes, but for its last byte; at the end of
/// the attack it is broken off.
pub(super) async fn begun_datums(aim: &Aim<'_>) -> u64 {
    let Ok(attacker) = producer(aim).await else { return 0 };
    let mut begun = 0;
    aim.again(async |_| {
        let mut session = attacker.enter().await?;
        let bulk = attacker.bulk(&mut session).await?;
        let mut sending = FuturesUnordered::new();
        loop {
            tokio::select! {
                subscribed = asked(&session.conn) => {
                    let (send, recv) = subscribed?;
                    begun += 1;
                    sending.push(lie_to(aim, &bulk, send, recv, 1));
                }
                // The node has had enough of it.
                Some(_) = sending.next() => {}
            }
        }
    })
    .await;
    begun
}

/// Serves one subscription; says how many bytes the node took.
async fn lie_to(
    aim: &Aim<'_>,
    bulk: &Connection,
    mut send: SendStream,
    mut recv: RecvStream,
    number: usize,
) -> anyhow::Result<u64> {
    let asked: Asked = hear(&mut recv).await?;
    let mut data = bulk.open_uni().await?;
    data.write_all(&header(asked.slot)).await?;
    say(&mut send, &Answer::Accepted { epoch: 1, next: 0 }).await?;
    let mut sent = 0;
    match number % 4 {
        // Ten times the window, one number after the other.
        0 => {
            let numbers = [1, 5].repeat(50_000);
            while sent < 12_500_000 && !aim.is_over() {
                let writing = data.write_all(&numbers);
                // The node's reader that never reads takes a window, and not a byte more.
                let limit = if asked.stream == stream_id(UNREAD) { 1 } else { 5 };
                let until = Instant::now() + Duration::from_secs(limit);
                timeout_at(until.min(aim.until), writing).await??;
                sent += numbers.len() as u64;
            }
        }
        1 => sent = begin(aim, &mut data).await?,
        // A frame that is longer than allowed; then datums that are none.
        2 => data.write_all(&wire::length(1 << 40)).await?,
        _ => data.write_all(&[wire::length(20), vec![0xff; 20]].concat()).await?,
    }
    // An answer that nobody asked for.
    send.write_all(&garbage(number as u64)).await?;
    Ok(sent)
}

/// The longest datum that is allowed, of which the last byte never comes.
async fn begin(aim: &Aim<'_>, data: &mut SendStream) -> anyhow::Result<u64> {
    let broken_off = aim.until - BROKEN_OFF;
    let mut sent = 0;
    let sending = async {
        data.write_all(&wire::length(16 * 1024 * 1024)).await?;
        let part = noise(256 * 1024);
        for number in 1..=64 {
            let part = if number < 64 { &part[..] } else { &part[1..] };
            data.write_all(part).await?;
            sent += part.len() as u64;
        }
        data.stopped().await?;
        anyhow::Ok(())
    };
    if let Ok(ended) = timeout_at(broken_off, sending).await {
        ended?;
    }
    data.finish()?;
    sleep_until(aim.until).await;
    Ok(sent)
}
