//! Whole members on the simulated network.

pub(super) mod sum;
mod warning;

use std::time::Duration;

use iroh::SecretKey;
use tokio::time::timeout;

use self::sum::Sum;
use super::*;
use crate::{
    Network,
    clock::Clock,
    transport::sim::{SimConfig, SimNet},
};

pub(super) async fn nodes(count: u8) -> Vec<Network> {
    let net = SimNet::new(u64::from(count), SimConfig::default());
    let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let mut nodes: Vec<Network> = Vec::new();
    for seed in 1..=count {
        let key = SecretKey::from_bytes(&[seed; 32]);
        let builder = Network::builder("groups").with_secret_key(key);
        nodes.push(builder.simulated(&net, clock.clone()).build().await.unwrap());
    }
    for node in &nodes[1..] {
        within(10, node.discovery().dial(nodes[0].local().addr())).await;
    }
    nodes
}

pub(super) fn join(node: &Network) -> Group<Sum> {
    node.groups()
        .with_key(GroupKey::from_secret("key"))
        .with_state_machine(Sum::default())
        .with_consensus_config(ConsensusConfig::fast())
        .join()
}

pub(super) async fn within<T>(seconds: u64, what: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(seconds), what).await.expect("it takes too long")
}

#[tokio::test(start_paused = true)]
async fn a_lone_member_leads_and_applies() {
    let nodes = nodes(1).await;
    let group = join(&nodes[0]);
    assert_eq!((group.leader(), group.committed()), (None, Index::zero()));
    within(10, group.when().online()).await;
    assert!(group.is_leader());
    let first = within(5, group.execute(5)).await.unwrap();
    assert_eq!((first.index(), *first), (Index(1), 5));
    let many = within(5, group.execute_many([1, 2])).await.unwrap();
    assert_eq!((many.range(), &many[..]), (Index(2)..=Index(3), &[6, 8][..]));
    assert_eq!(within(5, group.query((), Consistency::Strong)).await.unwrap(), 8);
    assert_eq!(group.committed(), 3);
}

#[tokio::test(start_paused = true)]
async fn three_members_found_a_group_and_apply_the_same() {
    let nodes = nodes(3).await;
    let groups: Vec<_> = nodes.iter().map(join).collect();
    for group in &groups {
        within(20, group.when().online()).await;
    }
    let leaders: std::collections::BTreeSet<_> = groups.iter().map(Group::leader).collect();
    assert_eq!(leaders.len(), 1, "{leaders:?}");
    for (round, group) in groups.iter().enumerate() {
        let committed = within(5, group.execute(1)).await.unwrap();
        assert_eq!(*committed, round as u64 + 1);
    }
    for group in &groups {
        assert_eq!(within(5, group.query((), Consistency::Strong)).await.unwrap(), 3);
    }
}
