//! Who votes: the leader sees to it.

use std::collections::BTreeSet;

use mosaik::{
    Network,
    groups::{ConsensusConfig, GroupEvent, MembershipReason, Quorum},
};
use mosaik_tests::{secs, within};

use super::{all_online, builder, event, founded, ids, join, join_strict, one_leader, told};

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_joins_becomes_a_learner_and_then_a_voter(nodes: [Network; 3]) {
    let ids = ids(&nodes);
    let first = join(&nodes[0]);
    within(secs(20), "its lead", first.when().is_leader()).await;
    let mut events = first.events();
    let others = [1, 2].map(|place: usize| join(&nodes[place]));
    all_online(&others).await;
    let (mut learners, mut voters) = (BTreeSet::new(), BTreeSet::new());
    while voters.len() < 2 {
        let (peer, votes) = event(&mut events, |event| match event {
            GroupEvent::LearnerAdded(peer, MembershipReason::Joined) => Some((*peer, false)),
            GroupEvent::VoterAdded(peer, MembershipReason::CaughtUp) => Some((*peer, true)),
            _ => None,
        })
        .await;
        let new = if votes { voters.insert(peer) } else { learners.insert(peer) };
        assert!(new && (!votes || learners.contains(&peer)));
    }
    assert_eq!(voters, ids[1..].iter().copied().collect());
    // They count: the first one can go.
    nodes.crash(0);
    one_leader(&others).await;
    within(secs(5), "a command", others[0].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_silent_voter_is_removed_and_a_learner_takes_its_place(nodes: [Network; 4]) {
    let groups = founded(&nodes[..3]).await;
    let ids = ids(&nodes);
    let learner = join_strict(&nodes[3], 3);
    within(secs(20), "its start", learner.when().online()).await;
    let leader = one_leader(&groups).await;
    let silent = (leader + 1) % 3;
    let mut events = groups[leader].events();
    nodes.crash(silent);
    told(&mut events, GroupEvent::VoterAdded(ids[3], MembershipReason::Replacement)).await;
    told(&mut events, GroupEvent::VoterRemoved(ids[silent], MembershipReason::Silent)).await;
    told(&mut events, GroupEvent::MemberRemoved(ids[silent], MembershipReason::Silent)).await;
    // It votes: one of the founders that are left may go.
    let last = (leader + 2) % 3;
    nodes.crash(leader);
    let left = [groups[last].clone(), learner];
    one_leader(&left).await;
    within(secs(5), "a command", left[1].execute(1)).await.unwrap();
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_voter_whose_node_restarts_is_replaced_by_what_it_is_now(mut nodes: [Network; 3]) {
    let mut groups = founded(&nodes).await;
    let ids = ids(&nodes);
    for _ in 0..3 {
        let leader = one_leader(&groups).await;
        let place = (leader + 1) % 3;
        let mut events = groups[leader].events();
        nodes.crash(place);
        nodes.restart(place).await;
        groups[place] = join_strict(&nodes[place], 3);
        told(&mut events, GroupEvent::VoterRemoved(ids[place], MembershipReason::Restarted)).await;
        all_online(&groups).await;
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn no_more_vote_than_may_and_an_odd_number(nodes: [Network; 5]) {
    let groups: Vec<_> = nodes
        .iter()
        .map(|node| {
            let builder = builder(node).with_quorum(Quorum::Strict(3)).with_max_voters(4);
            builder.with_consensus_config(ConsensusConfig::fast()).join()
        })
        .collect();
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    let mut events = groups[leader].events();
    // Nobody else is promoted, however long it lasts; two are there to take a place.
    crate::tickets::pass(secs(30)).await;
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, GroupEvent::VoterAdded(..)), "{event:?}");
    }
    within(secs(5), "a command", groups[0].execute(1)).await.unwrap();
}
