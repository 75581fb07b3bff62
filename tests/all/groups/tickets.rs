//! Groups that require tickets.

use mosaik::{
    Network, PeerId, UniqueId,
    discovery::PeerEntry,
    groups::{CommandError, Group, GroupEvent, MembershipReason, Quorum},
    primitives::encoding,
    tickets::{Expiration, InvalidTicket, Ticket, TicketClass, TicketValidator},
};
use mosaik_tests::{Counter, eventually, secs, within};
use tokio::time::Instant;

use super::{all_online, builder, ids, is_online, one_leader, told};
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

fn join_three(node: &Network) -> Group<Counter> {
    builder(node).require_ticket(For(DOOR)).with_quorum(Quorum::Strict(3)).join()
}

/// Nobody else is bonded with it.
fn is_cut_off(groups: &[Group<Counter>], ids: &[PeerId], out: usize) -> bool {
    groups[out].bonds().is_empty() && groups.iter().all(|it| !it.bonds().contains_peer(&ids[out]))
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_voter_that_a_strict_group_cannot_lose_is_barred(nodes: [Network; 4]) {
    nodes.iter().for_each(|node| give(node, Expiration::Never));
    let ids = ids(&nodes);
    let mut groups: Vec<_> = nodes[..3].iter().map(join_three).collect();
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    let out = (leader + 1) % 3;
    let mut events = groups[leader].events();
    nodes[out].discovery().remove_tickets_of(DOOR);
    let barred = GroupEvent::VoterBarred(ids[out], MembershipReason::TicketEnded);
    told(&mut events, barred.clone()).await;
    eventually(secs(5), "the end of its bonds", || is_cut_off(&groups, &ids, out)).await;
    within(secs(5), "a command", groups[leader].execute(1)).await.unwrap();
    eventually(secs(5), "its notice", || !is_online(&groups[out])).await;
    pass(secs(10)).await;
    assert!(is_cut_off(&groups, &ids, out) && groups[leader].is_leader());
    // With a new ticket it is what it was: its vote was never taken.
    give(&nodes[out], Expiration::Never);
    within(secs(20), "its return", groups[out].when().online()).await;
    within(secs(5), "its command", groups[out].execute(1)).await.unwrap();
    while let Ok(event) = events.try_recv() {
        let changed = matches!(event, GroupEvent::VoterRemoved(..) | GroupEvent::VoterBarred(..));
        assert!(!changed, "{event:?}");
    }
    // Without it once more: the next member takes its place.
    nodes[out].discovery().remove_tickets_of(DOOR);
    told(&mut events, barred).await;
    groups.push(join_three(&nodes[3]));
    told(&mut events, GroupEvent::VoterAdded(ids[3], MembershipReason::Replacement)).await;
    told(&mut events, GroupEvent::MemberRemoved(ids[out], MembershipReason::TicketEnded)).await;
    pass(secs(5)).await;
    assert!(is_cut_off(&groups, &ids, out));
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn without_a_quorum_of_valid_tickets_the_group_is_offline_until_they_are_renewed(
    nodes: [Network; 3],
) {
    let soon = in_secs(60);
    for (place, node) in nodes.iter().enumerate() {
        give(node, if place == 0 { Expiration::Never } else { soon });
    }
    let groups: Vec<_> = nodes.iter().map(join_three).collect();
    all_online(&groups).await;
    within(secs(5), "a command", groups[1].execute(1)).await.unwrap();
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    // The leeway is 50 s.
    pass(secs(90)).await;
    for events in &mut events {
        told(events, GroupEvent::TicketsExpired).await;
        told(events, GroupEvent::Offline).await;
    }
    for group in &groups {
        assert!(!is_online(group));
        assert_eq!(group.bonds().len(), 2, "the bonds stay");
        let refused = within(secs(5), "a refusal", group.execute(1)).await;
        assert!(matches!(refused, Err(CommandError::Offline(_))), "{refused:?}");
    }
    pass(secs(20)).await;
    assert!(groups.iter().all(|group| !is_online(group) && group.bonds().len() == 2));
    // Two of three are a quorum; of the third the bonds end now.
    give(&nodes[1], Expiration::Never);
    let pair = &groups[..2];
    all_online(pair).await;
    within(secs(10), "a command", pair[0].execute(1)).await.unwrap();
    let ids = ids(&nodes);
    eventually(secs(60), "the end of its bonds", || is_cut_off(&groups, &ids, 2)).await;
    give(&nodes[2], Expiration::Never);
    within(secs(20), "its return", groups[2].when().online()).await;
    within(secs(5), "its command", groups[2].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn nobody_judges_himself_in_a_group_of_one(node: Network) {
    give(&node, in_secs(5));
    let group = join(&node);
    let mut events = group.events();
    within(secs(20), "its start", group.when().online()).await;
    pass(secs(120)).await;
    within(secs(5), "a command", group.execute(1)).await.unwrap();
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, GroupEvent::TicketsExpired | GroupEvent::Offline), "{event:?}");
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 5)]
async fn a_leader_without_a_ticket_hands_on_to_one_with_a_ticket(nodes: [Network; 5]) {
    nodes.iter().for_each(|node| give(node, Expiration::Never));
    let groups: Vec<_> = nodes
        .iter()
        .map(|node| builder(node).require_ticket(For(DOOR)).with_quorum(Quorum::Strict(5)).join())
        .collect();
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    // Which one would be its successor otherwise is not known.
    let other = (leader + 1) % 5;
    for out in [leader, other] {
        nodes[out].discovery().remove_tickets_of(DOOR);
    }
    let begun = Instant::now();
    let rest: Vec<_> = (0..5).filter(|place| ![leader, other].contains(place)).collect();
    let led = || rest.iter().any(|place| groups[*place].is_leader());
    eventually(secs(10), "another leader", led).await;
    // The others would part with it after 5 s.
    assert!(begun.elapsed() < secs(4), "{:?}", begun.elapsed());
    within(secs(5), "a command", groups[rest[0]].execute(1)).await.unwrap();
}

/// Passes tickets of the class `DOOR` from some moment on.
struct NotBefore;

impl TicketValidator for NotBefore {
    fn class(&self) -> TicketClass {
        DOOR
    }

    fn signature(&self) -> UniqueId {
        DOOR.derive("not before")
    }

    fn validate(&self, ticket: &[u8], _: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        let begins = encoding::decode::<Expiration>(ticket).map_err(|_| InvalidTicket)?;
        if begins.is_expired() { Ok(Expiration::Never) } else { Err(InvalidTicket) }
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_ticket_that_is_good_from_now_on_is_as_good_as_any(nodes: [Network; 3]) {
    let give = |node: &Network| {
        let ticket = Ticket::new(DOOR, encoding::encode(&in_secs(-1)).unwrap());
        node.discovery().replace_ticket(ticket).unwrap();
    };
    nodes.iter().for_each(give);
    let groups: Vec<_> = nodes
        .iter()
        .map(|node| builder(node).require_ticket(NotBefore).with_quorum(Quorum::Strict(3)).join())
        .collect();
    all_online(&groups).await;
    pass(secs(100)).await;
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    nodes.iter().for_each(give);
    pass(secs(30)).await;
    assert!(groups.iter().all(|group| is_online(group) && group.bonds().len() == 2));
    for events in &mut events {
        let told = events.try_recv();
        assert!(told.is_err(), "{told:?}");
    }
}
