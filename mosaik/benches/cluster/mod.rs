//! Nodes that are members of one group, all in this process.

pub mod heartbeats;
pub mod idle;
pub mod life;
pub mod load;

use std::time::Duration;

use mosaik::{
    Bytes, Network, UniqueId, discovery,
    futures::future::join_all,
    groups::{
        ApplyContext, ConsensusConfig, Group, GroupKey, Quorum, StateMachine, decode_state,
        encode_state,
    },
    primitives::encoding::{DecodeError, EncodeError},
};
use tokio::time::timeout;

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Counts commands and their bytes.
#[derive(Clone, Default)]
pub struct Counter {
    commands: u64,
    bytes: u64,
}

impl StateMachine for Counter {
    type Command = Bytes;
    type Response = u64;
    type Query = ();
    type QueryResult = u64;

    fn signature(&self) -> UniqueId {
        "bench.counter".into()
    }

    fn apply(&mut self, command: Bytes, _: &ApplyContext) -> u64 {
        self.commands += 1;
        self.bytes += command.len() as u64;
        self.commands
    }

    fn query(&self, (): ()) -> u64 {
        self.commands
    }

    fn snapshot(&self) -> Result<Bytes, EncodeError> {
        encode_state(&(self.commands, self.bytes))
    }

    fn restore(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode_state(bytes).map(|(commands, bytes)| Self { commands, bytes })
    }
}

/// A command that takes so many bytes when it is encoded.
pub fn command(size: usize) -> Bytes {
    let length_bytes = if size > 128 { 2 } else { 1 };
    Bytes::from(vec![7; size - length_bytes])
}

/// A node that nobody finds who is not told of it.
pub async fn node(name: UniqueId) -> Network {
    let config = discovery::Config::builder().with_local(false);
    let loopback = "127.0.0.1:0".parse().expect("an address");
    let builder = Network::builder(name).offline().bind(loopback).with_discovery(config);
    builder.build().await.expect("a node")
}

/// Nodes that know each other.
pub async fn nodes(count: usize) -> Vec<Network> {
    let name = UniqueId::random();
    let nodes = join_all((0..count).map(|_| node(name))).await;
    for node in &nodes[1..] {
        node.discovery().dial(nodes[0].local().addr()).await;
    }
    nodes
}

/// Has a node join a group that so many found.
pub fn join<M: StateMachine>(
    node: &Network,
    key: &str,
    members: usize,
    machine: M,
    consensus: ConsensusConfig,
) -> Group<M> {
    let builder = node.groups().with_key(GroupKey::from_secret(key));
    let builder = builder.with_state_machine(machine).with_consensus_config(consensus);
    builder.with_quorum(Quorum::Strict(members)).join()
}

/// Members of one group, which takes commands.
pub struct Cluster<M: StateMachine> {
    pub nodes: Vec<Network>,
    pub groups: Vec<Group<M>>,
}

impl<M: StateMachine + Default> Cluster<M> {
    /// Founds a group, with the default times.
    pub async fn found(members: usize) -> Self {
        let nodes = nodes(members).await;
        let groups = nodes
            .iter()
            .map(|node| join(node, "bench", members, M::default(), ConsensusConfig::default()));
        let this = Self { groups: groups.collect(), nodes };
        online(&this.groups).await;
        this
    }

    /// Which member leads, and one that does not, if there are several.
    pub fn roles(&self) -> (usize, Option<usize>) {
        roles(&self.groups)
    }

    pub fn leader(&self) -> &Group<M> {
        &self.groups[self.roles().0]
    }

    pub fn follower(&self) -> &Group<M> {
        &self.groups[self.roles().1.expect("it is not alone")]
    }
}

/// Which member leads, and one that does not, if there are several.
pub fn roles<M: StateMachine>(groups: &[Group<M>]) -> (usize, Option<usize>) {
    let leader = groups.iter().position(Group::is_leader).expect("a leader");
    (leader, (0..groups.len()).find(|member| *member != leader))
}

/// Waits until all take commands.
pub async fn online<M: StateMachine>(groups: &[Group<M>]) {
    let all = join_all(groups.iter().map(|group| group.when().online()));
    timeout(LIMIT, all).await.expect("the group is online");
}
