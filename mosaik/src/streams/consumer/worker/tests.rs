//! The worker by itself, beside nodes that know each other.

use std::time::Duration;

use futures::channel::mpsc;
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

fn worker(network: &crate::Network, config: ConsumerConfig) -> Worker {
    let core = Arc::new(Core::new(config, None, 1));
    let (reports, received) = mpsc::unbounded();
    let tasks = Tasks::new();
    let means = Means {
        transport: network.streams().0.transport.clone(),
        discovery: network.discovery().clone(),
        random: crate::random::Random::from_seed(1),
        reports,
        tasks: tasks.clone(),
    };
    Worker::new(core, means, tasks, received)
}

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
    let mut worker = worker(&n[0], config);
    worker.judge(entry().unwrap(), 0);
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

/// Entries of producers that do not exist.
fn phantoms(count: usize) -> Vec<PeerEntry> {
    let peer = |number: usize| {
        let mut seed = [7; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        iroh::SecretKey::from_bytes(&seed).public()
    };
    (0..count).map(|number| PeerEntry::new("network", peer(number))).collect()
}

#[tokio::test(start_paused = true)]
async fn few_of_the_producers_that_cannot_be_reached_are_sought_at_once_and_all_in_turn() {
    let n = nodes(1).await;
    let mut worker = worker(&n[0], ConsumerConfig::new("stream".into(), None));
    let entries = phantoms(3 * MAX_SOUGHT);
    entries.iter().for_each(|entry| worker.apply(PeerDelta::Added(entry.clone())));
    let begun = Instant::now();
    let mut sought = std::collections::BTreeMap::<PeerId, u32>::new();
    while sought.len() < entries.len() || sought.values().any(|tries| *tries < 2) {
        worker.seek(Instant::now());
        assert_eq!(worker.subscriptions.len(), MAX_SOUGHT);
        let due = worker.next_exchange;
        tokio::select! {
            Some(report) = worker.reports.next() => {
                if let Report::Unreached { peer, .. } = &report {
                    *sought.entry(*peer).or_default() += 1;
                }
                worker.hear(report);
            }
            () = sleep_until(due) => {}
        }
        assert!(begun.elapsed() < Duration::from_secs(600), "{} were sought", sought.len());
    }
    // A newcomer does not wait for all these.
    let newcomer = &phantoms(3 * MAX_SOUGHT + 1)[3 * MAX_SOUGHT];
    worker.apply(PeerDelta::Added(newcomer.clone()));
    worker.seek(Instant::now());
    assert!(worker.subscriptions.contains_key(newcomer.id()));
    entries.iter().for_each(|entry| worker.apply(PeerDelta::Removed(*entry.id())));
    assert!(worker.waiting.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_search_is_not_given_up_once_the_producer_was_reached() {
    let n = nodes(1).await;
    let mut worker = worker(&n[0], ConsumerConfig::new("stream".into(), None));
    let entries = phantoms(MAX_SOUGHT + 2);
    let (sought, newcomers) = entries.split_at(MAX_SOUGHT);
    sought.iter().for_each(|entry| worker.judge(entry.clone(), 1));
    // One that the worker would give up for another is reached before it can.
    let last = *worker.subscriptions.keys().next_back().unwrap();
    assert!(worker.subscriptions[&last].claim.reach());
    newcomers.iter().for_each(|entry| worker.apply(PeerDelta::Added(entry.clone())));
    worker.seek(Instant::now());
    assert!(worker.subscriptions.contains_key(&last), "it stays");
    assert!(newcomers.iter().all(|entry| worker.subscriptions.contains_key(entry.id())));
    assert_eq!(worker.subscriptions.len(), MAX_SOUGHT + 1);
    // And one that was given up subscribes to nothing.
    let claim = Claim::default();
    assert!(claim.give_up() && !claim.reach() && claim.give_up());
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_waits_and_is_not_eligible_any_more_is_not_shown_as_refusing() {
    let n = nodes(1).await;
    let mut config = ConsumerConfig::new("stream".into(), None);
    config.ticket_validators.push(Arc::new(Dated));
    let mut worker = worker(&n[0], config);
    let entry = phantoms(1).remove(0);
    let error = crate::streams::error::SubscribeError::NoCapacity;
    worker.core.set_refusal(*entry.id(), Some(error));
    worker.judge(entry, 1);
    assert!(worker.core.refusals().is_empty());
}
