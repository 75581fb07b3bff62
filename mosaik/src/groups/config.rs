//! How groups behave: what a member chooses, and the times of consensus.

mod consensus;
mod group;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::consensus::{ConsensusConfig, ConsensusConfigBuilder, ConsensusConfigBuilderError};
pub use self::group::GroupConfig;

/// The most members that vote, unless a group says otherwise.
pub(crate) const DEFAULT_MAX_VOTERS: usize = 5;
/// Commands after which a snapshot is taken, unless a group says otherwise.
pub(crate) const DEFAULT_SNAPSHOT_EVERY: u64 = 20_000;
/// The largest command, in encoded bytes.
pub(crate) const MAX_COMMAND_BYTES: usize = 8 * 1024 * 1024;

/// How many members it takes to decide, and what happens when fewer are left.
///
/// - **`Strict(n)`**: at least `n` founders, ever after a majority of the logged voters.
///   Linearizable across any partition; below a majority it stops. It holds if no more than
///   2n - 1 nodes can ever take part in founding (a founder that sees more refuses, with an event)
///   and no founder restarts during a partition while the group is kept in memory. `n` is odd, and
///   at most `max_voters`; it is also the floor of voters: a group never shrinks below it.
/// - **`Elastic`**: works alone and grows. Linearizable within one incarnation. Two founders that
///   had not met yet both accept commands; when they meet, one yields by the rule for rivals, and
///   what did not survive is told by [`GroupEvent::Merged`](super::GroupEvent::Merged) and logged
///   at error level. No acknowledged command vanishes without a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Quorum {
    /// At least so many founders, and never fewer voters.
    Strict(usize),
    /// One is enough.
    #[default]
    Elastic,
}

/// What happens to two incarnations of an elastic group that meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum OnRivals {
    /// The one with the longer log stays as it is; the other's members drop what they have, join
    /// it, and tell what was lost by [`GroupEvent::Merged`](super::GroupEvent::Merged).
    #[default]
    KeepWinner,
}

/// Where a member keeps its log and snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Storage {
    /// In memory: a member that restarts is a new one, and gets everything from the others.
    #[default]
    Memory,
}

/// How fresh the answer to a query has to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Consistency {
    /// What this member knows: at once, without asking anybody. It may be behind the leader.
    Weak,
    /// Linearizable, from any member: the answer reflects every command that was answered, on
    /// whatever member, before the query was made.
    #[default]
    Strong,
}

/// How all groups of a node behave. Made by [`Config::builder`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// How long a peer may take for each step in which two members prove to each other that they
    /// are. Where it has to judge tickets it may take 3 s more. Default 2 s.
    pub handshake_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { handshake_timeout: Duration::from_secs(2) }
    }
}

impl Config {
    /// Starts from the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }
}

/// Changes the defaults of a [`Config`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ConfigBuilder(Config);

/// A configuration that makes no sense. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigBuilderError {
    /// A field without a default was not set. No field of this crate is such at present.
    #[error("{0} is not set")]
    UninitializedField(&'static str),
    /// A value is outside its range; the text says which, and what is allowed.
    #[error("{0}")]
    ValidationError(String),
}

impl ConfigBuilder {
    /// How long a peer may take for each step in which two members prove to each other that they
    /// are. Where it has to judge tickets it may take 3 s more. Default 2 s.
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.0.handshake_timeout = timeout;
        self
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// [`ConfigBuilderError::ValidationError`] if the time-out is zero.
    pub fn build(self) -> Result<Config, ConfigBuilderError> {
        if self.0.handshake_timeout.is_zero() {
            let text = "handshake_timeout must be more than zero";
            return Err(ConfigBuilderError::ValidationError(text.into()));
        }
        Ok(self.0)
    }
}
