//! Chapter: a new node comes, while the others are at it.

use std::time::Instant;

use mosaik::primitives::ShortFmtExt;

use crate::{
    cast::Cast,
    report::Order,
    story::{Story, human},
};

/// How many readings a newcomer hears of each of the others, and they of it.
const ENOUGH: u64 = 50;

pub async fn tell(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    story.chapter("A new one comes");
    story.text(
        "Ada and ben go on sending. A new process starts, with a new identity, and is told no more \
         than the others were.",
    );
    cast.order(Order::Steady).await?;
    let begun = Instant::now();
    cast.start("dora").await?;
    let (dora, others) = cast.actors.split_last_mut().expect("dora has just come");
    story.says(dora, format!("is process {} and node {}", dora.process(), dora.id().short()));
    for other in &*others {
        let what = format!("hears {}", other.name());
        let heard = |tally: &crate::report::Tally| tally.count >= 1;
        dora.until(&what, |diary| diary.hears.get(&other.id()).copied()).await?;
        dora.until_heard(other, heard).await?;
        story.says(
            dora,
            format!("hears {}, {} after its start", other.name(), human(begun.elapsed())),
        );
    }
    dora.order(Order::Steady).await?;
    for (one, other) in cast.pairs() {
        one.until_heard(other, |tally| tally.count >= ENOUGH).await?;
    }
    let heard = cast.pause().await?;
    story.claim(
        heard.iter().all(|heard| heard.tally.is_complete(heard.tally.first, heard.sent)),
        "the newcomer is part of it: each of the three hears the two others, without a gap",
    )
}
