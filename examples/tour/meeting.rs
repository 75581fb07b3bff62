//! Chapter: three processes find each other.

use std::time::{Duration, Instant};

use mosaik::primitives::ShortFmtExt;

use crate::{
    cast::Cast,
    story::{Story, human},
};

pub async fn tell(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    story.chapter("Three processes find each other");
    story.text(&format!(
        "Three nodes start, each a process of its own. All that they are told is the name of their \
         network, {}: no address, no port, no broker, no configuration. They use nothing on the \
         internet.",
        cast.network()
    ));
    for name in ["ada", "ben", "cleo"] {
        let begun = Instant::now();
        cast.start(name).await?;
        let actor = &cast.actors[cast.actors.len() - 1];
        let (process, id) = (actor.process(), actor.id());
        let took = human(begun.elapsed());
        story.says(actor, format!("is process {process} and node {}, up in {took}", id.short()));
    }
    let last_up = Instant::now();

    let mut longest = Duration::ZERO;
    for actor in &cast.actors {
        let others = || cast.actors.iter().filter(|other| other.number() != actor.number());
        let met = actor.until("meets the two others", |diary| {
            others().map(|other| diary.met.get(&other.id()).copied()).collect::<Option<Vec<_>>>()
        });
        let times = met.await?;
        for at in times {
            longest = longest.max(at.saturating_duration_since(last_up));
        }
        let names: Vec<_> = others().map(|other| other.name()).collect();
        story.says(actor, format!("has met {}", names.join(" and ")));
    }
    story.claim(
        cast.pairs().all(|(one, other)| one.id() != other.id()),
        "each has an identity of its own: a key that it made itself",
    )?;
    story.claim(
        cast.pairs().all(|(one, other)| one.diary().met.contains_key(&other.id())),
        format!("each knows the two others, {} after the last was up", human(longest)),
    )
}
