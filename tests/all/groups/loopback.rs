//! Groups over sockets, in the time of the machine.

use std::time::Duration;

use mosaik::{
    Network,
    futures::future::join_all,
    groups::{Consistency, Group},
};
use mosaik_tests::{Counter, eventually, secs, within};
use tokio::time::Instant;

use super::{all_equal, builder, event, founded, ids, one_leader};

#[mosaik::network_test]
async fn three_members_apply_what_all_of_them_say(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let calls = (0..3_000).map(|number| groups[number as usize % 3].execute(number));
    let calls: Vec<_> = calls.collect();
    for answer in within(secs(20), "the answers", join_all(calls)).await {
        answer.unwrap();
    }
    let numbers = all_equal(&groups).await;
    assert_eq!(numbers.len(), 3_000);
    for place in 0..3 {
        assert!(numbers.iter().filter(|number| **number % 3 == place).is_sorted());
    }
    for group in &groups {
        let read = within(secs(5), "a query", group.query((), Consistency::Strong)).await.unwrap();
        assert_eq!(*read, 3_000 * 2_999 / 2);
    }
}

#[mosaik::network_test]
async fn when_the_leader_is_dropped_or_shut_down_the_others_go_on(nodes: [Network; 5]) {
    let ids = ids(&nodes);
    let mut groups: Vec<Option<Group<Counter>>> =
        founded(&nodes).await.into_iter().map(Some).collect();
    let mut nodes: Vec<Option<Network>> = nodes.into_iter().map(Some).collect();
    for (round, gracefully) in [(1, false), (2, true)] {
        let left: Vec<_> = groups.iter().flatten().cloned().collect();
        one_leader(&left).await;
        let leader = left[0].leader().unwrap();
        let place = ids.iter().position(|id| *id == leader).unwrap();
        let (node, group) = (nodes[place].take().unwrap(), groups[place].take().unwrap());
        let begun = Instant::now();
        match gracefully {
            true => within(secs(5), "the shutdown", node.shutdown()).await,
            false => drop(node),
        }
        drop(group);
        let left: Vec<_> = groups.iter().flatten().cloned().collect();
        eventually(secs(10), "another leader", || {
            left.iter().all(|group| group.leader().is_some_and(|now| now != leader))
        })
        .await;
        println!("another leads {:?} after the end, gracefully: {gracefully}", begun.elapsed());
        for group in &left {
            within(secs(5), "a command", group.execute(round)).await.unwrap();
        }
    }
    let left: Vec<_> = groups.iter().flatten().cloned().collect();
    assert_eq!(all_equal(&left).await, [1, 1, 1, 1, 2, 2, 2]);
}

#[mosaik::network_test]
async fn large_batches_and_small_commands_travel_together(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let leader = one_leader(&groups).await;
    let follower = &groups[(leader + 1) % 3];
    // Each beyond what goes over the bond itself.
    let large: Vec<u64> = (0..20_000).map(|number| number << 20).collect();
    let batches = (0..3).map(|_| follower.execute_many(large.clone()));
    let batches: Vec<_> = batches.collect();
    let small: Vec<_> = (0..100).map(|_| follower.execute(1)).collect();
    for batch in within(secs(25), "the batches", join_all(batches)).await {
        assert_eq!(batch.unwrap().len(), 20_000);
    }
    for answer in within(secs(10), "the commands", join_all(small)).await {
        answer.unwrap();
    }
    assert_eq!(all_equal(&groups).await.len(), 60_100);
}

#[mosaik::network_test]
async fn a_snapshot_travels_to_who_joins_late(nodes: [Network; 4]) {
    let joined = |node: &Network| {
        let builder = builder(node).with_quorum(mosaik::groups::Quorum::Strict(3));
        builder.snapshot_every(1_000).join()
    };
    let mut groups: Vec<_> = nodes[..3].iter().map(joined).collect();
    super::all_online(&groups).await;
    for _ in 0..10 {
        let numbers: Vec<u64> = (0..20_000).map(|number| number << 20).collect();
        within(secs(10), "a batch", groups[0].execute_many(numbers)).await.unwrap();
    }
    let late = joined(&nodes[3]);
    within(secs(20), "its catching up", late.when().committed().reaches(200_000)).await;
    groups.push(late);
    assert_eq!(all_equal(&groups).await.len(), 200_000);
}

#[mosaik::network_test]
async fn a_lone_member_answers_within_a_moment(node: Network) {
    let group = super::join(&node);
    let mut events = group.events();
    event(&mut events, |event| matches!(event, mosaik::groups::GroupEvent::Online).then_some(()))
        .await;
    let begun = Instant::now();
    for _ in 0..1_000 {
        within(secs(5), "a command", group.execute(1)).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}
