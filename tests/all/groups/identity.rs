//! Which group it is, and who bonds with whom.

use std::collections::BTreeSet;

use mosaik::{
    Network,
    groups::{ConsensusConfig, Group, GroupEvent, GroupKey, JoinError, Quorum},
    tickets::{Expiration, TicketValidator},
};
use mosaik_tests::{Counter, eventually, secs, within};

use super::{all_online, builder, builder_of, event, join, join_strict, one_leader};
use crate::tickets::{DOOR, For, SAFE, pass, ticket};

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn one_key_and_one_machine_are_one_group_whatever_the_timing(nodes: [Network; 2]) {
    let fast = join(&nodes[0]);
    let slow = builder(&nodes[1]).with_consensus_config(ConsensusConfig::wan()).join();
    assert_eq!(fast.id(), slow.id());
    all_online([&fast, &slow]).await;
    assert_eq!(fast.leader(), slow.leader());
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn another_key_or_another_machine_is_another_group(nodes: [Network; 3]) {
    let other_key = nodes[1].groups().with_key(GroupKey::from_secret("other"));
    let other_key = other_key.with_state_machine(Counter::default()).join();
    let machine = Counter { name: "tests.other", ..Counter::default() };
    let groups = [join(&nodes[0]), other_key, builder_of(&nodes[2], machine).join()];
    let ids: BTreeSet<_> = groups.iter().map(|group| *group.id()).collect();
    assert_eq!(ids.len(), 3);
    all_online(&groups).await;
    pass(secs(10)).await;
    for group in &groups {
        assert!(group.is_leader() && group.bonds().is_empty());
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn a_key_that_comes_from_a_validator_is_the_same_everywhere(node: Network) {
    let [a, b] = [DOOR, DOOR].map(|class| GroupKey::from(&For(class)));
    assert_eq!(a, b);
    assert_eq!(a, GroupKey::from(&For(DOOR).signature()));
    assert_ne!(a, GroupKey::from(&For(SAFE)));
    let erased: &dyn TicketValidator = &For(DOOR);
    assert_eq!(a, GroupKey::from(erased));
    let group = node.groups().with_key(a).join();
    within(secs(20), "a leader", group.when().leader_elected()).await;
}

/// The two bond with nobody, and both are told why.
async fn do_not_fit(nodes: &[Network; 2], groups: [Group<Counter>; 2], field: &str) {
    let mut events = groups.each_ref().map(Group::events);
    assert_eq!(groups[0].id(), groups[1].id());
    let mut shown = Vec::new();
    for (events, other) in events.iter_mut().zip([1, 0]) {
        let other = nodes[other].local().id();
        let (ours, theirs) = event(events, |event| match event {
            GroupEvent::ConfigMismatch { peer, field: told, ours, theirs } => {
                assert_eq!((*peer, *told), (other, field));
                Some((ours.clone(), theirs.clone()))
            }
            _ => None,
        })
        .await;
        shown.push((ours, theirs));
    }
    let (ours, theirs) = shown[0].clone();
    assert_ne!(ours, theirs);
    assert_eq!(shown[1], (theirs, ours));
    pass(secs(20)).await;
    for group in &groups {
        assert!(group.bonds().is_empty() && (group.leader().is_none() || group.is_leader()));
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn another_quorum_is_refused_and_both_are_told(nodes: [Network; 2]) {
    let groups = [join(&nodes[0]), join_strict(&nodes[1], 3)];
    do_not_fit(&nodes, groups, "quorum").await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn another_version_of_the_machine_is_refused_and_both_are_told(nodes: [Network; 2]) {
    let newer = Counter { version: 1, ..Counter::default() };
    let groups = [join(&nodes[0]), builder_of(&nodes[1], newer).join()];
    do_not_fit(&nodes, groups, "machine version").await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn another_validator_is_refused_and_both_are_told(nodes: [Network; 2]) {
    // Who has no ticket would not even hear of it.
    let ticket = ticket(&nodes[0], DOOR, Expiration::Never);
    nodes[0].discovery().add_ticket(ticket).unwrap();
    let groups = [join(&nodes[0]), builder(&nodes[1]).require_ticket(For(DOOR)).join()];
    do_not_fit(&nodes, groups, "validators").await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn members_form_a_full_mesh_of_bonds_that_both_ends_know_by_one_id(nodes: [Network; 5]) {
    let groups = nodes.each_ref().map(join);
    let full = || groups.iter().all(|group| group.bonds().len() == 4);
    eventually(secs(8), "a full mesh", full).await;
    for (a, group) in nodes.iter().zip(&groups) {
        for (b, other) in
            nodes.iter().zip(&groups).filter(|(b, _)| b.local().id() != a.local().id())
        {
            let here = group.bonds().get(&b.local().id()).unwrap();
            let there = other.bonds().get(&a.local().id()).unwrap();
            assert_eq!(here.id(), there.id());
            assert_eq!(*here.peer().id(), b.local().id());
        }
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn a_node_is_in_several_groups_at_once(nodes: [Network; 3]) {
    let of = |node: &Network, name: &'static str| {
        let machine = Counter { name, ..Counter::default() };
        builder_of(node, machine).with_quorum(Quorum::Strict(3)).join()
    };
    let one = nodes.each_ref().map(|node| of(node, "tests.one"));
    let other = nodes.each_ref().map(|node| of(node, "tests.other"));
    all_online(one.iter().chain(&other)).await;
    within(secs(5), "a command", one[0].execute(1)).await.unwrap();
    within(secs(5), "a command", other[0].execute(2)).await.unwrap();
    for (groups, total) in [(&one, 1), (&other, 2)] {
        one_leader(groups).await;
        for group in groups {
            within(secs(5), "it", group.when().committed().reaches(1)).await;
            assert_eq!(group.read(|counter| counter.total), total);
        }
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn a_second_handle_is_of_the_same_member_and_it_leaves_with_the_last(nodes: [Network; 2]) {
    let group = join(&nodes[0]);
    let other = join(&nodes[1]);
    all_online([&group, &other]).await;
    let again = join(&nodes[0]);
    drop(group);
    pass(secs(5)).await;
    assert_eq!((again.bonds().len(), other.bonds().len()), (1, 1));
    within(secs(5), "a command", again.execute(1)).await.unwrap();
    drop(again);
    eventually(secs(5), "the end of the bond", || other.bonds().is_empty()).await;
    within(secs(20), "the other one's lead", other.when().is_leader()).await;
    assert_eq!(*within(secs(5), "a command", other.execute(1)).await.unwrap(), 2);
}

#[mosaik::network_test(sim, seed = 1, seeds = 1)]
async fn what_makes_no_sense_is_refused_before_anything_starts(node: Network) {
    let even = builder(&node).with_quorum(Quorum::Strict(4)).try_join();
    assert_eq!(even.unwrap_err(), JoinError::EvenQuorum(4));
    let many = builder(&node).with_quorum(Quorum::Strict(7)).try_join();
    assert_eq!(many.unwrap_err(), JoinError::TooManyFounders { founders: 7, max_voters: 5 });
    let none = builder(&node).with_max_voters(0).try_join();
    assert_eq!(none.unwrap_err(), JoinError::MaxVoters(0));
    let group = join(&node);
    let twin = node.groups().with_key(GroupKey::from_secret("tests"));
    assert!(twin.with_state_machine(Counter::default()).try_join().is_ok());
    within(secs(20), "its start", group.when().online()).await;
}
