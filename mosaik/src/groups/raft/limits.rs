//! Times and sizes.

use std::time::Duration;

use openraft::{Config, SnapshotPolicy};
use serde::{Deserialize, Serialize};

/// How fast a group notices that its leader is gone.
///
/// Without a leader's sign of life for `election_max` plus a random time within the election
/// times, a member stands for election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// Between two heartbeats of a leader.
    pub(crate) heartbeat: Duration,
    /// The shortest election time; more than a heartbeat.
    pub(crate) election_min: Duration,
    /// The longest; also for how long a leader is trusted after a quorum's last sign of life.
    pub(crate) election_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(200),
            election_min: Duration::from_millis(600),
            election_max: Duration::from_millis(900),
        }
    }
}

/// Times outside of these are nobody's.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(3600);

impl Timing {
    /// Whether a node can be run with them, whoever they are from.
    pub(crate) fn is_sane(&self) -> bool {
        SHORTEST <= self.heartbeat
            && self.heartbeat < self.election_min
            && self.election_min < self.election_max
            && self.election_max <= LONGEST
    }

    /// For how long a stream of appends may leave a request unanswered.
    pub(super) fn append_limit(&self) -> Duration {
        (self.election_max * 2).max(Duration::from_secs(2))
    }
}

/// How much is kept and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// A snapshot is made after so many commands ...
    pub(crate) snapshot_every: u64,
    /// ... or so many bytes of log, whichever comes first.
    pub(crate) snapshot_bytes: usize,
    /// At most so many entries are kept behind a snapshot, for members that lag ...
    pub(crate) keep_entries: u64,
    /// ... and at most so many bytes.
    pub(crate) keep_bytes: usize,
    /// One append carries so many bytes of entries, or a single entry.
    pub(crate) page_bytes: usize,
    /// So many appends are under way to a member.
    pub(crate) appends_in_flight: usize,
    /// A transfer of a snapshot ends when nothing has moved for so long.
    pub(crate) snapshot_progress: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            snapshot_every: 20_000,
            snapshot_bytes: 64 << 20,
            keep_entries: 2_000,
            keep_bytes: 16 << 20,
            page_bytes: 1 << 20,
            appends_in_flight: 64,
            snapshot_progress: Duration::from_secs(10),
        }
    }
}

/// Openraft's way to say the same.
pub(super) fn config(timing: &Timing, limits: &Limits) -> Config {
    let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    // What it refuses to start with is put right instead: the time-outs must grow in this order.
    let election_min = ms(timing.election_min).max(ms(timing.heartbeat).saturating_add(1));
    // Openraft looks at its clocks 13 times in 64 of these. It need not do so for heartbeats, which
    // `supervise.rs` sends, only to see that an election is due.
    let heartbeat = (election_min * 3 / 4).max(1);
    let election_max = ms(timing.election_max).max(election_min.saturating_add(1));
    Config {
        cluster_name: "mosaik".into(),
        heartbeat_interval: heartbeat,
        enable_heartbeat: false,
        election_timeout_min: election_min,
        election_timeout_max: election_max,
        enable_pre_vote: Some(true),
        quorum_loss_probe_interval: Some(election_max.saturating_mul(3)),
        max_payload_entries: 1024,
        replication_lag_threshold: 16,
        // We say when, see `machine.rs`: openraft counts entries, not commands or bytes.
        snapshot_policy: SnapshotPolicy::Never,
        // Statistics that nobody asks for; by default six times 24 KiB a group.
        log_stage_capacity: Some(16),
        max_in_snapshot_log_to_keep: limits.keep_entries,
        install_snapshot_timeout: ms(limits.snapshot_progress),
        // The log is in memory, so that a member never comes back with the id it had.
        enable_leader_restore: Some(false),
        // It would be noticed here before anything comes of it.
        #[cfg(any(test, feature = "faults"))]
        allow_log_reversion: crate::faults::is_present(crate::faults::Fault::AcknowledgesEarly)
            .then_some(true),
        ..Config::default()
    }
}
