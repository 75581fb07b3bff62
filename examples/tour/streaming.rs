//! Chapter: readings stream from everybody to everybody.

use std::time::Instant;

use crate::{
    cast::Cast,
    node::BURST,
    report::Order,
    story::{Story, human},
};

pub async fn tell(story: &mut Story, cast: &mut Cast) -> anyhow::Result<()> {
    story.chapter("Their readings stream");
    story.text(&format!(
        "Each node produces a stream of readings, and consumes everybody else's. The consumers \
         have found the producers by the stream's name. Now each node sends {BURST} numbered \
         readings, as fast as the two others take them.",
    ));
    for (one, other) in cast.pairs() {
        let what = format!("hears {}", other.name());
        one.until(&what, |diary| diary.hears.get(&other.id()).copied()).await?;
    }
    let begun = Instant::now();
    cast.order(Order::Burst).await?;
    let mut complete = true;
    let mut total = 0;
    for (one, other) in cast.pairs() {
        let tally = one.until_heard(other, |tally| tally.last >= BURST).await?;
        complete &= tally.is_complete(1, BURST);
        total += tally.count;
    }
    let took = begun.elapsed();
    for actor in &cast.actors {
        let others = cast.pairs().filter(|(one, _)| one.number() == actor.number());
        let heard = others.filter_map(|(_, other)| {
            let tally = actor.diary().heard.get(&other.id())?.clone();
            Some(format!("{} from {}", tally.count, other.name()))
        });
        story.says(actor, format!("heard {}", heard.collect::<Vec<_>>().join(", ")));
    }
    story.claim(
        complete,
        format!(
            "{total} readings were heard within {}: none lost, none doubled, all in order",
            human(took)
        ),
    )
}
