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

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_log_tells_of_what_is_not_committed_and_of_its_replacement(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let leader = one_leader(&groups).await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    within(secs(5), "a command", groups[leader].execute(1)).await.unwrap();
    let when = groups[leader].when();
    let (log, committed) = (when.log(), when.committed());
    within(secs(5), "its end", committed.reaches(1)).await;
    let reverted = [log.reverted().map(drop).boxed(), committed.reverted().map(drop).boxed()];

    nodes.partition(&[&[leader], &others]);
    let (advanced, lost) = (log.advanced(), groups[leader].feed_many([2, 3, 4]));
    assert_eq!(within(secs(5), "the log", advanced).await.index(), 4);
    assert_eq!(groups[leader].log_position(), Index(4));
    assert_eq!(groups[leader].committed(), 1);
    let (before, advanced) = (log.reverted(), log.advanced());
    let moved = async {
        for other in &others {
            groups[*other].when().online().await;
        }
    };
    drop(lost);
    let elected = groups[others[0]].when().leader_changed();
    within(secs(10), "another leader", elected).await;
    within(secs(10), "the others", moved).await;
    within(secs(5), "a command", groups[others[0]].execute(5)).await.unwrap();
    nodes.heal();
    // Who looks only now sees it as well.
    within(secs(15), "its return", committed.reaches(2)).await;
    within(secs(15), "the replacement", before).await;
    let [was_shorter, was_undone] = reverted;
    assert!(was_shorter.now_or_never().is_none(), "the first command is still there");
    assert!(was_undone.now_or_never().is_none(), "what is committed stays");
    // The calls of before go again, by whoever leads now.
    within(secs(15), "the calls", advanced).await;
    for group in &groups {
        within(secs(15), "the calls", group.when().committed().reaches(5)).await;
    }
    assert_eq!(super::all_equal(&groups).await, [1, 5, 2, 3, 4]);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_gives_way_to_a_rival_hears_that_its_commands_are_gone(nodes: [Network; 2]) {
    nodes.partition(&[&[0], &[1]]);
    let groups = nodes.each_ref().map(join);
    for (group, commands) in groups.iter().zip([5, 2]) {
        within(secs(20), "its start", group.when().online()).await;
        for number in 0..commands {
            within(secs(5), "a command", group.execute(number)).await.unwrap();
        }
    }
    let when = groups[1].when();
    let reverted = [when.log().reverted().map(drop).boxed()];
    let undone = when.committed().reverted();
    let kept = groups[0].when().committed().reverted();
    nodes.heal();
    for reverted in reverted {
        within(secs(30), "the end of its log", reverted).await;
    }
    within(secs(30), "the end of its state", undone).await;
    assert_eq!(super::all_equal(&groups).await.len(), 5);
    assert!(kept.now_or_never().is_none());
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
