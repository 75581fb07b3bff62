//! Joining a group, option by option.

use std::{fmt, sync::Arc};

use super::{
    Groups,
    config::{
        ConsensusConfig, ConsensusConfigBuilderError, DEFAULT_MAX_VOTERS, DEFAULT_SNAPSHOT_EVERY,
        GroupConfig, OnRivals, Quorum, Storage,
    },
    group::Group,
    key::GroupKey,
    machine::{NoOp, StateMachine},
};
use crate::{id::GroupId, tickets::TicketValidator};

/// The most members that may vote: each command waits for most of them.
const MOST_VOTERS: usize = 31;

/// Gathers what a group is joined with; made by [`Groups::with_key`].
///
/// ```
/// # async fn example(network: mosaik::Network) {
/// use mosaik::groups::GroupKey;
///
/// // Nothing but a leader: no state, no commands.
/// let group = network.groups().with_key(GroupKey::from_secret("who leads")).join();
/// let leader = group.when().leader_elected().await;
/// # }
/// ```
#[must_use = "a builder does nothing until `join` is called"]
pub struct GroupBuilder<'g, M = ()> {
    groups: &'g Groups,
    key: GroupKey,
    options: Options,
    machine: M,
}

#[derive(Clone)]
struct Options {
    consensus: ConsensusConfig,
    quorum: Quorum,
    on_rivals: OnRivals,
    storage: Storage,
    max_voters: usize,
    snapshot_every: u64,
    validators: Vec<Arc<dyn TicketValidator>>,
}

/// Why a group was not joined. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// With an even number, or none, two halves could both be a quorum of founders.
    #[error("the quorum of a strict group is an odd number of founders, not {0}")]
    EvenQuorum(usize),
    /// More founders than may vote.
    #[error("{founders} founders cannot all vote where at most {max_voters} do; raise max_voters")]
    TooManyFounders {
        /// The quorum that was asked for.
        founders: usize,
        /// The most that may vote.
        max_voters: usize,
    },
    /// The number of voters is not one that a group can have.
    #[error("max_voters must be between 1 and 31, not {0}")]
    MaxVoters(usize),
    /// The times of consensus make no sense together: they were not made by a builder, which checks
    /// them.
    #[error("the times of consensus: {0}")]
    Consensus(#[from] ConsensusConfigBuilderError),
    /// This node is in the group already, and has joined it with something else that all members
    /// must agree on.
    #[error("this node is in the group already, with another {field}: {running}, not {asked}")]
    ConfigMismatch {
        /// What it is, as in [`GroupEvent::ConfigMismatch`](super::GroupEvent::ConfigMismatch).
        field: &'static str,
        /// What the node has joined with.
        running: String,
        /// What it was to join with now.
        asked: String,
    },
    /// This node is in the group already, with a state machine of another type and the same name.
    #[error("this node is in group {0} already, with another type of state machine")]
    TypeMismatch(GroupId),
    /// The node's entry has no room for the group.
    #[error("the group cannot be announced: {0}")]
    NotAnnounced(String),
    /// The network is gone.
    #[error("the network is gone")]
    NetworkGone,
}

impl<'g> GroupBuilder<'g> {
    pub(super) fn new(groups: &'g Groups, key: GroupKey) -> Self {
        let options = Options {
            consensus: ConsensusConfig::default(),
            quorum: Quorum::default(),
            on_rivals: OnRivals::default(),
            storage: Storage::default(),
            max_voters: DEFAULT_MAX_VOTERS,
            snapshot_every: DEFAULT_SNAPSHOT_EVERY,
            validators: Vec::new(),
        };
        Self { groups, key, options, machine: () }
    }

    /// What the group replicates, in the state that it begins with: all members must begin with the
    /// same.
    pub fn with_state_machine<SM: StateMachine>(self, machine: SM) -> GroupBuilder<'g, SM> {
        let Self { groups, key, options, .. } = self;
        GroupBuilder { groups, key, options, machine }
    }

    /// Joins a group that has nothing but a leader.
    ///
    /// See [`GroupBuilder::join`] of a group with a state machine.
    #[must_use]
    pub fn join(self) -> Group<NoOp> {
        self.with_state_machine(NoOp).join()
    }

    /// As [`GroupBuilder::join`], and says so if the group is not joined.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn try_join(self) -> Result<Group<NoOp>, JoinError> {
        self.with_state_machine(NoOp).try_join()
    }
}

impl<M> GroupBuilder<'_, M> {
    /// The times of consensus. Default: [`ConsensusConfig::default`].
    pub const fn with_consensus_config(mut self, consensus: ConsensusConfig) -> Self {
        self.options.consensus = consensus;
        self
    }

    /// How many members it takes to decide: the same for all. Default: [`Quorum::Elastic`].
    pub fn with_quorum(mut self, quorum: Quorum) -> Self {
        self.options.quorum = quorum;
        self
    }

    /// What happens to two incarnations that meet. Default: [`OnRivals::KeepWinner`].
    pub fn on_rivals(mut self, rule: OnRivals) -> Self {
        self.options.on_rivals = rule;
        self
    }

    /// Where this member keeps its log and snapshots: the same for all. Default:
    /// [`Storage::Memory`].
    pub fn with_storage(mut self, storage: Storage) -> Self {
        self.options.storage = storage;
        self
    }

    /// The most members that vote: an odd number of them does when there are three or more. The
    /// others are kept up to date and take the place of voters that go. From 1 to 31; default 5.
    pub fn with_max_voters(mut self, voters: usize) -> Self {
        self.options.max_voters = voters;
        self
    }

    /// After how many commands a snapshot is taken, and the log before it dropped. One is taken
    /// earlier when the log has reached 64 MiB. At least 1; default 20,000.
    pub fn snapshot_every(mut self, commands: u64) -> Self {
        self.options.snapshot_every = commands.max(1);
        self
    }

    /// Takes in only members one of whose tickets this validator passes; several must all be
    /// passed. All members must require the same, in the same order. The leader takes out members
    /// whose tickets have ended.
    pub fn require_ticket(mut self, validator: impl TicketValidator) -> Self {
        self.options.validators.push(Arc::new(validator));
        self
    }
}

impl<M: StateMachine> GroupBuilder<'_, M> {
    /// Joins the group: returns at once, and goes on in the background, founding the group if there
    /// is none.
    ///
    /// If this node is in the group already, the handle is another one of the same member. What all
    /// members must agree on must be the same then; of the rest (the times, `max_voters`,
    /// `snapshot_every`, the state to begin with) what counts is what the first was joined with. A
    /// member that [has been told to leave](Group::leave) does not count: the node becomes a new one,
    /// as soon as the old one has gone.
    ///
    /// If the group cannot be joined, the error is logged, and everything that is asked of the
    /// handle fails with `GroupTerminated`, but for [`Group::read`], which shows the state to begin
    /// with; [`GroupBuilder::try_join`] returns the error.
    #[must_use]
    pub fn join(self) -> Group<M> {
        let (groups, config, machine) = self.into_parts();
        let checked = check(&config);
        match checked.and_then(|()| groups.join(config.clone(), machine.clone())) {
            Ok(group) => group,
            Err(error) => {
                tracing::error!(group = %config.id, %error, "the group is not joined");
                groups.ended(config, machine)
            }
        }
    }

    /// As [`GroupBuilder::join`], and says so if the group is not joined.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub fn try_join(self) -> Result<Group<M>, JoinError> {
        let (groups, config, machine) = self.into_parts();
        check(&config)?;
        groups.join(config, machine)
    }

    fn into_parts<'g>(self) -> (&'g Groups, GroupConfig, M)
    where
        Self: 'g,
    {
        let Self { groups, key, options, machine } = self;
        let config = GroupConfig {
            id: key.group_id(&machine.signature()),
            key,
            consensus: options.consensus,
            quorum: options.quorum,
            on_rivals: options.on_rivals,
            storage: options.storage,
            max_voters: options.max_voters,
            snapshot_every: options.snapshot_every,
            validators: options.validators,
            preference: machine.leadership_preference(),
            machine_version: machine.version(),
            schema: machine.schema(),
        };
        (groups, config, machine)
    }
}

fn check(config: &GroupConfig) -> Result<(), JoinError> {
    config.consensus.check()?;
    let max_voters = config.max_voters;
    if !(1..=MOST_VOTERS).contains(&max_voters) {
        return Err(JoinError::MaxVoters(max_voters));
    }
    match config.quorum {
        Quorum::Strict(founders) if founders % 2 == 0 => Err(JoinError::EvenQuorum(founders)),
        Quorum::Strict(founders) if founders > max_voters => {
            Err(JoinError::TooManyFounders { founders, max_voters })
        }
        Quorum::Strict(_) | Quorum::Elastic => Ok(()),
    }
}

impl<M> fmt::Debug for GroupBuilder<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBuilder")
            .field("key", &self.key)
            .field("quorum", &self.options.quorum)
            .finish_non_exhaustive()
    }
}
