//! The other half of the hello: a peer that the node dials.

use std::time::Duration;

use anyhow::Context;
use iroh::endpoint::Connection;
use tokio::time::{Instant, timeout_at};

use super::{Aim, garbage, stream_id};
use crate::hostile::{
    peer::{Attacker, hear, noise, say},
    wire::{self, Bodies, Hello, Verdict},
};

/// How long it waits for the node to dial.
const UNTIL_DIALLED: Duration = Duration::from_secs(3);

/// Ever new identities that say that they produce what the node wants, and leave: the node dials
/// them. Each attacker begins with another lie.
pub(super) async fn hostile_acceptor(aim: &Aim<'_>, number: usize) -> u64 {
    let mut dialled = 0;
    let first = 5 * (number as u64 + 1);
    aim.again(async |round| {
        let mut attacker = aim.attacker().await?;
        attacker.streams = vec![stream_id("open")];
        attacker.enter().await?.conn.close(0_u8.into(), b"");
        let until = aim.until.min(Instant::now() + UNTIL_DIALLED);
        let incoming = timeout_at(until, attacker.endpoint.accept()).await?;
        let conn = incoming.context("the endpoint is open")?.accept()?.await?;
        dialled += 1;
        timeout_at(until, welcome(&attacker, &conn, first + round)).await?
    })
    .await;
    dialled
}

async fn welcome(attacker: &Attacker, conn: &Connection, number: u64) -> anyhow::Result<()> {
    let (mut send, mut recv) = conn.accept_bi().await?;
    let Hello::Opening(..) = hear(&mut recv).await? else { return Ok(()) };
    let decides = attacker.key.public() < attacker.target.id;
    let verdict = decides.then_some(Verdict::Keep);
    let mut opening = attacker.opening(conn, wire::ACCEPTOR)?;
    match number % 6 {
        0 => return Ok(send.write_all(&garbage(number / 6)).await?),
        1 => opening.mac[3] ^= 1,
        2 => say(&mut send, &Hello::NewerRun(noise(300).into())).await?,
        3 => say(&mut send, &Hello::Opening(opening.clone(), Some(Verdict::Superseded))).await?,
        _ => {}
    }
    if number % 6 == 3 {
        // A newer run of the node, which there is not.
        let entry = wire::Item::Entry(attacker.entry(1));
        return say(&mut send, &Hello::NewerRun(wire::encode(&entry).into())).await;
    }
    say(&mut send, &Hello::Opening(opening, verdict)).await?;
    let (offer, entry) = attacker.offer();
    say(&mut send, &Hello::Offer(None, wire::encode(&offer).into())).await?;
    let bodies = match number % 6 {
        4 => noise(500),
        _ => wire::encode(&Bodies { entry: Some(entry), tickets: Vec::new() }),
    };
    say(&mut send, &Hello::Bodies(bodies.into())).await?;
    say(&mut send, &Hello::Admitted).await?;
    // Whatever the node asks, syncs or subscribes is answered with noise.
    for number in 0.. {
        let (mut send, _recv) = conn.accept_bi().await?;
        send.write_all(&garbage(number)).await?;
    }
    Ok(())
}
