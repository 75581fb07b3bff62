//! The times of consensus.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest of the times that are no part of an election: a year.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The times of a group's consensus.
///
/// The members of a group need not have the same. `heartbeat_interval`, `election_timeout` and
/// `election_timeout_jitter` are those of the member that founded the group: who joins takes them
/// from the leader, whatever it is configured with itself. All other times are each member's own.
///
/// A leader that fell silent is replaced `election_timeout + election_timeout_jitter` (the lease,
/// within which nobody else can be elected) plus a random time between `election_timeout` and the
/// same sum later.
///
/// ```
/// use std::time::Duration;
/// use mosaik::groups::ConsensusConfig;
///
/// let config = ConsensusConfig::builder()
///     .with_heartbeat_interval(Duration::from_millis(100))
///     .build()
///     .unwrap();
/// assert_eq!(config.election_timeout, Duration::from_millis(600));
/// assert!(ConsensusConfig::fast().heartbeat_interval < config.heartbeat_interval);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConsensusConfig {
    /// How often a leader that has nothing else to say shows that it is there. Default 200 ms.
    pub heartbeat_interval: Duration,
    /// Accepted for compatibility and without effect: heartbeats of all groups between two nodes
    /// share frames, and are not spread. Default zero.
    pub heartbeat_jitter: Duration,
    /// Accepted for compatibility and without effect: how long a silent leader is followed is
    /// said by `election_timeout`. Default 3.
    pub max_missed_heartbeats: u32,
    /// The shortest time for which a member waits for a leader before it stands for election.
    /// Default 600 ms.
    pub election_timeout: Duration,
    /// How much longer than that it may wait, at random. Default 300 ms.
    pub election_timeout_jitter: Duration,
    /// How long a member that finds nobody waits for others before it founds the group. It founds
    /// earlier once every node that announces the group has answered. Default 1 s.
    pub bootstrap_delay: Duration,
    /// How long a command may wait for its answer, and for a leader. Default 2 s.
    pub forward_timeout: Duration,
    /// How long a strong query may wait for its answer, and for a leader. Default 2 s.
    pub query_timeout: Duration,
    /// How long a new member must be there and up to date before it may vote. Doubles each time
    /// that the same node was evicted, up to 10 minutes. Default 2 s.
    pub stabilization: Duration,
    /// How long a voter may be silent before it is removed, if the rest still is a quorum.
    /// Default 10 s.
    pub evict_after: Duration,
}

impl Default for ConsensusConfig {
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(200),
            heartbeat_jitter: Duration::ZERO,
            max_missed_heartbeats: 3,
            election_timeout: Duration::from_millis(600),
            election_timeout_jitter: Duration::from_millis(300),
            bootstrap_delay: Duration::from_secs(1),
            forward_timeout: Duration::from_secs(2),
            query_timeout: Duration::from_secs(2),
            stabilization: Duration::from_secs(2),
            evict_after: Duration::from_secs(10),
        }
    }
}

impl ConsensusConfig {
    /// Starts from the defaults.
    pub fn builder() -> ConsensusConfigBuilder {
        ConsensusConfigBuilder::default()
    }

    /// For one LAN, and for tests: a heartbeat every 50 ms, elections after 150 to 300 ms, founding
    /// after 100 ms, answers within 1 s.
    #[must_use]
    pub fn fast() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(50),
            election_timeout: Duration::from_millis(150),
            election_timeout_jitter: Duration::from_millis(150),
            bootstrap_delay: Duration::from_millis(100),
            forward_timeout: Duration::from_secs(1),
            query_timeout: Duration::from_secs(1),
            stabilization: Duration::from_millis(500),
            ..Self::default()
        }
    }

    /// For members far apart: a heartbeat every 500 ms, elections after 1.0 to 1.5 s, founding after
    /// 1 s, answers within 5 s.
    #[must_use]
    pub fn wan() -> Self {
        Self {
            heartbeat_interval: Duration::from_millis(500),
            election_timeout: Duration::from_secs(1),
            election_timeout_jitter: Duration::from_millis(500),
            forward_timeout: Duration::from_secs(5),
            query_timeout: Duration::from_secs(5),
            ..Self::default()
        }
    }

    /// For how long after its last acknowledgement by a quorum a leader may lead.
    pub(crate) fn lease(&self) -> Duration {
        self.election_timeout.saturating_add(self.election_timeout_jitter)
    }

    /// Whether the times make sense together; one that was not built was never asked.
    pub(crate) fn check(&self) -> Result<(), ConsensusConfigBuilderError> {
        let refuse = |text: &str| Err(ConsensusConfigBuilderError::ValidationError(text.into()));
        if self.heartbeat_interval < Duration::from_millis(10) {
            return refuse("heartbeat_interval must be at least 10 ms");
        }
        if self.election_timeout <= self.heartbeat_interval {
            return refuse("election_timeout must be longer than heartbeat_interval");
        }
        if self.election_timeout_jitter < Duration::from_millis(1) {
            return refuse("election_timeout_jitter must be at least 1 ms");
        }
        if self.lease() > Duration::from_secs(3600) {
            return refuse("election_timeout and its jitter must be at most an hour");
        }
        if self.forward_timeout.is_zero() || self.query_timeout.is_zero() {
            return refuse("forward_timeout and query_timeout must be more than zero");
        }
        let spans = [
            self.bootstrap_delay,
            self.forward_timeout,
            self.query_timeout,
            self.stabilization,
            self.evict_after,
        ];
        if spans.into_iter().any(|span| span > LONGEST) {
            return refuse("a span must be at most a year");
        }
        Ok(())
    }
}

/// Changes the defaults of a [`ConsensusConfig`]; the setters have the names of its fields.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ConsensusConfigBuilder(ConsensusConfig);

/// Times that make no sense together. Nothing was started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsensusConfigBuilderError {
    /// A field without a default was not set. No field of this crate is such at present.
    #[error("{0} is not set")]
    UninitializedField(&'static str),
    /// A value is outside its range; the text says which, and what is allowed.
    #[error("{0}")]
    ValidationError(String),
}

impl ConsensusConfigBuilder {
    /// See [`ConsensusConfig::heartbeat_interval`].
    pub fn with_heartbeat_interval(mut self, interval: Duration) -> Self {
        self.0.heartbeat_interval = interval;
        self
    }

    /// Accepted, and without effect: see [`ConsensusConfig::heartbeat_jitter`].
    pub fn with_heartbeat_jitter(mut self, jitter: Duration) -> Self {
        self.0.heartbeat_jitter = jitter;
        self
    }

    /// Accepted, and without effect: see [`ConsensusConfig::max_missed_heartbeats`].
    pub fn with_max_missed_heartbeats(mut self, missed: u32) -> Self {
        self.0.max_missed_heartbeats = missed;
        self
    }

    /// See [`ConsensusConfig::election_timeout`].
    pub fn with_election_timeout(mut self, timeout: Duration) -> Self {
        self.0.election_timeout = timeout;
        self
    }

    /// See [`ConsensusConfig::election_timeout_jitter`].
    pub fn with_election_timeout_jitter(mut self, jitter: Duration) -> Self {
        self.0.election_timeout_jitter = jitter;
        self
    }

    /// See [`ConsensusConfig::bootstrap_delay`].
    pub fn with_bootstrap_delay(mut self, delay: Duration) -> Self {
        self.0.bootstrap_delay = delay;
        self
    }

    /// See [`ConsensusConfig::forward_timeout`].
    pub fn with_forward_timeout(mut self, timeout: Duration) -> Self {
        self.0.forward_timeout = timeout;
        self
    }

    /// See [`ConsensusConfig::query_timeout`].
    pub fn with_query_timeout(mut self, timeout: Duration) -> Self {
        self.0.query_timeout = timeout;
        self
    }

    /// See [`ConsensusConfig::stabilization`].
    pub fn with_stabilization(mut self, span: Duration) -> Self {
        self.0.stabilization = span;
        self
    }

    /// See [`ConsensusConfig::evict_after`].
    pub fn with_evict_after(mut self, span: Duration) -> Self {
        self.0.evict_after = span;
        self
    }

    /// Checks that the times make sense together.
    ///
    /// # Errors
    /// [`ConsensusConfigBuilderError::ValidationError`] says which do not:
    /// - `heartbeat_interval` is at least 10 ms, and shorter than `election_timeout`;
    /// - `election_timeout_jitter` is at least 1 ms, and at most an hour together with
    ///   `election_timeout`;
    /// - `forward_timeout` and `query_timeout` are more than zero;
    /// - none of the others is longer than a year.
    ///
    /// A configuration that was not made by a builder is checked when a group is joined with it.
    pub fn build(self) -> Result<ConsensusConfig, ConsensusConfigBuilderError> {
        self.0.check().map(|()| self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profiles_and_the_defaults_make_sense() {
        for config in [ConsensusConfig::default(), ConsensusConfig::fast(), ConsensusConfig::wan()]
        {
            assert_eq!(config.check(), Ok(()));
        }
    }

    #[test]
    fn an_election_takes_longer_than_a_heartbeat() {
        let builder = ConsensusConfig::builder().with_election_timeout(Duration::from_millis(200));
        let error = builder.build().unwrap_err().to_string();
        assert_eq!(error, "election_timeout must be longer than heartbeat_interval");
    }

    #[test]
    fn no_span_is_too_long_to_be_counted_with() {
        let builder = ConsensusConfig::builder().with_stabilization(Duration::MAX);
        let error = builder.build().unwrap_err().to_string();
        assert_eq!(error, "a span must be at most a year");
        assert!(ConsensusConfig::builder().with_evict_after(LONGEST).build().is_ok());
    }
}
