//! Leaders that come and go.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{
    Cluster,
    cluster::{fast, member},
    state::adding,
};
use crate::groups::{
    index::{Cursor, Index},
    raft::{AnswerError, ChangeError, Limits, ReadError, Refusal, Role},
};

#[tokio::test(start_paused = true)]
async fn what_is_proposed_is_applied_everywhere_in_order() {
    let cluster = Cluster::founded(3, Limits::default()).await;
    let leader = cluster.leader().await;
    let node = &cluster.nodes[&leader];
    let mut proposals = Vec::new();
    for value in 0..500 {
        proposals.push(node.propose(adding(&[value, value])).await.unwrap());
    }
    let term = node.view().borrow().term;
    for (number, mut proposal) in (1..).zip(proposals) {
        let place = Cursor(term, Index(2 * number));
        assert_eq!(proposal.appended().await, Ok(place));
        assert_eq!(proposal.committed().await, Ok(place));
    }
    assert_eq!(node.applied().cursor.1, Index(1000));
    assert_eq!(node.last().1, Index(1000));
    assert_eq!(cluster.agree(1000).await.sum, 2 * (0..500).sum::<u64>());
    let progress = node.progress();
    assert_eq!(progress.len(), 2);
    cluster.until("all have matched", |_| node.progress().iter().all(|one| one.behind == 0)).await;
    assert!(node.progress().iter().all(|one| one.acknowledged < Some(Duration::from_secs(1))));
}

#[tokio::test(start_paused = true)]
async fn a_follower_refuses_and_names_the_leader() {
    let cluster = Cluster::founded(3, Limits::default()).await;
    let leader = cluster.leader().await;
    let follower = (1..=3).find(|number| *number != leader).unwrap();
    let node = &cluster.nodes[&follower];
    cluster.until("it knows", |_| node.view().borrow().leader.is_some()).await;
    let refusal = Refusal::NotLeader { leader: Some(member(leader)) };
    let mut proposal = node.propose(adding(&[1])).await.unwrap();
    assert_eq!(proposal.appended().await, Err(refusal.clone()));
    let proposal = node.propose(adding(&[1])).await.unwrap();
    assert_eq!(proposal.committed().await, Err(refusal));
    let read = node.read_index().await;
    assert_eq!(read, Err(ReadError::NotLeader { leader: Some(member(leader)) }));
    assert_eq!(node.view().borrow().role, Role::Follower);
}

#[tokio::test(start_paused = true)]
async fn another_leads_when_the_leader_is_killed() {
    let mut cluster = Cluster::founded(3, Limits::default()).await;
    for value in 0..20 {
        cluster.add(value).await;
    }
    let first = cluster.leader().await;
    let killed = Instant::now();
    cluster.kill(first).await;
    cluster.add(100).await;
    let took = killed.elapsed();
    assert!(took <= Duration::from_millis(700), "{took:?}");
    assert_eq!(cluster.agree(21).await.sum, (0..20).sum::<u64>() + 100);
    assert_ne!(cluster.leader().await, first);
}

#[tokio::test(start_paused = true)]
async fn a_leader_in_a_minority_commits_nothing_and_yields_when_it_is_healed() {
    let cluster = Cluster::founded(3, Limits::default()).await;
    cluster.add(1).await;
    let first = cluster.leader().await;
    let (alone, others): (Vec<_>, Vec<_>) =
        (1..=3).map(member).partition(|other| *other == member(first));
    cluster.router.partition(&[&alone, &others]);
    let node = cluster.nodes[&first].clone();
    let mut lost = node.propose(adding(&[50])).await.unwrap();
    lost.appended().await.unwrap();

    // The other two go on.
    let second = timeout(Duration::from_secs(5), async {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let found = cluster.nodes.iter().find(|(number, node)| {
                **number != first && node.view().borrow().leader == Some(node.me())
            });
            if let Some((number, node)) = found
                && node.read_index().await.is_ok()
            {
                break *number;
            }
        }
    });
    let second = second.await.unwrap();
    let place = cluster.nodes[&second].propose(adding(&[7])).await.unwrap();
    assert_eq!(place.committed().await.unwrap().1, Index(2));
    // Who is alone takes nothing any more, after a while, and answers no reads.
    assert!(node.read_index().await.is_err());
    let refused = node.propose(adding(&[51])).await.unwrap().committed().await;
    assert!(matches!(refused, Err(Refusal::NotReady | Refusal::NotLeader { .. })), "{refused:?}");

    cluster.router.heal();
    assert_eq!(lost.committed().await, Err(Refusal::Discarded));
    assert_eq!(cluster.agree(2).await.sum, 8);
}

#[tokio::test(start_paused = true)]
async fn leadership_is_handed_over_at_once() {
    let cluster = Cluster::founded(3, Limits::default()).await;
    cluster.add(1).await;
    let first = cluster.leader().await;
    let node = &cluster.nodes[&first];
    let to = member(if first == 1 { 2 } else { 1 });
    cluster
        .until("it has answered", |_| {
            let fresh = fast().election_min;
            node.progress().iter().any(|one| one.member == to && one.acknowledged < Some(fresh))
        })
        .await;
    let impossible = node.transfer_to(member(9)).await;
    assert!(matches!(impossible, Err(ChangeError::Impossible(_))), "{impossible:?}");
    let impossible = node.transfer_to(node.me()).await;
    assert!(matches!(impossible, Err(ChangeError::Impossible(_))), "{impossible:?}");
    let asked = Instant::now();
    node.transfer_to(to).await.unwrap();
    let leads =
        |cluster: &Cluster| cluster.nodes.values().all(|n| n.view().borrow().leader == Some(to));
    cluster.until("it leads", leads).await;
    assert!(asked.elapsed() < Duration::from_millis(100), "{:?}", asked.elapsed());
    cluster.add(2).await;
    assert_eq!(cluster.agree(2).await.sum, 3);
}

#[tokio::test(start_paused = true)]
async fn a_transfer_that_fails_does_not_end_the_group() {
    let cluster = Cluster::founded(3, Limits::default()).await;
    cluster.add(1).await;
    let first = cluster.leader().await;
    let node = &cluster.nodes[&first];
    let to = if first == 1 { 2 } else { 1 };
    cluster
        .until("it has answered", |_| {
            let fresh = fast().election_min;
            node.progress().iter().all(|one| one.acknowledged < Some(fresh))
        })
        .await;
    // It is gone when it should take over.
    cluster.router.partition(&[&[member(to)]]);
    let refused = node.transfer_to(member(to)).await;
    assert!(matches!(refused, Ok(()) | Err(ChangeError::Impossible(_))), "{refused:?}");
    assert_eq!(cluster.add(2).await.1, Index(2));
    cluster.router.heal();
    assert_eq!(cluster.agree(2).await.sum, 3);
}

#[tokio::test(start_paused = true)]
async fn reads_share_rounds_and_see_what_was_answered() {
    let mut cluster = Cluster::empty(Limits::default());
    cluster.router.delay(Duration::from_millis(2));
    cluster.found(3).await;
    let leader = cluster.nodes[&cluster.leader().await].clone();
    let follower = cluster.nodes.values().find(|node| node.me() != leader.me()).unwrap().clone();
    for value in 1..=20 {
        let place = cluster.add(value).await;
        let reads = (0..10).map(|_| leader.read_index());
        for point in futures::future::join_all(reads).await {
            let point = point.unwrap();
            assert!(leader.position(point.entry).unwrap() >= place);
            assert!(leader.wait_applied(point).await.unwrap() >= place);
            assert!(follower.wait_applied(point).await.unwrap() >= place);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_not_meant_does_not_answer() {
    let mut cluster = Cluster::founded(1, Limits::default()).await;
    let node = cluster.nodes[&1].clone();
    assert_eq!(node.answer(bytes::Bytes::from_static(b"?")).await, Err(AnswerError::Malformed));
    // A member that another one takes for somebody else.
    let other = cluster.start(2).await;
    cluster.kill(2).await;
    assert!(other.read_index().await.is_err());
    assert_eq!(other.view().borrow().role, Role::Stopped);
    assert_eq!(*other.failed().borrow(), None);
}

#[tokio::test(start_paused = true)]
async fn the_same_seeds_elect_the_same_leaders() {
    let mut leaders = Vec::new();
    for _ in 0..2 {
        let mut cluster = Cluster::founded(5, Limits::default()).await;
        let mut history = Vec::new();
        for value in 0..2 {
            let began = Instant::now();
            let leader = cluster.leader().await;
            cluster.kill(leader).await;
            cluster.add(value).await;
            history.push((leader, began.elapsed()));
        }
        leaders.push(history);
    }
    assert_eq!(leaders[0], leaders[1]);
}

#[tokio::test(start_paused = true)]
async fn a_group_of_one_needs_no_clock() {
    let cluster = Cluster::founded(1, Limits::default()).await;
    cluster.add(1).await;
    // With a paused clock this would take a tick every 10 ms for a day.
    let began = std::time::Instant::now();
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    cluster.add(2).await;
    assert_eq!(cluster.agree(2).await.sum, 3);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_nobody_ever_answers_is_not_in_touch() {
    let mut cluster = Cluster::founded(3, Limits::default()).await;
    cluster.add(1).await;
    let first = cluster.leader().await;
    cluster.router.only_votes();
    cluster.kill(first).await;
    let leads = |cluster: &Cluster| {
        cluster.nodes.values().find(|node| node.view().borrow().role == Role::Leader).cloned()
    };
    cluster.until("another is elected", |cluster| leads(cluster).is_some()).await;
    let node = leads(&cluster).unwrap();
    let (term, lease) = (node.view().borrow().term, fast().election_max);
    assert!(node.is_in_touch(), "it has just been elected");
    tokio::time::sleep(lease + Duration::from_millis(20)).await;
    let view = node.view().borrow().clone();
    assert_eq!((view.role, view.term), (Role::Leader, term), "openraft leaves it as it is");
    assert!(!node.is_in_touch());
}
