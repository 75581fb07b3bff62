//! Consensus groups: what runtime-api.md promises of them, on whole nodes.

use std::fmt::Debug;

use mosaik::{
    Network, PeerId,
    futures::{FutureExt, future::select_all},
    groups::{ConsensusConfig, Group, GroupBuilder, GroupEvent, GroupKey, Quorum},
};
use mosaik_tests::{Counter, eventually, secs, trace, within};
use tokio::sync::broadcast::{self, error::RecvError};

mod batches;
mod bonds;
mod calls;
mod campaign;
mod catch_up;
mod commands;
mod events;
mod failures;
mod handles;
mod identity;
mod leadership;
mod loopback;
mod membership;
mod memory;
mod operations;
mod partition;
mod processes;
mod quorum;
mod semantics;
mod tickets;
mod when;

type Events = broadcast::Receiver<GroupEvent>;

/// A member with the times of tests, to be given more options.
fn builder(node: &Network) -> GroupBuilder<'_, Counter> {
    builder_of(node, Counter::default())
}

fn builder_of(node: &Network, machine: Counter) -> GroupBuilder<'_, Counter> {
    trace();
    node.groups()
        .with_key(GroupKey::from_secret("tests"))
        .with_state_machine(machine)
        .with_consensus_config(ConsensusConfig::fast())
}

fn join(node: &Network) -> Group<Counter> {
    builder(node).join()
}

fn join_strict(node: &Network, founders: usize) -> Group<Counter> {
    builder(node).with_quorum(Quorum::Strict(founders)).join()
}

/// Members on all of these nodes, all of which vote; online.
async fn founded(nodes: &[Network]) -> Vec<Group<Counter>> {
    let groups: Vec<_> = nodes.iter().map(|node| join_strict(node, nodes.len())).collect();
    all_online(&groups).await;
    groups
}

async fn all_online<'a>(groups: impl IntoIterator<Item = &'a Group<Counter>>) {
    for group in groups {
        within(secs(20), "a group's start", group.when().online()).await;
    }
}

fn is_online(group: &Group<Counter>) -> bool {
    group.when().online().now_or_never().is_some()
}

/// The place of the one that leads; the others know it.
fn leader_among(groups: &[Group<Counter>]) -> Option<usize> {
    let leads = groups.iter().position(Group::is_leader)?;
    let leader = groups[leads].leader();
    groups.iter().all(|group| group.leader() == leader).then_some(leads)
}

/// Waits until all have the same leader, one of them.
async fn one_leader(groups: &[Group<Counter>]) -> usize {
    eventually(secs(20), "one leader", || leader_among(groups).is_some()).await;
    leader_among(groups).unwrap()
}

/// Waits until all have applied the same, as much as this one.
async fn all_equal(groups: &[Group<Counter>]) -> Vec<u64> {
    let numbers = |group: &Group<Counter>| group.read(|counter| counter.numbers.clone());
    let equal = || groups.iter().all(|group| numbers(group) == numbers(&groups[0]));
    eventually(secs(20), "equal states", equal).await;
    numbers(&groups[0])
}

/// Waits for an event.
async fn event<T: Debug>(events: &mut Events, find: impl Fn(&GroupEvent) -> Option<T>) -> T {
    let found = async {
        loop {
            match events.recv().await {
                Ok(event) => {
                    if let Some(found) = find(&event) {
                        return found;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => panic!("the group has ended"),
            }
        }
    };
    within(secs(60), "an event", found).await
}

/// Waits for just this event.
async fn told(events: &mut Events, what: GroupEvent) {
    event(events, |event| (*event == what).then_some(())).await;
}

fn ids(nodes: &[Network]) -> Vec<PeerId> {
    nodes.iter().map(|node| node.local().id()).collect()
}

/// Waits until this peer votes, by the word of whoever leads.
async fn votes(events: &mut [Events], peer: PeerId) {
    let told = events.iter_mut().map(|events| {
        let added = |event: &GroupEvent| match event {
            GroupEvent::VoterAdded(added, _) if *added == peer => Some(()),
            _ => None,
        };
        Box::pin(event(events, added))
    });
    select_all(told).await;
}
