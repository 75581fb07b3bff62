//! Tickets that come later than the entry that names them.

use mosaik::{Network, streams::SubscribeError, tickets::Expiration};
use mosaik_tests::secs;

use super::{DOOR, For, large_ticket, ticket, until};

fn sees_tickets(node: &Network, of: &Network) -> Option<usize> {
    let catalog = node.discovery().catalog();
    catalog.get(&of.local().id()).map(|entry| entry.tickets().len())
}

fn knows_version(node: &Network, of: &Network) -> bool {
    let catalog = node.discovery().catalog();
    let seen = catalog.get(&of.local().id()).map(|entry| entry.update_version());
    seen == Some(of.discovery().me().update_version())
}

#[mosaik::network_test(sim, seeds = 5)]
async fn an_entry_known_from_others_waits_for_its_tickets_and_nobody_is_refused(
    nodes: [Network; 3],
) {
    let [a, b, _c] = &nodes;
    let producer = a.streams().producer::<u64>().require_ticket(For(DOOR)).build().unwrap();
    until("the news of the stream", || knows_version(b, a)).await;
    nodes.partition(&[&[0], &[1]]);
    let consumer = b.streams().consume::<u64>();
    b.discovery().add_ticket(large_ticket(b, DOOR, Expiration::Never)).unwrap();
    until("news of the ticket by way of the third", || knows_version(a, b)).await;
    assert_eq!(sees_tickets(a, b), Some(0));
    nodes.heal();
    let mut refusals = Vec::new();
    until("the subscription", || {
        refusals.extend(consumer.refusals().map(|(_, error)| error));
        producer.consumers().count() == 1
    })
    .await;
    assert!(!refusals.contains(&SubscribeError::NotAllowed), "{refusals:?}");
    assert_eq!(sees_tickets(a, b), Some(1));
}

#[mosaik::network_test(sim, seeds = 5)]
async fn small_tickets_are_passed_on_with_the_entry(nodes: [Network; 3]) {
    let [a, b, c] = &nodes;
    nodes.partition(&[&[0], &[1]]);
    b.discovery().add_ticket(ticket(b, DOOR, Expiration::Never)).unwrap();
    until("news of the ticket", || knows_version(c, b)).await;
    // The third fetches it, since it has somebody who reads it.
    let _reader = c.streams().consumer::<u64>().require_ticket(For(DOOR)).build();
    let _producer = b.streams().produce::<u64>();
    until("the ticket at the third", || sees_tickets(c, b) == Some(1)).await;
    // The first can reach only the third, and learns a newer entry from it with all that is small.
    let learnt = async {
        while sees_tickets(a, b) != Some(1) {
            b.discovery().add_tags(mosaik::UniqueId::random());
            until("the newest entry at the third", || knows_version(c, b)).await;
            a.discovery().sync_with(c.local().addr()).await.unwrap();
        }
    };
    mosaik_tests::within(secs(60), "the ticket by way of the third", learnt).await;
}
