//! What of a group's life can be awaited.

use mosaik::{
    Network,
    futures::FutureExt,
    groups::{Index, Quorum},
};
use mosaik_tests::{secs, within};

use super::{builder, founded, ids, join, one_leader};
use crate::tickets::pass;

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn futures_of_what_is_already_so_are_ready(node: Network) {
    let group = join(&node);
    let when = group.when();
    assert!(when.is_follower().now_or_never().is_some());
    assert!(when.offline().now_or_never().is_some());
    assert!(when.is_leader().now_or_never().is_none());
    assert!(when.online().now_or_never().is_none());
    assert!(when.committed().reaches(1).now_or_never().is_none());
    assert_eq!(when.committed().reaches(0).now_or_never(), Some(Index(0)));
    let leader = within(secs(20), "a leader", when.leader_elected()).await;
    assert_eq!(leader, node.local().id());
    within(secs(5), "the lead", when.online()).await;
    for ready in [when.is_leader().boxed(), when.leader_is(leader).boxed(), when.online().boxed()] {
        assert!(ready.now_or_never().is_some());
    }
    assert_eq!(when.leader_elected().now_or_never(), Some(leader));
    assert!(when.is_follower().now_or_never().is_none());
    assert!(when.offline().now_or_never().is_none());
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_change_of_leaders_is_told_to_all_without_the_time_between(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let ids = ids(&nodes);
    let leader = one_leader(&groups).await;
    let changed: Vec<_> = groups.iter().map(|group| group.when().leader_changed()).collect();
    let to = (leader + 1) % 3;
    let is_leader = groups[to].when().is_leader();
    let is_follower = groups[leader].when().is_follower();
    within(secs(5), "the transfer", groups[leader].transfer_to(ids[to])).await.unwrap();
    for changed in changed {
        assert_eq!(within(secs(5), "the change", changed).await, ids[to]);
    }
    within(secs(5), "its lead", is_leader).await;
    within(secs(5), "the other's end", is_follower).await;
    for group in &groups {
        within(secs(5), "the leader", group.when().leader_is(ids[to])).await;
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_is_cut_off_goes_offline_and_comes_back(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let follower = (one_leader(&groups).await + 1) % 3;
    let others: Vec<usize> = (0..3).filter(|place| *place != follower).collect();
    let offline = groups[follower].when().offline();
    nodes.partition(&[&[follower], &others]);
    within(secs(5), "its end", offline).await;
    let online = groups[follower].when().online();
    assert!(groups[others[0]].when().online().now_or_never().is_some());
    nodes.heal();
    within(secs(15), "its return", online).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn positions_are_awaited_by_index_and_by_range(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let [here, there] = [&groups[0], &groups[1]];
    let (log, committed) = (there.when().log(), there.when().committed());
    let (changed, advanced) = (committed.changed(), log.advanced());
    let reached = committed.reaches(Index(2)..=Index(4));
    let fifth = log.reaches(5);
    within(secs(5), "a command", here.execute(1)).await.unwrap();
    assert_eq!(within(secs(5), "the change", changed).await, 1);
    assert_eq!(within(secs(5), "the log's", advanced).await.index(), 1);
    within(secs(5), "a batch", here.execute_many([1, 1, 1])).await.unwrap();
    assert!(within(secs(5), "the range", reached).await >= 4);
    within(secs(5), "a command", here.execute(1)).await.unwrap();
    assert_eq!(within(secs(5), "the fifth", fifth).await.index(), 5);
    assert!(log.reverted().now_or_never().is_none());
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn once_the_group_has_ended_they_wait_for_ever(node: Network) {
    let group = builder(&node).with_quorum(Quorum::Strict(1)).join();
    within(secs(20), "its start", group.when().online()).await;
    let when = group.when().clone();
    let mut waiting = [
        when.leader_changed().map(drop).boxed(),
        when.committed().reaches(1).map(drop).boxed(),
        when.log().advanced().map(drop).boxed(),
    ];
    within(secs(5), "its end", group.leave()).await.unwrap();
    pass(secs(30)).await;
    for waiting in &mut waiting {
        assert!(waiting.now_or_never().is_none());
    }
    drop((node, when));
    pass(secs(30)).await;
    for waiting in &mut waiting {
        assert!(waiting.now_or_never().is_none());
    }
}
