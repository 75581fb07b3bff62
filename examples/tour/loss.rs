//! Chapter: one is killed, and the others go on.

use std::time::{Duration, Instant};

use anyhow::Context;
use mosaik::PeerId;
use tokio::time::sleep;

use crate::{
    cast::{Cast, PATIENCE},
    report::Order,
    story::{Story, human},
};

/// How often the audience is told how it goes.
const ASIDE_EVERY: Duration = Duration::from_secs(1);
/// How many readings must come after the loss.
const AFTERWARDS: u64 = 50;

pub async fn tell(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    story.chapter("One is killed, two go on");
    story.text(
        "All send on, 50 readings a second. In the middle of that cleo's process is killed, with \
         SIGKILL: it cannot say goodbye, and no connection is closed. Only its silence tells.",
    );
    cast.order(Order::Steady).await?;
    for (one, other) in cast.pairs() {
        let before = one.diary().heard.get(&other.id()).map_or(0, |tally| tally.last);
        one.until_heard(other, |tally| tally.last >= before + 10).await?;
    }
    let cleo = cast.actors.pop().context("nobody is left")?;
    let (lost, name) = (cleo.id(), cleo.name());
    story.says(&cleo, "is killed");
    let killed = Instant::now();
    cleo.kill().await?;
    let heard_before = cast.exchanged();

    let slowest = wait_until_noticed(story, cast, lost, killed).await?;
    story.claim(
        slowest < PATIENCE,
        format!("both have noticed that {name} is gone, {} after the kill", human(slowest)),
    )?;
    let meanwhile = cast.exchanged() - heard_before;
    story.claim(
        meanwhile > 0,
        format!("they did not wait for {name}: they exchanged {meanwhile} readings meanwhile"),
    )?;

    for (one, other) in cast.pairs() {
        let now = one.until_heard(other, |_| true).await?.last;
        one.until_heard(other, |tally| tally.last >= now + AFTERWARDS).await?;
    }
    let heard = cast.pause().await?;
    let total: u64 = heard.iter().map(|heard| heard.tally.count).sum();
    story.claim(
        heard.iter().all(|heard| heard.tally.is_complete(1, heard.sent)),
        format!("nothing is missing between the two: {total} readings by now, all in order"),
    )
}

/// Waits until both others have noticed; says how long the slower one took.
async fn wait_until_noticed(
    story: &Story,
    cast: &Cast,
    lost: PeerId,
    killed: Instant,
) -> anyhow::Result<Duration> {
    let noticing = async {
        let mut slowest = Duration::ZERO;
        for actor in &cast.actors {
            let at =
                actor.until("notices the loss", |diary| diary.lost.get(&lost).copied()).await?;
            slowest = slowest.max(at.saturating_duration_since(killed));
        }
        Ok(slowest)
    };
    tokio::pin!(noticing);
    loop {
        tokio::select! {
            noticed = &mut noticing => return noticed,
            () = sleep(ASIDE_EVERY) => story.aside(format!(
                "{} later: ada and ben have heard {} readings of each other",
                human(killed.elapsed()),
                cast.exchanged(),
            )),
        }
    }
}
