//! Groups that require tickets.

use mosaik::{
    Network,
    groups::{Group, GroupEvent, MembershipReason},
    tickets::Expiration,
};
use mosaik_tests::{Counter, eventually, secs, within};
use tokio::time::Instant;

use super::{all_online, builder, ids, one_leader, told};
use crate::tickets::{DOOR, For, SAFE, in_secs, pass, ticket};

fn join(node: &Network) -> Group<Counter> {
    builder(node).require_ticket(For(DOOR)).join()
}

fn give(node: &Network, until: Expiration) {
    node.discovery().add_ticket(ticket(node, DOOR, until)).unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn without_all_tickets_there_is_no_bond_and_who_has_none_runs_alone(nodes: [Network; 5]) {
    let joined =
        |node: &Network| builder(node).require_ticket(For(DOOR)).require_ticket(For(SAFE)).join();
    let give = |node: &Network, class, until| {
        node.discovery().add_ticket(ticket(node, class, until)).unwrap();
    };
    for node in &nodes[..2] {
        give(node, DOOR, Expiration::Never);
        give(node, SAFE, Expiration::Never);
    }
    // One has none, one has one of two, and one's has ended.
    give(&nodes[3], DOOR, Expiration::Never);
    give(&nodes[4], DOOR, Expiration::Never);
    give(&nodes[4], SAFE, in_secs(-1));
    let groups = nodes.each_ref().map(joined);
    all_online(&groups).await;
    eventually(secs(10), "one bond", || groups[0].bonds().len() == 1).await;
    pass(secs(20)).await;
    one_leader(&groups[..2]).await;
    assert_eq!(groups[..2].iter().map(|group| group.bonds().len()).collect::<Vec<_>>(), [1, 1]);
    for group in &groups[2..] {
        assert!(group.bonds().is_empty() && group.is_leader());
        within(secs(5), "a command", group.execute(1)).await.unwrap();
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_gets_its_ticket_later_is_let_in_then(nodes: [Network; 2]) {
    give(&nodes[0], Expiration::Never);
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    pass(secs(10)).await;
    assert!(groups.iter().all(|group| group.bonds().is_empty()));
    give(&nodes[1], Expiration::Never);
    eventually(secs(10), "the bond", || groups.iter().all(|it| it.bonds().len() == 1)).await;
    eventually(secs(20), "one group", || groups[0].leader() == groups[1].leader()).await;
}

/// Three members, one of them without a ticket from some moment on; the leader is another.
async fn removed(nodes: &[Network; 3], groups: &[Group<Counter>], out: usize) {
    let ids = ids(nodes);
    let leader = groups.iter().position(Group::is_leader).unwrap();
    let mut events = groups[leader].events();
    told(&mut events, GroupEvent::MemberRemoved(ids[out], MembershipReason::TicketEnded)).await;
    let gone = || {
        groups[out].bonds().is_empty()
            && groups.iter().all(|group| !group.bonds().contains_peer(&ids[out]))
    };
    eventually(secs(5), "the end of its bonds", gone).await;
    within(secs(5), "a command", groups[leader].execute(1)).await.unwrap();
    pass(secs(10)).await;
    assert!(gone());
}

/// All vote, and lead another than `out`.
async fn ready(nodes: &[Network; 3], groups: &[Group<Counter>], out: usize) {
    all_online(groups).await;
    pass(secs(5)).await;
    let leader = one_leader(groups).await;
    if leader == out {
        within(secs(5), "a transfer", groups[leader].step_down()).await.unwrap();
        one_leader(groups).await;
    }
    assert_eq!(groups[out].bonds().len(), nodes.len() - 1);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_loses_its_ticket_is_removed_and_its_bonds_end(nodes: [Network; 3]) {
    nodes.iter().for_each(|node| give(node, Expiration::Never));
    let groups = nodes.each_ref().map(join);
    ready(&nodes, &groups, 1).await;
    nodes[1].discovery().remove_tickets_of(DOOR);
    removed(&nodes, &groups, 1).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn whose_ticket_expires_is_removed_clocks_that_differ_allowed_for(nodes: [Network; 3]) {
    for (place, node) in nodes.iter().enumerate() {
        give(node, if place == 1 { in_secs(60) } else { Expiration::Never });
    }
    let begun = Instant::now();
    let groups = nodes.each_ref().map(join);
    ready(&nodes, &groups, 1).await;
    eventually(secs(200), "the end of its bonds", || groups[1].bonds().is_empty()).await;
    let ended = begun.elapsed();
    // The default `max_time_drift` is 50 s.
    assert!((secs(60)..secs(112)).contains(&ended), "{ended:?}");
    pass(secs(10)).await;
    assert!(groups[1].bonds().is_empty());
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_leader_that_loses_its_ticket_is_replaced_and_removed(nodes: [Network; 3]) {
    nodes.iter().for_each(|node| give(node, Expiration::Never));
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    pass(secs(5)).await;
    let leader = one_leader(&groups).await;
    nodes[leader].discovery().remove_tickets_of(DOOR);
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    let pair: Vec<_> = others.iter().map(|place| groups[*place].clone()).collect();
    eventually(secs(60), "another leader", || pair.iter().any(Group::is_leader)).await;
    eventually(secs(60), "the end of its bonds", || groups[leader].bonds().is_empty()).await;
    within(secs(5), "a command", pair[0].execute(1)).await.unwrap();
}
