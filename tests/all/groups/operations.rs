//! What operators ask for, and work that only the leader does.

use std::{
    future::pending,
    sync::{Arc, Mutex},
};

use mosaik::{
    Network, SecretKey,
    groups::{Error, FencingToken, Group, GroupEvent, MembershipReason, Quorum},
};
use mosaik_tests::{Counter, eventually, secs, within};

use super::{all_online, builder, founded, ids, is_online, join, join_strict, one_leader, told};
use crate::tickets::pass;

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_steps_down_returns_when_another_leads(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let ids = ids(&nodes);
    let leader = one_leader(&groups).await;
    let other = (leader + 1) % 3;
    let refused = within(secs(5), "a refusal", groups[other].step_down()).await;
    assert_eq!(refused, Err(Error::NotLeader));
    within(secs(5), "the transfer", groups[leader].step_down()).await.unwrap();
    assert!(groups[leader].leader().is_some_and(|now| now != ids[leader]));
    let next = one_leader(&groups).await;
    assert_ne!(next, leader);
    within(secs(5), "a command", groups[leader].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_is_alone_cannot_step_down(node: Network) {
    let group = join(&node);
    within(secs(20), "its start", group.when().online()).await;
    let me = node.local().id();
    let refused = within(secs(5), "a refusal", group.step_down()).await;
    assert!(matches!(refused, Err(Error::Unsuitable(peer, _)) if peer == me), "{refused:?}");
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn leadership_goes_to_whom_it_is_given_and_to_nobody_else(nodes: [Network; 4]) {
    let groups = founded(&nodes[..3]).await;
    let ids = ids(&nodes);
    for _ in 0..3 {
        let leader = one_leader(&groups).await;
        let to = (leader + 1) % 3;
        // Even if it has just been elected, and does not know yet who answers.
        within(secs(5), "the transfer", groups[leader].transfer_to(ids[to])).await.unwrap();
        within(secs(5), "its lead", groups[to].when().is_leader()).await;
    }
    let leader = one_leader(&groups).await;
    let stranger = within(secs(5), "a refusal", groups[leader].transfer_to(ids[3])).await;
    assert!(matches!(stranger, Err(Error::Unsuitable(peer, _)) if peer == ids[3]), "{stranger:?}");
    let other = groups[(leader + 1) % 3].transfer_to(ids[leader]);
    assert_eq!(within(secs(5), "a refusal", other).await, Err(Error::NotLeader));
    assert!(groups[leader].is_leader());
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn leadership_does_not_go_to_who_is_silent(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let ids = ids(&nodes);
    let leader = one_leader(&groups).await;
    let silent = (leader + 1) % 3;
    nodes.crash(silent);
    // Whether that is noticed before or after: it does not lead, and nobody says that it does.
    let answer = within(secs(20), "an answer", groups[leader].transfer_to(ids[silent])).await;
    assert!(matches!(answer, Err(Error::Unsuitable(..) | Error::Timeout)), "{answer:?}");
    let left: Vec<_> = (0..3).filter(|place| *place != silent).collect();
    let left: Vec<_> = left.into_iter().map(|place| groups[place].clone()).collect();
    one_leader(&left).await;
    within(secs(10), "a command", left[0].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_is_evicted_is_removed_and_comes_back_as_a_new_member(nodes: [Network; 3]) {
    let groups = nodes.each_ref().map(join);
    let ids = ids(&nodes);
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    within(secs(5), "a command", groups[leader].execute(1)).await.unwrap();
    let out = (leader + 1) % 3;
    let not_here = within(secs(5), "a refusal", groups[out].evict(ids[leader])).await;
    assert_eq!(not_here, Err(Error::NotLeader));
    let mut events = groups[leader].events();
    within(secs(5), "it", groups[leader].evict(ids[out])).await.unwrap();
    told(&mut events, GroupEvent::MemberRemoved(ids[out], MembershipReason::Evicted)).await;
    told(&mut events, GroupEvent::LearnerAdded(ids[out], MembershipReason::Joined)).await;
    within(secs(20), "its return", groups[out].when().online()).await;
    let own = within(secs(5), "its command", groups[out].execute(1)).await.unwrap();
    assert_eq!(*own, 2);
    let gone = groups[leader].evict(SecretKey::generate().public());
    assert!(matches!(within(secs(5), "a refusal", gone).await, Err(Error::Unsuitable(..))));
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn an_eviction_is_over_when_it_is_agreed_on_and_a_leader_can_evict_itself(
    nodes: [Network; 3],
) {
    let ids = ids(&nodes);
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    // Until all of them vote.
    pass(secs(5)).await;
    let leader = one_leader(&groups).await;
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    within(secs(5), "it", groups[leader].evict(ids[leader])).await.unwrap();
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    assert!(others.iter().any(|place| groups[*place].is_leader()));
    let removed = GroupEvent::MemberRemoved(ids[leader], MembershipReason::Evicted);
    let next = others.into_iter().find(|place| groups[*place].is_leader()).unwrap();
    told(&mut events[next], removed).await;
    within(secs(20), "its return", groups[leader].when().online()).await;
    within(secs(5), "its command", groups[leader].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_is_evicted_at_the_floor_is_barred_until_a_learner_takes_its_place(
    nodes: [Network; 4],
) {
    let mut groups = founded(&nodes[..3]).await;
    let ids = ids(&nodes);
    let leader = one_leader(&groups).await;
    let (out, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut events: Vec<_> = groups.iter().map(Group::events).collect();
    within(secs(5), "it", groups[leader].evict(ids[out])).await.unwrap();
    let barred = GroupEvent::VoterBarred(ids[out], MembershipReason::Evicted);
    told(&mut events[leader], barred.clone()).await;
    let cut_off = |groups: &[Group<Counter>]| {
        groups[out].bonds().is_empty()
            && groups.iter().all(|it| !it.bonds().contains_peer(&ids[out]))
    };
    eventually(secs(5), "the end of its bonds", || cut_off(&groups)).await;
    within(secs(5), "a command", groups[leader].execute(1)).await.unwrap();
    // Whoever leads next goes on with it.
    within(secs(5), "the transfer", groups[leader].transfer_to(ids[other])).await.unwrap();
    told(&mut events[other], barred).await;
    within(secs(5), "a command", groups[leader].execute(1)).await.unwrap();
    eventually(secs(5), "its notice", || !is_online(&groups[out])).await;
    groups.push(join_strict(&nodes[3], 3));
    told(&mut events[other], GroupEvent::VoterAdded(ids[3], MembershipReason::Replacement)).await;
    told(&mut events[other], GroupEvent::MemberRemoved(ids[out], MembershipReason::Evicted)).await;
    // What its node is now is welcome.
    within(secs(30), "its return", groups[out].when().online()).await;
    let own = within(secs(5), "its command", groups[out].execute(1)).await.unwrap();
    assert_eq!(*own, 3);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_barred_voter_is_let_in_again_when_its_vote_is_needed(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let ids = ids(&nodes);
    let leader = one_leader(&groups).await;
    let (out, other) = ((leader + 1) % 3, (leader + 2) % 3);
    within(secs(5), "it", groups[leader].evict(ids[out])).await.unwrap();
    eventually(secs(5), "the end of its bonds", || groups[out].bonds().is_empty()).await;
    // Of the other two both are needed now.
    nodes.crash(leader);
    let pair = [groups[out].clone(), groups[other].clone()];
    let leader = one_leader(&pair).await;
    within(secs(10), "a command", pair[1 - leader].execute(1)).await.unwrap();
    pass(secs(20)).await;
    within(secs(5), "a command", pair[1 - leader].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_is_needed_for_a_quorum_is_not_evicted(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let ids = ids(&nodes);
    let leader = one_leader(&groups).await;
    let (out, dead) = ((leader + 1) % 3, (leader + 2) % 3);
    nodes.crash(dead);
    // Until it is missed.
    pass(secs(2)).await;
    let refused = within(secs(5), "a refusal", groups[leader].evict(ids[out])).await;
    assert!(matches!(refused, Err(Error::Unsuitable(peer, _)) if peer == ids[out]), "{refused:?}");
    assert!(groups[leader].bonds().contains_peer(&ids[out]));
    within(secs(5), "a command", groups[leader].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_leaves_is_removed_and_its_bonds_end(nodes: [Network; 4]) {
    let mut groups = founded(&nodes[..3]).await;
    let ids = ids(&nodes);
    let learner = builder(&nodes[3]).with_quorum(Quorum::Strict(3)).join();
    within(secs(20), "its start", learner.when().online()).await;
    let leader = one_leader(&groups).await;
    let mut events = groups[leader].events();
    let going = (leader + 1) % 3;
    within(secs(5), "the departure", groups.remove(going).leave()).await.unwrap();
    let leader = groups.iter().find(|group| group.is_leader()).unwrap();
    // The learner takes its place at once: a group of three founders never has fewer voters.
    told(&mut events, GroupEvent::VoterAdded(ids[3], MembershipReason::Replacement)).await;
    told(&mut events, GroupEvent::VoterRemoved(ids[going], MembershipReason::Left)).await;
    told(&mut events, GroupEvent::MemberRemoved(ids[going], MembershipReason::Left)).await;
    eventually(secs(5), "the end of its bond", || !leader.bonds().contains_peer(&ids[going])).await;
    within(secs(5), "a command", leader.execute(1)).await.unwrap();
}

/// What the work of leaders has seen.
#[derive(Default)]
struct Work {
    running: Vec<usize>,
    tokens: Vec<FencingToken>,
}

struct Done(Arc<Mutex<Work>>, usize);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.lock().unwrap().running.retain(|place| *place != self.1);
    }
}

fn work(group: &Group<Counter>, place: usize, seen: &Arc<Mutex<Work>>) {
    let (group, seen) = (group.clone(), seen.clone());
    tokio::spawn(async move {
        let working = group.while_leader(|token| {
            let done = Done(seen.clone(), place);
            let mut seen = seen.lock().unwrap();
            seen.tokens.push(token);
            seen.running.push(place);
            drop(seen);
            async move {
                let _done = done;
                pending::<()>().await;
            }
        });
        assert_eq!(working.await, None, "only the end of the group ends it");
    });
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn work_of_the_leader_runs_on_one_node_and_moves_with_the_lead(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let seen = Arc::<Mutex<Work>>::default();
    groups.iter().enumerate().for_each(|(place, group)| work(group, place, &seen));
    let runs_on = |place: usize| seen.lock().unwrap().running == [place];
    for round in 1..=3 {
        let leader = one_leader(&groups).await;
        eventually(secs(5), "the work", || runs_on(leader)).await;
        assert_eq!(seen.lock().unwrap().tokens.len(), round);
        within(secs(5), "the transfer", groups[leader].step_down()).await.unwrap();
    }
    let leader = one_leader(&groups).await;
    eventually(secs(5), "the work", || runs_on(leader)).await;
    nodes.crash(leader);
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    let moved = || others.iter().any(|place| runs_on(*place));
    eventually(secs(20), "the work of another", moved).await;
    let tokens = seen.lock().unwrap().tokens.clone();
    assert!(tokens.windows(2).all(|two| two[0] < two[1]), "{tokens:?}");
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn work_of_a_leader_that_is_cut_off_is_cancelled(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let seen = Arc::<Mutex<Work>>::default();
    groups.iter().enumerate().for_each(|(place, group)| work(group, place, &seen));
    let leader = one_leader(&groups).await;
    eventually(secs(5), "the work", || seen.lock().unwrap().running == [leader]).await;
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    nodes.partition(&[&[leader], &others]);
    let moved = || {
        let running = seen.lock().unwrap().running.clone();
        running.len() == 1 && running[0] != leader
    };
    eventually(secs(20), "the work of another alone", moved).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn work_that_is_done_gives_back_what_it_returns(node: Network) {
    let group = join(&node);
    let done = group.while_leader(|token| async move { token.get() });
    let term = within(secs(20), "the work", done).await.unwrap();
    assert!(term > 0);
    within(secs(5), "its end", group.clone().leave()).await.unwrap();
    let ended = within(secs(5), "the end", group.while_leader(|_| async {})).await;
    assert_eq!(ended, None);
}
