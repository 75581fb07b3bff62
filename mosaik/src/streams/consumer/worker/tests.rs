//! The worker by itself, beside nodes that know each other.

use std::time::Duration;

use tokio::time::sleep;

use super::*;
use crate::streams::{
    consumer::ConsumerConfig,
    tests::{
        dated::{Dated, valid_until},
        nodes, until,
    },
};
use crate::ticket::Ticket;

#[tokio::test(start_paused = true)]
async fn a_ticket_that_was_renewed_is_seen_before_the_old_one_expires() {
    let n = nodes(2).await;
    let (discovery, peer) = (n[0].discovery().clone(), n[1].local().id());
    let _producer = n[1].streams().producer::<u64>().with_stream_id("stream").build().unwrap();
    let entry = || discovery.catalog().get(&peer).cloned();
    let knows = |ticket: &Ticket| {
        discovery.want_tickets(peer);
        entry().is_some_and(|it| it.tickets().values().any(|known| known == ticket))
    };
    let now = discovery.date();
    let (old, new) = [20, 2000].map(|s| valid_until(now + Duration::from_secs(s))).into();
    n[1].discovery().add_ticket(old.clone()).unwrap();
    until(|| knows(&old) && entry().is_some_and(|it| it.streams().contains(&"stream".into())))
        .await;

    let mut config = ConsumerConfig::new("stream".into(), None);
    config.ticket_validators.push(Arc::new(Dated));
    let core = Arc::new(Core::new(config, None, 1));
    let (reports, received) = mpsc::unbounded_channel();
    let tasks = Tasks::new();
    let means = Means {
        transport: n[0].streams().0.transport.clone(),
        discovery: discovery.clone(),
        random: crate::random::Random::from_seed(1),
        reports,
        tasks: tasks.clone(),
    };
    let mut worker = Worker::new(core, means, tasks, received);
    worker.judge(entry().unwrap());
    let followed =
        |worker: &Worker| worker.subscriptions.get(&peer).map(|it| (it.number, it.until));
    let before = followed(&worker).expect("its ticket is valid");
    n[1].discovery().replace_ticket(new.clone()).unwrap();
    until(|| knows(&new)).await;
    sleep(Duration::from_secs(25)).await;
    // Both are ready, the catalog and the date: which comes first is left to chance.
    worker.expire();
    let after = followed(&worker).expect("it was renewed in time");
    assert!(after.0 == before.0 && after.1 != before.1, "{after:?}");
}
