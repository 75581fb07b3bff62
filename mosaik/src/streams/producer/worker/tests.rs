//! The worker by itself, beside nodes that know each other.

use std::time::Duration;

use tokio::{sync::oneshot::error::TryRecvError, time::sleep};

use super::{super::ProducerConfig, *};
use crate::streams::{
    criteria::Criteria,
    protocol::VERSION,
    tests::{
        dated::{Dated, valid_until},
        nodes, until,
    },
};
use crate::ticket::Ticket;

#[tokio::test(start_paused = true)]
async fn a_ticket_that_was_renewed_is_seen_before_the_old_one_expires() {
    let n = nodes(2).await;
    let (discovery, peer) = (n[0].discovery(), n[1].local().id());
    let now = discovery.date();
    let knows = |ticket: &Ticket| {
        let catalog = discovery.catalog();
        discovery.want_tickets(peer);
        catalog.get(&peer).is_some_and(|it| it.tickets().iter().any(|(_, known)| known == ticket))
    };
    let (old, new) = [20, 2000].map(|s| valid_until(now + Duration::from_secs(s))).into();
    n[1].discovery().add_ticket(old.clone()).unwrap();
    until(|| knows(&old)).await;

    let mut config = ProducerConfig::new("stream".into(), *n[0].network_id());
    config.ticket_validators.push(Arc::new(Dated));
    let (requests, receiver) = futures::channel::mpsc::unbounded();
    let core = Arc::new(Core::new(config, 1, None, requests, None));
    let mut worker = Worker::new(core, receiver, discovery.clone(), n[0].local().id());
    let request = Subscribe {
        version: VERSION,
        stream: "stream".into(),
        fingerprint: None,
        criteria: Criteria::default(),
        slot: 1,
        consumer: 1,
        from: From::Retained,
        group: None,
    };
    let info = PeerInfo::new(discovery.catalog().get(&peer).unwrap().clone(), None);
    let mut place = worker.join(info, request).unwrap();
    n[1].discovery().replace_ticket(new.clone()).unwrap();
    until(|| knows(&new)).await;
    sleep(Duration::from_secs(25)).await;
    // Both are ready: which comes first is left to chance.
    worker.expire();
    assert_eq!(place.ended.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn a_request_is_small_since_each_queue_keeps_room_for_dozens() {
    assert!(size_of::<Request>() <= 24, "{}", size_of::<Request>());
}
