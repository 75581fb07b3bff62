//! Chapter: they leave, one after the other.

use std::time::{Duration, Instant};

use crate::{
    cast::{Cast, PATIENCE},
    story::{Story, human},
};

pub async fn tell(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    story.chapter("They leave");
    story.text(
        "Those who are left leave one after the other, this time in an orderly way. Who leaves says goodbye, \
         so that nobody has to wait for silence.",
    );
    let count = cast.actors.len();
    let mut slowest = Duration::ZERO;
    while let Some(leaver) = cast.actors.pop() {
        let (id, name) = (leaver.id(), leaver.name());
        story.says(&leaver, "leaves");
        let begun = Instant::now();
        leaver.leave().await?;
        for other in &cast.actors {
            let what = format!("hears that {name} has left");
            let at = other.until(&what, |diary| diary.departed.get(&id).copied()).await?;
            slowest = slowest.max(at.saturating_duration_since(begun));
        }
    }
    story.claim(
        slowest < PATIENCE,
        format!("each goodbye was heard by all who were left, within {}", human(slowest)),
    )?;
    story.claim(cast.actors.is_empty(), format!("all {count} have ended with exit code 0"))
}
