//! Who comes late, or comes back.

use mosaik::{
    Network,
    futures::future::join_all,
    groups::{Group, Quorum},
};
use mosaik_tests::{Counter, secs, within};

use super::{all_equal, all_online, builder, founded, one_leader, votes};

/// Gives a group so many commands.
async fn fill(group: &Group<Counter>, count: u64) {
    let calls = (0..count).map(|number| group.execute(number));
    for answer in within(secs(30), "many commands", join_all(calls)).await {
        answer.unwrap();
    }
}

async fn catches_up(nodes: &[Network; 4], snapshot_every: u64) {
    let joined = |node: &Network| {
        let builder = builder(node).with_quorum(Quorum::Strict(3));
        builder.snapshot_every(snapshot_every).join()
    };
    let mut groups: Vec<_> = nodes[..3].iter().map(joined).collect();
    all_online(&groups).await;
    fill(&groups[0], 300).await;
    let late = joined(&nodes[3]);
    let reached = async {
        tokio::join!(late.when().committed().reaches(300), late.when().log().reaches(300))
    };
    within(secs(20), "its catching up", reached).await;
    within(secs(5), "its start", late.when().online()).await;
    assert_eq!(late.committed(), groups[0].committed());
    let own = within(secs(5), "its command", late.execute(1_000)).await.unwrap();
    assert_eq!(own, 301);
    groups.push(late);
    let expected: Vec<u64> = (0..300).chain([1_000]).collect();
    assert_eq!(all_equal(&groups).await, expected);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_joins_late_gets_the_log(nodes: [Network; 4]) {
    catches_up(&nodes, 20_000).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_joins_late_gets_a_snapshot_and_the_log_after_it(nodes: [Network; 4]) {
    catches_up(&nodes, 7).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_joins_late_gets_a_snapshot_of_all_there_is(nodes: [Network; 4]) {
    catches_up(&nodes, 100).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_joins_while_commands_are_given_misses_none(nodes: [Network; 4]) {
    let mut groups = founded(&nodes[..3]).await;
    let busy = groups[0].clone();
    let filling = fill(&busy, 2_000);
    let joining = async {
        let late = builder(&nodes[3]).with_quorum(Quorum::Strict(3)).join();
        within(secs(20), "its catching up", late.when().committed().reaches(2_000)).await;
        late
    };
    let ((), late) = tokio::join!(filling, joining);
    groups.push(late);
    assert_eq!(all_equal(&groups).await, (0..2_000).collect::<Vec<_>>());
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_was_cut_off_gets_what_it_has_missed_though_the_logs_are_purged(nodes: [Network; 3]) {
    let joined =
        |node: &Network| builder(node).with_quorum(Quorum::Strict(3)).snapshot_every(10).join();
    let groups: Vec<_> = nodes.iter().map(joined).collect();
    all_online(&groups).await;
    let leader = one_leader(&groups).await;
    let away = (leader + 1) % 3;
    let others: Vec<usize> = (0..3).filter(|place| *place != away).collect();
    fill(&groups[away], 50).await;
    nodes.partition(&[&[away], &others]);
    // More than is kept behind a snapshot.
    fill(&groups[leader], 3_000).await;
    nodes.heal();
    within(secs(20), "its return", groups[away].when().committed().reaches(3_050)).await;
    // Its session is in the snapshot: its next command is not taken for an old one.
    within(secs(15), "its return", groups[away].when().online()).await;
    let next = within(secs(5), "its command", groups[away].execute(7)).await.unwrap();
    assert_eq!(next, 3_051);
    assert_eq!(all_equal(&groups).await.len(), 3_051);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_node_that_restarts_comes_back_as_a_new_member_with_everything(mut nodes: [Network; 3]) {
    let mut groups = founded(&nodes).await;
    for round in 0..3 {
        fill(&groups[0], 20).await;
        let place = (one_leader(&groups).await + round) % 3;
        let mut events: Vec<_> = groups.iter().map(Group::events).collect();
        drop(events.remove(place));
        nodes.crash(place);
        nodes.restart(place).await;
        groups[place] = builder(&nodes[place]).with_quorum(Quorum::Strict(3)).join();
        votes(&mut events, nodes[place].local().id()).await;
        let total = 20 * (round as u64 + 1);
        let back = groups[place].when().committed().reaches(total);
        within(secs(20), "its return", back).await;
        all_online(&groups).await;
    }
    assert_eq!(all_equal(&groups).await.len(), 60);
}
