//! Handles of a group: who gets one, what is left of it after the end, and what it can be used as.

use std::fmt::Debug;

use mosaik::{
    Bytes, Consistency, Group, GroupKey, Network, Strong, Tag, UniqueId, Weak,
    futures::FutureExt,
    groups::{
        ApplyContext, CommandError, ConsensusConfig, Error, JoinError, QueryError, Quorum,
        StateMachine, decode_state, encode_state,
    },
    primitives::encoding::{DecodeError, EncodeError},
    tickets::{Expiration, TicketValidator},
};
use mosaik_tests::{Counter, eventually, secs, within};

use super::{all_online, builder, founded, ids, join, one_leader};
use crate::tickets::{DOOR, For, SAFE, in_secs, ticket};

/// Another machine of the name that `Counter` has.
#[derive(Clone)]
struct Twin;

impl StateMachine for Twin {
    type Command = ();
    type Response = ();
    type Query = ();
    type QueryResult = ();

    fn signature(&self) -> UniqueId {
        Counter::default().signature()
    }

    fn apply(&mut self, (): (), _: &ApplyContext) {}

    fn query(&self, (): ()) {}

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(&())
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_state(bytes).map(|()| Self)
    }
}

fn key() -> GroupKey {
    GroupKey::from_secret("tests")
}

#[mosaik::network_test(sim, seed = 1, seeds = 1)]
async fn a_second_join_of_a_node_must_agree_with_the_first(node: Network) {
    let first = join(&node);
    let refused = |joined: Result<Group<Counter>, JoinError>| match joined.unwrap_err() {
        JoinError::ConfigMismatch { field, .. } => field,
        error => panic!("{error}"),
    };
    assert_eq!(refused(builder(&node).with_quorum(Quorum::Strict(3)).try_join()), "quorum");
    assert_eq!(refused(builder(&node).require_ticket(For(DOOR)).try_join()), "validators");
    let other = node.groups().with_key(key()).with_state_machine(Twin).try_join();
    assert_eq!(other.unwrap_err(), JoinError::TypeMismatch(*first.id()));
    // What is each member's own need not be the same.
    let second = builder(&node).with_consensus_config(ConsensusConfig::wan()).with_max_voters(3);
    let second = second.try_join().unwrap();
    assert_eq!(second.config().max_voters(), 5);
    within(secs(20), "its start", second.when().online()).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 1)]
async fn times_that_no_builder_has_checked_are_checked_when_joining(node: Network) {
    let mut config = ConsensusConfig::fast();
    config.heartbeat_interval = std::time::Duration::MAX;
    let refused = builder(&node).with_consensus_config(config).try_join();
    assert!(matches!(refused, Err(JoinError::Consensus(_))), "{refused:?}");
}

#[mosaik::network_test(sim, seed = 1, seeds = 1)]
async fn a_group_that_cannot_be_announced_is_not_joined(node: Network) {
    // Until there is no room for another id.
    let mut tags = 0;
    for step in [1000, 100, 10, 1] {
        let next = |from: u64| (from..from + step).map(|tag| Tag::from(&*format!("{tag}")));
        while node.discovery().try_add_tags(next(tags)).is_ok() {
            tags += step;
        }
    }
    let refused = builder(&node).try_join();
    assert!(matches!(refused, Err(JoinError::NotAnnounced(_))), "{refused:?}");
}

#[mosaik::network_test(sim, seed = 1, seeds = 1)]
async fn without_its_network_no_group_is_joined(node: Network) {
    let groups = node.groups().clone();
    node.shutdown().await;
    let refused = groups.with_key(key()).with_state_machine(Counter::default()).try_join();
    assert_eq!(refused.unwrap_err(), JoinError::NetworkGone);
}

/// Whatever is asked, the group has ended.
async fn is_over(group: &Group<Counter>) {
    for consistency in [Weak, Strong] {
        let asked = group.query((), consistency).await;
        assert!(matches!(asked, Err(QueryError::GroupTerminated)), "{asked:?}");
    }
    let executed = group.execute(1).await;
    assert!(matches!(executed, Err(CommandError::GroupTerminated)), "{executed:?}");
    assert_eq!(group.step_down().await, Err(Error::GroupTerminated));
    assert_eq!(group.leave().await, Err(Error::GroupTerminated));
    assert!(group.when().offline().now_or_never().is_some());
    assert!(group.when().is_follower().now_or_never().is_some());
    assert_eq!(group.leader(), None);
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_handle_of_a_group_that_was_not_joined_or_has_ended_says_so(node: Network) {
    let start = Counter { total: 7, ..Counter::default() };
    let unjoined = super::builder_of(&node, start).with_quorum(Quorum::Strict(4)).join();
    within(secs(5), "the end", is_over(&unjoined)).await;
    assert_eq!(unjoined.read(|counter| counter.total), 7);

    let group = join(&node);
    within(secs(20), "its start", group.when().online()).await;
    within(secs(5), "a command", group.execute(3)).await.unwrap();
    let other = group.clone();
    within(secs(5), "the departure", group.leave()).await.unwrap();
    eventually(secs(5), "the end", || group.query((), Weak).now_or_never().unwrap().is_err()).await;
    within(secs(5), "the end", is_over(&other)).await;
    assert_eq!(other.read(|counter| counter.total), 3);
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn who_has_left_and_joins_again_is_a_new_member_and_is_seen(nodes: [Network; 2]) {
    let groups = nodes.each_ref().map(join);
    all_online(&groups).await;
    let [here, left] = groups;
    within(secs(5), "a command", here.execute(1)).await.unwrap();
    let me = nodes[1].local().id();
    let announced = || {
        let catalog = nodes[0].discovery().catalog();
        catalog.get(&me).is_some_and(|entry| entry.groups().contains(here.id()))
    };
    for round in 2..5 {
        // The old handle is kept: it is no way back.
        within(secs(5), "the departure", left.leave()).await.ok();
        let again = join(&nodes[1]);
        assert_eq!(again.committed(), 0);
        within(secs(20), "its return", again.when().online()).await;
        within(secs(20), "a command", here.execute(1)).await.unwrap();
        eventually(secs(5), "the command", || again.committed() == round).await;
        eventually(secs(10), "the announcement", announced).await;
        // Neither has been left by the end of the first.
        within(secs(20), "its end", again.leave()).await.unwrap();
        drop(again);
    }
    eventually(secs(10), "the end of the announcement", || !announced()).await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn who_joins_again_before_the_old_member_has_gone_is_seen(nodes: [Network; 2]) {
    let here = join(&nodes[0]);
    within(secs(20), "its start", here.when().online()).await;
    let mut there = join(&nodes[1]);
    for _ in 0..3 {
        drop(there);
        there = join(&nodes[1]);
    }
    within(secs(20), "its return", there.when().online()).await;
    within(secs(20), "a command", there.execute(1)).await.unwrap();
    let me = nodes[1].local().id();
    let announced = || {
        let catalog = nodes[0].discovery().catalog();
        catalog.get(&me).is_some_and(|entry| entry.groups().contains(here.id()))
    };
    eventually(secs(10), "the announcement", announced).await;
    eventually(secs(10), "the same leader", || {
        here.leader().is_some() && here.leader() == there.leader()
    })
    .await;
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn who_leaves_is_told_if_nobody_has_heard_it(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let leader = one_leader(&groups).await;
    let others: Vec<_> = (0..3).filter(|place| *place != leader).collect();
    nodes.crash(leader);
    // Of the leader that it knows, or of nobody.
    let left = within(secs(5), "the departure", groups[others[0]].leave()).await;
    assert_eq!(left, Err(Error::Timeout));
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn what_the_members_of_a_group_must_show_can_be_asked(nodes: [Network; 3]) {
    let joined =
        |node: &Network| builder(node).require_ticket(For(DOOR)).require_ticket(For(SAFE)).join();
    let groups = nodes.each_ref().map(joined);
    let group = &groups[0];
    let signatures: Vec<_> = group.config().auth().iter().map(|it| it.signature()).collect();
    assert_eq!(signatures, [For(DOOR).signature(), For(SAFE).signature()]);
    let give = |place: usize, class, until| {
        let ticket = ticket(&nodes[place], class, until);
        nodes[place].discovery().add_ticket(ticket).unwrap();
    };
    for place in [0, 1] {
        give(place, DOOR, Expiration::Never);
        give(place, SAFE, Expiration::Never);
    }
    // One of the third's has ended.
    give(2, DOOR, Expiration::Never);
    give(2, SAFE, in_secs(-1));
    let [_, both, one] = ids(&nodes)[..] else { panic!("three") };
    let may = |peer| {
        let catalog = nodes[0].discovery().catalog();
        catalog.get_signed(&peer).is_some_and(|entry| group.config().authorize_peer(entry))
    };
    eventually(secs(10), "the tickets", || may(both)).await;
    let here =
        || nodes[0].discovery().catalog().get(&one).is_some_and(|entry| entry.tickets().len() == 2);
    eventually(secs(10), "the other's tickets", here).await;
    assert!(!may(one));
}

#[mosaik::network_test(sim, seed = 1, seeds = 1)]
async fn futures_can_be_shared_between_threads(node: Network) {
    fn shared<T: Send + Sync + 'static>(future: T) -> T {
        future
    }
    let group = join(&node);
    within(secs(20), "its start", shared(group.when().online())).await;
    within(secs(5), "it", shared(group.execute(1))).await.unwrap();
    let many = within(secs(5), "it", shared(group.execute_many([1, 2]))).await.unwrap();
    assert!(many.contains(&many.first()) && *many.end() == 3);
    let reached = shared(group.when().committed().reaches(&many)).now_or_never();
    assert_eq!(reached, Some(many.last()));
    assert_eq!(within(secs(5), "it", shared(group.feed(1))).await.unwrap(), 4);
    within(secs(5), "it", shared(group.feed_many([1]))).await.unwrap();
    for consistency in [Consistency::Strong, Consistency::Weak] {
        within(secs(5), "it", shared(group.query((), consistency))).await.unwrap();
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 2)]
async fn a_weak_query_is_answered_when_it_is_made(node: Network) {
    let group = join(&node);
    within(secs(20), "its start", group.when().online()).await;
    let before = group.query((), Weak);
    within(secs(5), "a command", group.execute(1)).await.unwrap();
    let after = group.query((), Weak);
    assert_eq!((before.await.unwrap().result, after.await.unwrap().result), (0, 1));
}

/// Errors need not know the machine's types.
fn _are_errors<M: StateMachine>() {
    fn error<E: std::error::Error + Debug>() {}
    error::<CommandError<M>>();
    error::<QueryError<M>>();
}
