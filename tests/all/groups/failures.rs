//! State machines that panic, or that do not all do the same.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mosaik::{
    Network,
    groups::{CommandError, Consistency, Error, Group, GroupEvent, Index, Quorum},
};
use mosaik_tests::{Counter, PANIC, secs, within};

use super::{all_equal, all_online, builder, builder_of, event, founded, one_leader, told};
use crate::tickets::pass;

async fn skip(group: &Group<Counter>, index: u64) {
    within(secs(5), "the skip", group.skip(Index(index))).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_panic_stops_the_group_until_the_command_is_skipped(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    let leader = one_leader(&groups).await;
    let other = &groups[(leader + 1) % 3];
    within(secs(5), "a command", other.execute(1)).await.unwrap();
    let bad = tokio::spawn(other.execute(PANIC));
    for events in &mut events {
        told(events, GroupEvent::Poisoned { index: Index(2) }).await;
    }
    for group in &groups {
        within(secs(5), "its end", group.when().offline()).await;
        let weak = group.query((), Consistency::Weak).await.unwrap();
        assert_eq!((*weak, weak.state_position()), (1, Index(1)));
    }
    assert_eq!(within(secs(5), "a refusal", other.skip(Index(2))).await, Err(Error::NotLeader));
    skip(&groups[leader], 2).await;
    for events in &mut events {
        told(events, GroupEvent::Skipped { index: Index(2) }).await;
    }
    let bad = within(secs(5), "its answer", bad).await.unwrap();
    assert!(matches!(bad, Err(CommandError::Skipped { index }) if index == 2), "{bad:?}");
    all_online(&groups).await;
    let next = within(secs(5), "a command", other.execute(1)).await.unwrap();
    assert_eq!((next.index(), *next), (Index(3), 2));
    assert_eq!(all_equal(&groups).await, [1, 1]);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn where_all_have_panicked_whoever_leads_stays(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let leader = one_leader(&groups).await;
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    drop(groups[leader].execute(PANIC));
    for events in &mut events {
        told(events, GroupEvent::Poisoned { index: Index(1) }).await;
    }
    pass(secs(20)).await;
    for events in &mut events {
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, GroupEvent::LeaderChanged { .. }), "{event:?}");
        }
    }
    skip(&groups[leader], 1).await;
    all_online(&groups).await;
}

async fn does_not_skip(group: &Group<Counter>, index: u64) {
    let refused = within(secs(5), "a refusal", group.skip(Index(index))).await;
    assert!(matches!(refused, Err(Error::Unsuitable(..))), "{refused:?}");
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn nothing_but_the_command_that_panicked_is_skipped(nodes: [Network; 3]) {
    let groups: Vec<_> = nodes
        .iter()
        .map(|node| builder(node).with_quorum(Quorum::Strict(3)).snapshot_every(5).join())
        .collect();
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    let mut events = groups[leader].events();
    for number in 1..=12 {
        within(secs(5), "a command", groups[0].execute(number)).await.unwrap();
    }
    // In the last snapshot, applied after it, not there yet.
    for index in [3, 12, 14] {
        does_not_skip(&groups[leader], index).await;
    }
    within(secs(5), "a command", groups[0].execute(13)).await.unwrap();
    drop(groups[0].execute(PANIC));
    told(&mut events, GroupEvent::Poisoned { index: Index(14) }).await;
    for index in [3, 13, 15] {
        does_not_skip(&groups[leader], index).await;
    }
    skip(&groups[leader], 14).await;
    does_not_skip(&groups[leader], 14).await;
    all_online(&groups).await;
    assert_eq!(within(secs(5), "a command", groups[0].execute(14)).await.unwrap(), 15);
    assert_eq!(all_equal(&groups).await, (1..=14).collect::<Vec<u64>>());
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_leader_that_panics_alone_hands_leadership_on(nodes: [Network; 3]) {
    let fragile: [Arc<AtomicBool>; 3] = Default::default();
    let groups: Vec<_> = nodes
        .iter()
        .zip(&fragile)
        .map(|(node, fragile)| {
            let machine = Counter { fragile: fragile.clone(), ..Counter::default() };
            builder_of(node, machine).with_quorum(Quorum::Strict(3)).join()
        })
        .collect();
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    let mut events = groups[leader].events();
    fragile[leader].store(true, Ordering::Relaxed);
    let other = &groups[(leader + 1) % 3];
    assert_eq!(within(secs(5), "a command", other.execute(1)).await.unwrap(), 1);
    told(&mut events, GroupEvent::Poisoned { index: Index(1) }).await;
    let changed = groups[leader].when().is_follower();
    within(secs(10), "another leader", changed).await;
    let next = one_leader(&groups).await;
    assert_ne!(next, leader);
    assert_eq!(within(secs(5), "a command", other.execute(1)).await.unwrap(), 2);
    // It was applied, and answered.
    does_not_skip(&groups[next], 1).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn what_was_committed_after_a_panic_is_applied_after_the_skip(nodes: [Network; 3]) {
    let groups: Vec<_> = nodes
        .iter()
        .map(|node| builder(node).with_quorum(Quorum::Strict(3)).snapshot_every(5).join())
        .collect();
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    for number in 1..=12 {
        within(secs(5), "a command", groups[0].execute(number)).await.unwrap();
    }
    let calls = [1, PANIC, 2].map(|number| tokio::spawn(groups[leader].execute(number)));
    for group in &groups {
        within(secs(5), "its end", group.when().offline()).await;
    }
    skip(&groups[leader], 14).await;
    let [before, bad, after] = calls;
    assert_eq!(within(secs(5), "an answer", before).await.unwrap().unwrap(), 13);
    let bad = within(secs(5), "an answer", bad).await.unwrap();
    assert!(matches!(bad, Err(CommandError::Skipped { index }) if index == 14), "{bad:?}");
    assert_eq!(within(secs(5), "an answer", after).await.unwrap().unwrap(), 15);
    let expected: Vec<u64> = (1..=12).chain([1, 2]).collect();
    assert_eq!(all_equal(&groups).await, expected);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_joins_a_group_that_stands_still_comes_along_after_the_skip(nodes: [Network; 4]) {
    let mut groups = founded(&nodes[..3]).await;
    let leader = one_leader(&groups).await;
    within(secs(5), "a command", groups[0].execute(1)).await.unwrap();
    drop(groups[0].execute(PANIC));
    for group in &groups {
        within(secs(5), "its end", group.when().offline()).await;
    }
    let late = builder(&nodes[3]).with_quorum(Quorum::Strict(3)).join();
    let mut events = late.events();
    event(&mut events, |event| matches!(event, GroupEvent::Bonded(_)).then_some(())).await;
    skip(&groups[leader], 2).await;
    groups.push(late);
    all_online(&groups).await;
    assert_eq!(within(secs(5), "a command", groups[3].execute(1)).await.unwrap(), 3);
    assert_eq!(all_equal(&groups).await, [1, 1]);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_member_whose_state_differs_is_told_of(nodes: [Network; 3]) {
    let machine = |place: usize| Counter { error: u64::from(place == 2), ..Counter::default() };
    let groups: Vec<_> = nodes
        .iter()
        .enumerate()
        .map(|(place, node)| builder_of(node, machine(place)).with_quorum(Quorum::Strict(3)).join())
        .collect();
    all_online(&groups).await;
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    let other = nodes[2].local().id();
    within(secs(5), "a command", groups[0].execute(1)).await.unwrap();
    for events in &mut events[..2] {
        let index = event(events, |event| match event {
            GroupEvent::Diverged { peer, index } => {
                assert_eq!(*peer, other);
                Some(*index)
            }
            _ => None,
        });
        assert_eq!(index.await, 1);
    }
    let peer = event(&mut events[2], |event| match event {
        GroupEvent::Diverged { peer, .. } => Some(*peer),
        _ => None,
    });
    assert_ne!(peer.await, other);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn members_that_do_the_same_are_never_told_to_differ(nodes: [Network; 3]) {
    let groups: Vec<_> = nodes
        .iter()
        .map(|node| builder(node).with_quorum(Quorum::Strict(3)).snapshot_every(10).join())
        .collect();
    all_online(&groups).await;
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    for round in 0..20 {
        for number in 0..10 {
            let group = &groups[number as usize % 3];
            within(secs(5), "a command", group.execute(number)).await.unwrap();
        }
        pass(secs(2)).await;
        if round % 5 == 0 {
            let leader = one_leader(&groups).await;
            let _ = within(secs(5), "the transfer", groups[leader].step_down()).await;
        }
    }
    all_equal(&groups).await;
    for events in &mut events {
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, GroupEvent::Diverged { .. }), "{event:?}");
        }
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn checkpoints_of_leaders_that_follow_one_another_are_not_mixed_up(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    within(secs(5), "a command", groups[0].execute(1)).await.unwrap();
    // Nobody says anything any more.
    for _ in 0..6 {
        pass(secs(3)).await;
        let leader = one_leader(&groups).await;
        let _ = within(secs(5), "the transfer", groups[leader].step_down()).await;
    }
    pass(secs(11)).await;
    for events in &mut events {
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, GroupEvent::Diverged { .. }), "{event:?}");
        }
    }
}
