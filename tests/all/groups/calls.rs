//! What becomes of a call when the leader dies, the group forgets its caller, or nobody waits.

use mosaik::{
    Bytes, Network, UniqueId,
    futures::future::join_all,
    groups::{
        ApplyContext, CommandError, ConsensusConfig, GroupEvent, GroupKey, Index, StateMachine,
        decode_state, encode_state,
    },
    primitives::encoding::{DecodeError, EncodeError},
};
use mosaik_tests::{Counter, secs, within};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{all_equal, builder, builder_of, event, founded, join, one_leader};

/// What [`Echo`] refuses to decode.
const UNLUCKY: u64 = 13;

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
struct Lucky(u64);

impl From<Lucky> for u64 {
    fn from(number: Lucky) -> Self {
        number.0
    }
}

impl TryFrom<u64> for Lucky {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        if number == UNLUCKY { Err("unlucky") } else { Ok(Self(number)) }
    }
}

/// Remembers numbers.
#[derive(Clone, Debug, Default)]
struct Echo(Vec<u64>);

impl StateMachine for Echo {
    type Command = Lucky;
    type Response = ();
    type Query = ();
    type QueryResult = ();

    fn signature(&self) -> UniqueId {
        "tests.echo".into()
    }

    fn apply(&mut self, number: Lucky, _: &ApplyContext) {
        self.0.push(number.0);
    }

    fn query(&self, (): ()) {}

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(&self.0)
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_state(bytes).map(Self)
    }
}

#[mosaik::network_test(sim, seed = 1, seeds = 3)]
async fn many_callers_go_on_as_soon_as_another_leads(nodes: [Network; 3]) {
    let groups = founded(&nodes).await;
    let leader = one_leader(&groups).await;
    let survivor = &groups[(leader + 1) % 3];
    within(secs(5), "a command", survivor.execute(0)).await.unwrap();
    nodes.crash(leader);
    let begun = Instant::now();
    // One by one: each goes to the dead leader on its own.
    let calls = (1..=20).map(|number| async move {
        sleep(ConsensusConfig::fast().heartbeat_interval.mul_f64(number as f64 / 10.0)).await;
        survivor.execute(number).await
    });
    for answer in within(secs(5), "the answers", join_all(calls)).await {
        answer.unwrap();
    }
    assert!(begun.elapsed() < ConsensusConfig::fast().forward_timeout, "{:?}", begun.elapsed());
}

#[mosaik::network_test(sim, seed = 1, timeout = "1200s")]
async fn whom_the_group_has_forgotten_may_give_commands_again(nodes: [Network; 2]) {
    let leader = join(&nodes[0]);
    within(secs(20), "a group's start", leader.when().online()).await;
    let observer = builder_of(&nodes[1], Counter::observer()).join();
    within(secs(20), "its start", observer.when().online()).await;
    within(secs(5), "a command", observer.execute(1)).await.unwrap();

    nodes.partition(&[&[0], &[1]]);
    within(secs(30), "its end", observer.when().offline()).await;
    // It is removed when it has been silent for 10 s, and forgotten after 10 min more.
    sleep(secs(660)).await;
    nodes.heal();
    // Nodes that have lost all knowledge of each other look again in minutes.
    within(secs(400), "its return", observer.when().online()).await;
    within(secs(10), "a command", observer.execute(2)).await.unwrap();
    assert_eq!(all_equal(&[leader, observer]).await, [1, 2]);
}

#[mosaik::network_test(sim, seed = 1)]
async fn what_the_machine_does_not_understand_is_rejected_and_changes_nothing(node: Network) {
    let builder = node.groups().with_key(GroupKey::from_secret("tests"));
    let builder = builder.with_consensus_config(ConsensusConfig::fast());
    let group = builder.with_state_machine(Echo::default()).join();
    within(secs(20), "its start", group.when().online()).await;
    let refused = within(secs(5), "a command", group.execute(Lucky(UNLUCKY))).await.unwrap_err();
    let CommandError::Rejected { index } = refused else { panic!("{refused:?}") };
    assert_eq!(index, Index::from(1));
    let next = within(secs(5), "a command", group.execute(Lucky(7))).await.unwrap();
    assert_eq!((next.index(), group.read(|echo| echo.0.clone())), (Index::from(2), vec![7]));
}

#[mosaik::network_test(sim, seed = 1)]
async fn what_nobody_waits_for_is_applied_all_the_same(node: Network) {
    let group = builder(&node).join();
    let mut events = group.events();
    // Before there is anybody to send it to.
    drop(group.execute(1));
    event(&mut events, |event| (*event == GroupEvent::Online).then_some(())).await;
    within(secs(5), "a command", group.execute(2)).await.unwrap();
    assert_eq!(all_equal(&[group]).await, [1, 2]);
}
