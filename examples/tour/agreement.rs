//! Chapter: three agree, and go on agreeing when their leader is killed.

use std::{collections::BTreeMap, time::Instant};

use anyhow::{Context, bail};
use mosaik::{PeerId, primitives::ShortFmtExt};
use tokio::time::sleep;

use crate::{
    cast::{Cast, PATIENCE},
    report::Order,
    story::{Story, human},
};

/// How far each counts before the leader is killed, and how far further those who are left.
const ENOUGH: u64 = 50;

pub async fn tell(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    story.chapter("They agree, and their leader is killed");
    story.text(
        "Readings flow, but nobody decides anything. Now the three found a group: a state that each \
         of them holds, and that changes when most of them agree, by Raft. Nobody is told who is \
         to lead. Each counts in it, as fast as the group agrees.",
    );
    let begun = Instant::now();
    cast.order(Order::Join).await?;
    let leader = leader(cast).await?;
    let took = human(begun.elapsed());
    let name = cast.actors.iter().find(|actor| actor.id() == leader).map(|actor| actor.name());
    let name = name.context("a stranger leads")?;
    story.claim(true, format!("they have elected {name}, {took} after they were told to begin"))?;

    cast.order(Order::Count).await?;
    for actor in &cast.actors {
        actor.until("counts", |diary| (diary.counted >= ENOUGH).then_some(())).await?;
        story.says(actor, format!("has counted to {ENOUGH}"));
    }
    story.text(&format!("In the middle of that {name} is killed, with SIGKILL."));
    let at = cast.actors.iter().position(|actor| actor.id() == leader);
    let lost = cast.actors.remove(at.context("the leader is gone")?);
    story.says(&lost, "is killed");
    let killed = Instant::now();
    lost.kill().await?;
    let mut last = killed;
    for actor in &cast.actors {
        let other = actor
            .until("follows another leader", |diary| diary.leader.filter(|(it, _)| *it != leader));
        let (other, at) = other.await?;
        last = last.max(at);
        story.says(actor, format!("follows {}", other.short()));
    }
    let took = human(last.saturating_duration_since(killed));
    story.claim(true, format!("the two have elected another leader, {took} after the kill"))?;

    for actor in &cast.actors {
        let further = actor.diary().counted + ENOUGH;
        actor.until("counts on", |diary| (diary.counted >= further).then_some(())).await?;
    }
    cast.order(Order::Halt).await?;
    let mut counted = BTreeMap::new();
    for actor in &cast.actors {
        counted.insert(actor.id(), actor.until("halts", |diary| diary.halted).await?);
    }
    cast.order(Order::Read).await?;
    let mut read = Vec::new();
    for actor in &cast.actors {
        read.push(actor.until("reads the state", |diary| diary.read.clone()).await?);
    }
    let held = |actor: PeerId| read.iter().all(|counts| counts.get(&actor) == counted.get(&actor));
    let total: u64 = counted.values().sum();
    story.claim(
        counted.keys().all(|actor| held(*actor)),
        format!(
            "each of their {total} commands was applied exactly once, the kill notwithstanding"
        ),
    )?;
    let of_lost = read[0].get(&leader).copied().unwrap_or_default();
    story.claim(
        read.iter().all(|counts| *counts == read[0]) && of_lost >= ENOUGH,
        format!(
            "both hold the same, and nothing that {name} was answered is lost: {of_lost} counts"
        ),
    )
}

/// Whom all follow.
async fn leader(cast: &Cast) -> anyhow::Result<PeerId> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let mut leaders = Vec::new();
        for actor in &cast.actors {
            leaders.push(actor.until("knows a leader", |diary| diary.leader).await?.0);
        }
        if leaders.iter().all(|leader| *leader == leaders[0]) {
            return Ok(leaders[0]);
        }
        // One has not heard yet, or there was another election.
        sleep(std::time::Duration::from_millis(20)).await;
    }
    bail!("they follow different leaders for {PATIENCE:?}")
}
