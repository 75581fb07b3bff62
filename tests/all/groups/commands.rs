//! Commands and queries.

use std::time::Duration;

use mosaik::{
    Network,
    futures::future::join_all,
    groups::{CommandError, ConsensusConfig, Consistency, Group, Index, QueryError, Quorum},
};
use mosaik_tests::{Counter, secs, within};
use tokio::time::Instant;

use super::{all_equal, all_online, builder, founded, join, join_strict, one_leader};

/// Longer than any command takes to be answered, one way or the other.
const LIMIT: Duration = secs(5);

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn indices_count_commands_from_one_whoever_gives_them(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let leader = one_leader(&groups).await;
    let (leader, follower) = (&groups[leader], &groups[(leader + 1) % 3]);
    let first = within(LIMIT, "a command", leader.execute(10)).await.unwrap();
    assert_eq!((first.index(), *first), (Index(1), 10));
    assert_eq!(first.to_string(), "1");
    let many = within(LIMIT, "a batch", follower.execute_many([1, 2, 3])).await.unwrap();
    assert_eq!((many.range(), &many[..]), (Index(2)..=Index(4), &[11, 13, 16][..]));
    let fed = within(LIMIT, "a feed", follower.feed(1)).await.unwrap();
    assert_eq!(fed, 5);
    let fed = within(LIMIT, "a feed", leader.feed_many([1, 1])).await.unwrap();
    assert_eq!(fed, Index(6)..=Index(7));
    let last = within(LIMIT, "a command", follower.execute(0)).await.unwrap();
    assert_eq!((last.index(), *last), (Index(8), 19));
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn numbers_go_on_when_another_leads(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    for round in 1..=5 {
        let leader = one_leader(&groups).await;
        let committed = within(LIMIT, "a command", groups[leader].execute(1)).await.unwrap();
        assert_eq!((committed.index(), *committed), (Index(round), round));
        within(LIMIT, "a transfer", groups[leader].step_down()).await.unwrap();
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_writes_reads_it_here_and_others_learn_of_it_at_once(nodes: [Network; 3]) {
    let groups: Vec<_> = nodes
        .iter()
        .map(|node| {
            let builder = builder(node).with_quorum(Quorum::Strict(3));
            builder.with_consensus_config(ConsensusConfig::wan()).join()
        })
        .collect();
    all_online(&groups).await;
    one_leader(&groups).await;
    for (round, writer) in [0, 1, 2, 0, 1, 2].into_iter().enumerate() {
        let index = within(LIMIT, "a command", groups[writer].execute(1)).await.unwrap().index();
        assert_eq!(groups[writer].committed(), index);
        assert_eq!(groups[writer].log_position().index(), index);
        let weak = groups[writer].query((), Consistency::Weak).await.unwrap();
        assert_eq!((*weak, weak.state_position()), (round as u64 + 1, index));
        let begun = Instant::now();
        for group in &groups {
            within(LIMIT, "the others", group.when().committed().reaches(index)).await;
        }
        // A heartbeat comes every 500 ms.
        assert!(begun.elapsed() < Duration::from_millis(100), "{:?}", begun.elapsed());
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn calls_are_applied_in_the_order_in_which_they_were_made(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    for group in &groups {
        all_equal(&groups).await;
        let before = group.committed();
        let calls: Vec<_> = (0..200).map(|number| group.execute(number)).collect();
        let answers = within(secs(20), "the answers", join_all(calls.into_iter().rev())).await;
        let indices: Vec<_> = answers.into_iter().map(|it| it.unwrap().index()).rev().collect();
        assert!(indices.is_sorted() && indices[0] == before + 1u64, "{indices:?}");
    }
    let numbers = all_equal(&groups).await;
    let expected: Vec<u64> = (0..3).flat_map(|_| 0..200).collect();
    assert_eq!(numbers, expected);
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn a_command_is_under_way_when_it_was_called_and_its_future_is_dropped(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    for group in &groups {
        drop(group.execute(1));
    }
    for group in &groups {
        within(LIMIT, "all of them", group.when().committed().reaches(3)).await;
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_batch_has_nothing_in_between(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let mut calls = Vec::new();
    for batch in 0..30 {
        let numbers: Vec<u64> = (batch * 10..batch * 10 + 7).collect();
        calls.push(groups[batch as usize % 3].execute_many(numbers));
    }
    for answer in within(secs(20), "the answers", join_all(calls)).await {
        answer.unwrap();
    }
    let numbers = all_equal(&groups).await;
    assert_eq!(numbers.len(), 210);
    for batch in numbers.chunks(7) {
        assert!(
            batch[0] % 10 == 0 && batch.windows(2).all(|two| two[0] + 1 == two[1]),
            "{batch:?}"
        );
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 1)]
async fn an_empty_batch_is_refused_and_takes_no_index(node: Network) {
    let group = join(&node);
    all_online([&group]).await;
    let none = group.execute_many([]).await;
    assert!(matches!(none, Err(CommandError::NoCommands)), "{none:?}");
    assert!(matches!(group.feed_many([]).await, Err(CommandError::NoCommands)));
    let first = within(LIMIT, "a command", group.execute(1)).await.unwrap();
    assert_eq!(first, 1);
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn without_a_leader_commands_come_back_and_strong_queries_too(nodes: [Network; 2]) {
    // There will never be three.
    let groups = nodes.each_ref().map(|node| join_strict(node, 3));
    let begun = Instant::now();
    let many = within(LIMIT, "a refusal", groups[0].execute_many([5, 6])).await;
    assert!(matches!(many, Err(CommandError::Offline(back)) if back == [5, 6]));
    // As long as `forward_timeout` says.
    assert!((secs(1)..Duration::from_millis(1_100)).contains(&begun.elapsed()));
    let fed = within(LIMIT, "a refusal", groups[1].feed(7)).await;
    assert!(matches!(fed, Err(CommandError::Offline(back)) if back == [7]));
    let strong = within(LIMIT, "a refusal", groups[0].query((), Consistency::Strong)).await;
    assert!(matches!(strong, Err(QueryError::Offline(()))));
    let weak = within(LIMIT, "an answer", groups[0].query((), Consistency::Weak)).await.unwrap();
    assert_eq!((*weak, weak.state_position()), (0, Index(0)));
}

fn is_terminated<T>(answer: &Result<T, CommandError<Counter>>) -> bool {
    matches!(answer, Err(CommandError::GroupTerminated))
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn when_the_last_handle_is_dropped_what_waits_is_told_that_the_group_has_ended(
    node: Network,
) {
    let group = join(&node);
    let (command, query) = (group.execute(1), group.query((), Consistency::Strong));
    drop(group);
    assert!(is_terminated(&within(LIMIT, "the end", command).await));
    let query = within(LIMIT, "the end", query).await;
    assert!(matches!(query, Err(QueryError::GroupTerminated)), "{query:?}");
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn when_the_node_ends_the_group_has_ended(nodes: [Network; 2]) {
    let [a, b] = nodes;
    let groups = [join(&a), join(&b)];
    all_online(&groups).await;
    drop(a);
    within(LIMIT, "the end of b", b.shutdown()).await;
    for group in &groups {
        assert!(is_terminated(&within(LIMIT, "the end", group.execute(1)).await));
        assert!(is_terminated(&within(LIMIT, "the end", group.feed(1)).await));
        let query = within(LIMIT, "the end", group.query((), Consistency::Strong)).await;
        assert!(matches!(query, Err(QueryError::GroupTerminated)), "{query:?}");
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_strong_query_sees_what_was_answered_anywhere(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let all: Vec<Group<Counter>> = groups.clone();
    for round in 1..=30u64 {
        let (writer, reader) = (round as usize % 3, (round as usize / 3) % 3);
        within(LIMIT, "a command", all[writer].execute(1)).await.unwrap();
        let read = all[reader].query((), Consistency::Strong);
        let read = within(LIMIT, "a query", read).await.unwrap();
        assert_eq!((*read, read.state_position()), (round, Index(round)));
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_command_that_timed_out_is_applied_once_however_often_it_is_retried(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let leader = one_leader(&groups).await;
    let others: Vec<usize> = (0..3).filter(|place| *place != leader).collect();
    within(LIMIT, "a command", groups[leader].execute(1)).await.unwrap();
    nodes.partition(&[&[leader], &others]);
    let answer = within(LIMIT, "no answer", groups[leader].execute(10)).await;
    let Err(CommandError::Timeout(pending)) = answer else { panic!("{answer:?}") };
    let again = within(LIMIT, "no answer", pending.retry()).await;
    let Err(CommandError::Timeout(pending)) = again else { panic!("{again:?}") };
    within(LIMIT, "a command", groups[others[0]].execute(100)).await.unwrap();
    nodes.heal();
    let mut pending = Some(pending);
    let mut committed = None;
    // A retry waits for as long as a command does; the bonds come back in their own time.
    for _ in 0..20 {
        let Some(retried) = pending.take() else { break };
        match within(LIMIT, "an answer", retried.retry()).await {
            Ok(done) => committed = Some(done),
            Err(CommandError::Timeout(again)) => pending = Some(again),
            Err(other) => panic!("{other:?}"),
        }
    }
    let committed = committed.expect("it is committed in the end");
    assert_eq!((committed.first(), &committed[..]), (Index(3), &[111][..]));
    assert_eq!(all_equal(&groups).await, [1, 100, 10]);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn commands_of_all_members_survive_the_loss_of_the_leader_each_once(nodes: [Network; 5]) {
    let groups = founded(&nodes).await;
    let leader = one_leader(&groups).await;
    let survivors: Vec<_> = (0..5).filter(|place| *place != leader).collect();
    let calls = survivors.iter().flat_map(|place| {
        (0..50).map(|number| (groups[*place].clone(), (*place as u64) * 1000 + number))
    });
    let calls: Vec<_> = calls.map(|(group, number)| group.execute(number)).collect();
    let mut refused = Vec::new();
    let mut expected: Vec<u64> =
        survivors.iter().flat_map(|place| (0..50).map(|n| (*place as u64) * 1000 + n)).collect();
    // In the middle of it.
    tokio::task::yield_now().await;
    nodes.crash(leader);
    for answer in within(secs(20), "the answers", join_all(calls)).await {
        match answer {
            Ok(_) => {}
            Err(CommandError::Timeout(mut pending)) => loop {
                match within(LIMIT, "an answer", pending.retry()).await {
                    Ok(_) => break,
                    Err(CommandError::Timeout(again)) => pending = again,
                    Err(other) => panic!("{other:?}"),
                }
            },
            Err(CommandError::Offline(back)) => refused.extend(back),
            Err(other) => panic!("{other:?}"),
        }
    }
    let left: Vec<_> = survivors.iter().map(|place| groups[*place].clone()).collect();
    let numbers = all_equal(&left).await;
    for place in &survivors {
        let of_it = numbers.iter().filter(|number| **number / 1000 == *place as u64);
        assert!(of_it.is_sorted());
    }
    let mut sorted = [numbers, refused].concat();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected);
}
