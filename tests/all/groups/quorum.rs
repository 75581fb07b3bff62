//! What each quorum promises when the network is split, and when members are gone.

use mosaik::{
    Network,
    groups::{CommandError, Consistency, Group, GroupEvent, QueryError},
    testing::Faults,
};
use mosaik_tests::{Counter, eventually, secs, within};

use super::{all_equal, all_online, event, founded, join, join_strict, one_leader};
use crate::tickets::pass;

/// It takes nothing, and says so.
async fn stands_still(group: &Group<Counter>) {
    within(secs(5), "its end", group.when().offline()).await;
    let refused = within(secs(5), "a refusal", group.execute(1_000)).await;
    assert!(matches!(refused, Err(CommandError::Offline(back)) if back == [1_000]));
    let strong = within(secs(5), "a refusal", group.query((), Consistency::Strong)).await;
    assert!(matches!(strong, Err(QueryError::Offline(()))));
    group.query((), Consistency::Weak).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_strict_group_is_not_founded_by_fewer(nodes: [Network; 3]) {
    let mut groups = vec![join_strict(&nodes[0], 3), join_strict(&nodes[1], 3)];
    pass(secs(60)).await;
    for group in &groups {
        assert_eq!((group.leader(), group.committed()), (None, 0.into()));
        assert_eq!(group.bonds().len(), 1);
    }
    groups.push(join_strict(&nodes[2], 3));
    all_online(&groups).await;
    within(secs(5), "a command", groups[2].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn two_of_three_go_on_and_the_third_stops_whoever_it_is(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let mut expected = Vec::new();
    for alone in 0..3 {
        one_leader(&groups).await;
        let two: Vec<_> = (0..3).filter(|place| *place != alone).collect();
        nodes.partition(&[&[alone], &two]);
        within(secs(5), "its end", groups[alone].when().offline()).await;
        let pair: Vec<_> = two.iter().map(|place| groups[*place].clone()).collect();
        one_leader(&pair).await;
        for group in &pair {
            expected.push(alone as u64);
            within(secs(5), "a command", group.execute(alone as u64)).await.unwrap();
        }
        stands_still(&groups[alone]).await;
        nodes.heal();
        all_online(&groups).await;
    }
    assert_eq!(all_equal(&groups).await, expected);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_leader_that_hears_but_is_not_heard_gives_way(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let leader = one_leader(&groups).await;
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    others.iter().for_each(|other| nodes.cut(leader, *other));
    let pair: Vec<_> = others.iter().map(|place| groups[*place].clone()).collect();
    one_leader(&pair).await;
    within(secs(5), "a command", pair[0].execute(1)).await.unwrap();
    // It hears of the other one.
    within(secs(5), "its end", groups[leader].when().is_follower()).await;
    nodes.heal();
    all_online(&groups).await;
    assert_eq!(all_equal(&groups).await, [1]);
}

/// Crashes all but one of three.
async fn crash_two(nodes: &[Network; 3], groups: &[Group<Counter>]) -> usize {
    within(secs(5), "a command", groups[0].execute(1)).await.unwrap();
    let left = one_leader(groups).await;
    within(secs(5), "it", groups[left].when().committed().reaches(1)).await;
    (0..3).filter(|place| *place != left).for_each(|place| nodes.crash(place));
    left
}

async fn loses_its_quorum(mut nodes: [Network; 3], join: impl Fn(&Network) -> Group<Counter>) {
    let groups: Vec<_> = nodes.iter().map(&join).collect();
    all_online(&groups).await;
    // All of them vote.
    pass(secs(5)).await;
    let left = crash_two(&nodes, &groups).await;
    let mut events = groups[left].events();
    stands_still(&groups[left]).await;
    assert_eq!(*groups[left].query((), Consistency::Weak).await.unwrap(), 1);
    let mut back = Vec::new();
    for place in (0..3).filter(|place| *place != left) {
        nodes.restart(place).await;
        back.push(join(&nodes[place]));
    }
    let found = event(&mut events, |event| match event {
        GroupEvent::QuorumUnrecoverable { dead, voters } => Some((*dead, *voters)),
        _ => None,
    });
    assert_eq!(found.await, (2, 3));
    // Nobody makes a second group of it behind its back.
    pass(secs(30)).await;
    assert!(back.iter().chain([&groups[left]]).all(|group| group.leader().is_none()));
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_strict_group_without_its_majority_stops_and_says_when_that_is_for_good(
    nodes: [Network; 3],
) {
    loses_its_quorum(nodes, |node| join_strict(node, 3)).await;
}

/// Until elastic groups can reform, which is an issue of its own.
#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn an_elastic_group_without_its_majority_stops_and_says_when_that_is_for_good(
    nodes: [Network; 3],
) {
    loses_its_quorum(nodes, join).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn an_elastic_member_that_is_cut_off_stops_and_comes_back(nodes: [Network; 3]) {
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    pass(secs(5)).await;
    let leader = one_leader(&groups).await;
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    nodes.partition(&[&[leader], &others]);
    stands_still(&groups[leader]).await;
    let pair: Vec<_> = others.iter().map(|place| groups[*place].clone()).collect();
    one_leader(&pair).await;
    within(secs(5), "a command", pair[0].execute(1)).await.unwrap();
    // Long enough for it to be removed.
    pass(secs(20)).await;
    within(secs(5), "a command", pair[1].execute(2)).await.unwrap();
    nodes.heal();
    all_online(&groups).await;
    assert_eq!(all_equal(&groups).await, [1, 2]);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn of_two_elastic_groups_that_meet_the_shorter_yields_and_tells_what_is_lost(
    nodes: [Network; 5],
) {
    nodes.partition(&[&[0, 1, 2], &[3, 4]]);
    let groups = nodes.each_ref().map(join);
    let mut events = groups.each_ref().map(Group::events);
    all_online(&groups).await;
    let (three, two) = groups.split_at(3);
    one_leader(three).await;
    one_leader(two).await;
    for (group, number) in three.iter().zip(0..) {
        within(secs(5), "a command", group.execute(number)).await.unwrap();
    }
    for number in 0..10 {
        within(secs(5), "a command", two[number % 2].execute(100 + number as u64)).await.unwrap();
    }
    nodes.heal();
    // More commands beat more voters.
    for events in &mut events[..3] {
        let (dropped, merged, repeated) = event(events, |event| match event {
            // Who founded alone at first has lost nothing by it.
            GroupEvent::Merged { dropped: 0, .. } => None,
            GroupEvent::Merged { dropped, merged, repeated, .. } => {
                Some((*dropped, *merged, *repeated))
            }
            _ => None,
        })
        .await;
        assert_eq!((dropped, merged, repeated), (3, 0, 0));
    }
    eventually(secs(20), "one group", || {
        let leader = groups[0].leader();
        leader.is_some() && groups.iter().all(|group| group.leader() == leader)
    })
    .await;
    all_online(&groups).await;
    one_leader(&groups).await;
    assert_eq!(all_equal(&groups).await, (100..110).collect::<Vec<_>>());
    let next = within(secs(5), "a command", groups[0].execute(7)).await.unwrap();
    assert_eq!(next, 11);
    for events in &mut events[3..] {
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, GroupEvent::Merged { dropped: 1.., .. }), "{event:?}");
        }
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn elastic_groups_of_one_each_become_one(nodes: [Network; 4]) {
    nodes.partition(&[&[0], &[1], &[2], &[3]]);
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    for (place, group) in groups.iter().enumerate() {
        assert!(group.is_leader());
        for _ in 0..=place {
            within(secs(5), "a command", group.execute(place as u64)).await.unwrap();
        }
    }
    nodes.heal();
    let converged = || {
        let leader = groups[0].leader();
        leader.is_some() && groups.iter().all(|group| group.leader() == leader)
    };
    eventually(secs(20), "one group", converged).await;
    all_online(&groups).await;
    assert_eq!(all_equal(&groups).await, [3, 3, 3, 3]);
}
