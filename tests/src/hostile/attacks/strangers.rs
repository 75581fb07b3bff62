//! What those do who were not let in yet, or want to be.

use std::time::Duration;

use futures::future::join_all;
use iroh::endpoint::VarInt;
use mosaik::UniqueId;
use tokio::time::{sleep, timeout_at};

use super::{Aim, garbage};
use crate::hostile::{
    peer::{hear, noise, say},
    wire::{self, Bodies, Hello, Offer, Verdict},
};

pub(super) async fn hello_garbage(aim: &Aim<'_>) -> u64 {
    aim.alone(async |attacker, number| {
        let conn = attacker.dial(wire::CONTROL).await?;
        let (mut send, mut recv) = conn.open_bi().await?;
        send.write_all(&garbage(number)).await?;
        send.finish()?;
        let _ = recv.read_to_end(1000).await;
        conn.close(VarInt::from_u32(0), b"");
        Ok(())
    })
    .await
}

pub(super) async fn wrong_mac(aim: &Aim<'_>) -> u64 {
    aim.alone(async |attacker, _| {
        let conn = attacker.dial(wire::CONTROL).await?;
        let (mut send, mut recv) = conn.open_bi().await?;
        let mut opening = attacker.opening(&conn, wire::DIALLER)?;
        opening.mac[7] ^= 1;
        say(&mut send, &wire::Hello::Opening(opening, None)).await?;
        let answer = recv.read_to_end(1000).await;
        anyhow::ensure!(answer.is_err(), "nothing is shown to a stranger");
        Ok(())
    })
    .await
}

pub(super) async fn silent_connections(aim: &Aim<'_>) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let silences = (0..100).map(|_| {
        aim.again(async |_| {
            let conn = attacker.dial(wire::CONTROL).await?;
            conn.closed().await;
            Ok(())
        })
    });
    join_all(silences).await.into_iter().sum()
}

pub(super) async fn slow_hello(aim: &Aim<'_>) -> u64 {
    let Ok(attacker) = aim.attacker().await else { return 0 };
    let hellos = (0..50).map(|_| {
        aim.again(async |_| {
            let conn = attacker.dial(wire::CONTROL).await?;
            let (mut send, _recv) = conn.open_bi().await?;
            let hello = wire::Hello::Opening(attacker.opening(&conn, wire::DIALLER)?, None);
            for byte in wire::framed(&wire::encode(&hello)) {
                send.write_all(&[byte]).await?;
                sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        })
    });
    join_all(hellos).await.into_iter().sum()
}

pub(super) async fn bodies_garbage(aim: &Aim<'_>) -> u64 {
    aim.alone(async |attacker, number| {
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
                let entry = Some(wire::phantom(&attacker.network, 0));
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

pub(super) async fn crowd(aim: &Aim<'_>) -> u64 {
    let mut inside = Vec::new();
    let mut entered = 0;
    while !aim.is_over() {
        let Ok(attacker) = aim.attacker().await else { break };
        match timeout_at(aim.until, attacker.enter()).await {
            Ok(Ok(session)) => {
                entered += 1;
                inside.push((attacker, session));
            }
            Ok(Err(_)) => sleep(Duration::from_millis(10)).await,
            Err(_) => break,
        }
    }
    entered
}
