//! Snapshots: made, sent, and made use of.

use bytes::Bytes;

use super::{
    Cluster,
    cluster::member,
    state::{adding, poison, skipping},
};
use crate::groups::{
    member::IncarnationId,
    raft::{
        AnswerError, Limits,
        fuzzing::sample_head,
        messages::{Address, SnapshotHead, encode},
        type_config::Vote,
    },
};

fn small() -> Limits {
    Limits { snapshot_every: 100, keep_entries: 10, ..Limits::default() }
}

#[tokio::test(start_paused = true)]
async fn the_log_does_not_grow_with_history() {
    let limits = Limits { keep_bytes: 2000, ..small() };
    let cluster = Cluster::founded(3, limits).await;
    for value in 0..2000 {
        cluster.add(value).await;
    }
    cluster.agree(2000).await;
    cluster
        .until("the logs are short", |cluster| {
            cluster.nodes.values().all(|node| node.log_bytes() < 40_000)
        })
        .await;
    for node in cluster.nodes.values() {
        assert_eq!(node.last().1.0, 2000);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_are_a_reason_for_a_snapshot_as_well() {
    let limits = Limits { snapshot_bytes: 10_000, keep_bytes: 1000, ..Limits::default() };
    let cluster = Cluster::founded(1, limits).await;
    for _ in 0..50 {
        cluster.commit(&adding(&[1; 100])).await;
    }
    cluster.until("the log is short", |cluster| cluster.nodes[&1].log_bytes() < 13_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_late_learner_gets_a_snapshot_and_then_the_log() {
    let mut cluster = Cluster::founded(3, small()).await;
    cluster.states[&1].0.lock().unwrap().ballast = vec![7; 300_000];
    cluster.states[&2].0.lock().unwrap().ballast = vec![7; 300_000];
    cluster.states[&3].0.lock().unwrap().ballast = vec![7; 300_000];
    for value in 0..500 {
        cluster.add(value).await;
    }
    let leader = cluster.leader().await;
    cluster.start(4).await;
    // The first two arrive damaged, and are refused.
    cluster.router.damage_snapshots(2);
    cluster.nodes[&leader].add_learner(member(4)).await.unwrap();
    for value in 0..50 {
        cluster.add(value).await;
    }
    cluster.agree(550).await;
    assert_eq!(cluster.states[&4].get().restored, 1);
    assert!(cluster.router.snapshots() >= 3);
    // It counts as the others do.
    let (late, first) = (&cluster.nodes[&4], &cluster.nodes[&leader]);
    assert_eq!((late.last(), late.applied().cursor), (first.last(), first.applied().cursor));
}

#[tokio::test(start_paused = true)]
async fn who_was_cut_off_for_long_comes_back_by_a_snapshot() {
    let cluster = Cluster::founded(3, small()).await;
    cluster.add(1).await;
    let leader = cluster.leader().await;
    let away = if leader == 3 { 2 } else { 3 };
    cluster.router.partition(&[&[member(away)]]);
    for value in 0..400 {
        cluster.add(value).await;
    }
    cluster.router.heal();
    cluster.agree(401).await;
    assert_eq!(cluster.states[&away].get().restored, 1);
    assert_eq!(cluster.nodes[&away].last(), cluster.nodes[&leader].last());
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_made_when_asked_for() {
    let mut cluster = Cluster::founded(1, Limits::default()).await;
    for value in 0..20 {
        cluster.add(value).await;
    }
    let node = cluster.nodes[&1].clone();
    let before = node.log_bytes();
    node.snapshot().await.unwrap();
    cluster
        .until("it can be purged", |_| {
            let purge = node.clone();
            tokio::spawn(async move { purge.purge(15).await });
            node.log_bytes() < before / 2
        })
        .await;
    cluster.start(2).await;
    node.add_learner(member(2)).await.unwrap();
    cluster.agree(20).await;
    assert_eq!(cluster.states[&2].get().restored, 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_cannot_be_applied_is_skipped_on_request() {
    for snapshots in [false, true] {
        let limits = if snapshots { small() } else { Limits::default() };
        let cluster = Cluster::founded(3, limits).await;
        for value in 0..150 {
            cluster.add(value).await;
        }
        let place = cluster.commit(&poison()).await;
        // Nothing is applied after it, and no snapshot is made of that.
        for value in 0..250 {
            cluster.add(value).await;
        }
        cluster.commit(&skipping(place.1.0)).await;
        let state = cluster.agree(401).await;
        assert_eq!(state.sum, (0..150).sum::<u64>() + (0..250).sum::<u64>());
        assert!(cluster.states.values().all(|sums| sums.get().rebuilt == 1));
        cluster.add(1).await;
        cluster.agree(402).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_refused_by_its_head_unless_the_leader_sends_it() {
    let cluster = Cluster::founded(3, Limits::default()).await;
    let leader = cluster.leader().await;
    let followed = |cluster: &Cluster| {
        cluster.nodes.keys().all(|number| cluster.view(*number).leader == Some(member(leader)))
    };
    cluster.until("all follow", followed).await;
    let other = leader % 3 + 1;
    let third = other % 3 + 1;
    let (node, term) = (&cluster.nodes[&other], cluster.view(other).term.0);
    let right = Address { incarnation: node.incarnation(), to: node.me() };
    let head = |address, term, of| {
        let vote = (&Vote::new_committed(term, member(of))).into();
        encode(&SnapshotHead { address, vote, ..sample_head() })
    };
    let length = sample_head().len;
    let admits = |from, head: &Bytes, length| node.admits(member(from), head, length);
    assert_eq!(admits(leader, &head(right, term, leader), length), Ok(()));
    // A leader that is not known here yet.
    assert_eq!(admits(third, &head(right, term + 1, third), length), Ok(()));
    let (gone, malformed) = (Err(AnswerError::Gone), Err(AnswerError::Malformed));
    assert_eq!(admits(third, &head(right, term, third), length), gone);
    assert_eq!(admits(third, &head(right, term - 1, third), length), gone);
    assert_eq!(admits(third, &head(right, term, leader), length), malformed);
    assert_eq!(admits(leader, &head(right, term, leader), length + 1), malformed);
    let elsewhere = Address { to: member(third), ..right };
    assert_eq!(admits(leader, &head(elsewhere, term, leader), length), gone);
    let before = Address { incarnation: IncarnationId::default(), ..right };
    assert_eq!(admits(leader, &head(before, term, leader), length), gone);
    assert_eq!(admits(leader, &Bytes::from_static(&[7; 20]), length), malformed);
}
