//! What a group tells of its life.

use mosaik::{
    Network,
    groups::{Group, GroupEvent},
};
use mosaik_tests::{secs, within};
use tokio::sync::broadcast::error::TryRecvError;

use super::{Events, all_online, event, founded, ids, join_strict, one_leader, told};

fn drain(events: &mut Events) -> Vec<GroupEvent> {
    let mut all = Vec::new();
    loop {
        match events.try_recv() {
            Ok(event) => all.push(event),
            Err(TryRecvError::Empty) => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn the_founding_of_a_group_is_told_step_by_step(nodes: [Network; 3]) {
    let groups = nodes.each_ref().map(|node| join_strict(node, 3));
    let mut events = groups.each_ref().map(Group::events);
    all_online(&groups).await;
    one_leader(&groups).await;
    let ids = ids(&nodes);
    for (place, events) in events.iter_mut().enumerate() {
        let all = drain(events);
        let at = |what: &dyn Fn(&GroupEvent) -> bool| {
            all.iter().position(what).unwrap_or_else(|| panic!("{all:?}"))
        };
        let bonded = ids.iter().enumerate().filter(|(other, _)| *other != place);
        for (_, id) in bonded {
            at(&|event| *event == GroupEvent::Bonded(*id));
        }
        let founding = at(&|event| *event == GroupEvent::Founding { voters: 3 });
        let entered = at(&|event| *event == GroupEvent::Entered);
        let led = at(&|event| matches!(event, GroupEvent::LeaderChanged { leader: Some(_), .. }));
        let online = at(&|event| *event == GroupEvent::Online);
        assert!(founding < entered && entered < online && led <= online, "{all:?}");
        assert!(!all.contains(&GroupEvent::Offline), "{all:?}");
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn the_loss_of_the_leader_is_told_and_its_end(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let ids = ids(&nodes);
    let leader = one_leader(&groups).await;
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    let mut events: Vec<_> = others.iter().map(|place| groups[*place].events()).collect();
    nodes.crash(leader);
    for events in &mut events {
        let next = event(events, |event| match event {
            GroupEvent::LeaderChanged { leader: Some(leader), term } => Some((*leader, *term)),
            _ => None,
        });
        let (next, term) = next.await;
        assert!(next != ids[leader] && term > 1u64, "{next} {term}");
    }
    for (events, other) in events.iter_mut().zip(&others) {
        // The bond ends when the connection does.
        let mut all = groups[*other].events();
        let bonded = || groups[*other].bonds().contains_peer(&ids[leader]);
        if bonded() {
            told(&mut all, GroupEvent::Unbonded(ids[leader])).await;
        }
        drop(drain(events));
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_is_cut_off_is_told_that_it_is_offline_and_online_again(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let follower = (one_leader(&groups).await + 1) % 3;
    let others: Vec<_> = (0..3).filter(|place| *place != follower).collect();
    let mut events = groups[follower].events();
    nodes.partition(&[&[follower], &others]);
    told(&mut events, GroupEvent::Offline).await;
    nodes.heal();
    told(&mut events, GroupEvent::Online).await;
    within(secs(5), "a command", groups[follower].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn more_founders_than_two_halves_allow_are_refused_and_told_of(nodes: [Network; 2]) {
    let groups = nodes.each_ref().map(|node| join_strict(node, 1));
    let mut events = groups.each_ref().map(Group::events);
    for events in &mut events {
        told(events, GroupEvent::TooManyFounders { founders: 2, limit: 1 }).await;
    }
    assert!(groups.iter().all(|group| group.leader().is_none()));
}
