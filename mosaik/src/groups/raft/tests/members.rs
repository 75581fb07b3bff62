//! Members that join and leave.

use std::{collections::BTreeSet, time::Duration};

use super::{Cluster, cluster::member, router::set};
use crate::groups::raft::{Begun, ChangeError, Limits, Role};

#[tokio::test(start_paused = true)]
async fn one_becomes_three_and_a_dead_voter_is_replaced() {
    let mut cluster = Cluster::founded(1, Limits::default()).await;
    cluster.add(1).await;
    for number in [2, 3] {
        cluster.start(number).await;
        cluster.nodes[&1].add_learner(member(number)).await.unwrap();
    }
    let node = cluster.nodes[&1].clone();
    let caught_up = |count: usize| {
        let node = node.clone();
        move |_: &Cluster| {
            let progress = node.progress();
            progress.len() == count
                && progress.iter().all(|one| one.behind == 0 && one.acknowledged.is_some())
        }
    };
    cluster.until("they have caught up", caught_up(2)).await;
    assert_eq!(cluster.view(2).role, Role::Learner);
    node.change_voters(set(&[member(2), member(3)]), BTreeSet::new(), false).await.unwrap();
    let all = set(&[member(1), member(2), member(3)]);
    cluster
        .until("all know", |cluster| {
            (1..=3).all(|number| {
                let view = cluster.view(number);
                view.committed.voters == all && !view.members.joint && !view.changing
            })
        })
        .await;
    cluster.add(2).await;
    cluster.agree(2).await;

    // One dies, another comes with an id of its own.
    cluster.kill(3).await;
    cluster.start(4).await;
    node.add_learner(member(4)).await.unwrap();
    cluster
        .until("it has caught up", |_| {
            node.progress()
                .iter()
                .any(|one| one.member == member(4) && one.behind == 0 && one.acknowledged.is_some())
        })
        .await;
    node.change_voters(set(&[member(4)]), set(&[member(3)]), false).await.unwrap();
    cluster
        .until("they know", |cluster| {
            let voters = set(&[member(1), member(2), member(4)]);
            cluster.nodes.keys().all(|number| cluster.view(*number).committed.voters == voters)
        })
        .await;
    assert!(cluster.view(1).members.learners.is_empty());

    // Without the first leader, and with the new voter.
    cluster.kill(1).await;
    cluster.add(3).await;
    assert_eq!(cluster.agree(3).await.sum, 6);
}

#[tokio::test(start_paused = true)]
async fn one_change_at_a_time_and_only_by_the_leader() {
    let mut cluster = Cluster::founded(3, Limits::default()).await;
    let leader = cluster.leader().await;
    let node = cluster.nodes[&leader].clone();
    let follower = cluster.nodes.values().find(|other| other.me() != node.me()).unwrap().clone();
    cluster.until("it knows", |_| follower.view().borrow().leader.is_some()).await;
    let refused = follower.add_learner(member(4)).await;
    assert_eq!(refused, Err(ChangeError::NotLeader { leader: Some(node.me()) }));
    let refused = node.change_voters(set(&[member(9)]), BTreeSet::new(), false).await;
    assert!(matches!(refused, Err(ChangeError::Impossible(_))), "{refused:?}");
    node.finish_joint().await.unwrap();

    cluster.start(4).await;
    node.add_learner(member(4)).await.unwrap();
    let (one, two) = tokio::join!(
        node.change_voters(set(&[member(4)]), BTreeSet::new(), false),
        node.remove_learners(set(&[member(4)])),
    );
    assert_eq!(one, Ok(()));
    assert!(two.is_err(), "{two:?}");
}

#[tokio::test(start_paused = true)]
async fn a_joint_change_is_finished_by_the_next_leader() {
    let mut cluster = Cluster::empty(Limits::default());
    cluster.router.delay(Duration::from_millis(15));
    cluster.found(3).await;
    let leader = cluster.leader().await;
    let node = cluster.nodes[&leader].clone();
    cluster.start(4).await;
    node.add_learner(member(4)).await.unwrap();
    cluster
        .until("it has caught up", |_| {
            node.progress().iter().any(|one| one.member == member(4) && one.behind == 0)
        })
        .await;
    // The leader dies when the first half is in everybody's log.
    let change = tokio::spawn({
        let node = node.clone();
        async move { node.change_voters(set(&[member(4)]), BTreeSet::new(), false).await }
    });
    let others: Vec<_> = cluster.nodes.keys().copied().filter(|other| *other != leader).collect();
    let joint = |cluster: &Cluster| others.iter().all(|other| cluster.view(*other).members.joint);
    cluster.until("all are joint", joint).await;
    cluster.kill(leader).await;
    let _ = change.await.unwrap();

    let next = cluster.leader().await;
    cluster.nodes[&next].finish_joint().await.unwrap();
    cluster
        .until("nobody is joint", |cluster| {
            cluster.nodes.keys().all(|number| {
                let view = cluster.view(*number);
                !view.members.joint && view.committed.voters.contains(&member(4))
            })
        })
        .await;
    cluster.add(1).await;
    cluster.agree(1).await;
}

#[tokio::test(start_paused = true)]
async fn founding_twice_is_founding_once() {
    let mut cluster = Cluster::founded(1, Limits::default()).await;
    cluster.add(5).await;
    let again = cluster.nodes[&1].initialize(set(&[member(1), member(2)])).await;
    assert_eq!(again, Ok(Begun::Before));
    assert_eq!(cluster.view(1).members.voters, set(&[member(1)]));
    cluster.start(2).await;
    let refused = cluster.nodes[&2].initialize(set(&[member(1)])).await;
    assert!(matches!(refused, Err(ChangeError::Impossible(_))), "{refused:?}");
}
