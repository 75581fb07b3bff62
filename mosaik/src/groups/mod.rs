//! Consensus groups: replicated state machines that form themselves.
//!
//! Nodes that join a group with the same [`GroupKey`] and the same [`StateMachine`] find each
//! other, found the group or join it, elect a leader, and apply the same commands in the same
//! order. The core is Raft (Ongaro and Ousterhout, 2014), by the `openraft` crate; mosaik does what
//! Raft leaves open: how a group forms with no operator, who votes, how a call survives the loss
//! of a leader.
//!
//! The [guide](crate::guide::groups) says what each [`Quorum`] promises.

mod autopilot;
mod bonded;
mod bonds;
mod builder;
mod calls;
mod committed;
mod config;
mod error;
mod event;
mod formation;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod group;
mod index;
mod key;
mod machine;
mod member;
mod meter;
mod raft;
mod registry;
mod state;
#[cfg(test)]
mod tests;
pub(crate) mod typed;
mod watched;
mod when;
mod worker;

use std::{collections::BTreeMap, fmt, sync::Arc};

use self::registry::Registry;
pub use self::{
    bonded::{Bond, Bonds},
    builder::{GroupBuilder, JoinError},
    calls::Pending,
    committed::{Committed, CommittedMany, QueryResultAt},
    config::{
        Config, ConfigBuilder, ConfigBuilderError, ConsensusConfig, ConsensusConfigBuilder,
        ConsensusConfigBuilderError, Consistency, GroupConfig, OnRivals, Quorum, Storage,
    },
    error::{CommandError, Error, OperateError, QueryError},
    event::{GroupEvent, MembershipReason},
    group::{FencingToken, Group},
    index::{Cursor, Index, IndexRange, Term},
    key::GroupKey,
    machine::{
        ApplyContext, Command, LeadershipPreference, NoOp, Query, QueryResult, Response,
        StateMachine, decode_state, digest_state, encode_state,
    },
    when::{CursorWatcher, Position, When},
};
use crate::{
    clock::Clock,
    discovery::Discovery,
    id::{GroupId, NetworkId, PeerId},
    random::Random,
    tasks::Tasks,
    telemetry::Meters,
    transport::Transport,
};

/// What groups are made of.
#[derive(Debug)]
pub(crate) struct GroupsParts {
    /// Not yet listening: the handlers of bonds are set here.
    pub(crate) transport: Transport,
    pub(crate) discovery: Discovery,
    /// Cancelled before the connections are closed.
    pub(crate) tasks: Tasks,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) config: Config,
    pub(crate) local: PeerId,
    pub(crate) network_id: NetworkId,
    pub(crate) telemetry: Meters,
}

/// The groups of a node: where they are joined. Cheap to clone.
///
/// It is handed out by the network.
#[derive(Clone)]
pub struct Groups(Arc<Registry>);

impl Groups {
    /// Begins to answer other members.
    pub(crate) fn start(parts: GroupsParts) -> Self {
        Self(Arc::new(Registry::start(parts)))
    }

    /// Begins to join the group with this key.
    pub fn with_key(&self, key: impl Into<GroupKey>) -> GroupBuilder<'_> {
        GroupBuilder::new(self, key.into())
    }

    /// How groups behave.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.0.config()
    }

    /// Who leads the groups that this node is in, as far as it knows.
    pub(crate) fn leaders(&self) -> BTreeMap<GroupId, PeerId> {
        self.0.leaders()
    }

    /// Leaves all groups in good order: leadership is handed on. To be bounded by the caller.
    pub(crate) async fn depart(&self) {
        self.0.depart().await;
    }

    fn join<M: StateMachine>(
        &self,
        config: GroupConfig,
        machine: M,
    ) -> Result<Group<M>, JoinError> {
        self.0.join(config, machine)
    }

    fn ended<M: StateMachine>(&self, config: GroupConfig, machine: M) -> Group<M> {
        self.0.ended(config, machine)
    }
}

impl fmt::Debug for Groups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Groups").field(&self.0).finish()
    }
}
