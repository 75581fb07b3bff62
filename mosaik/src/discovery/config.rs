//! How discovery behaves, and where it begins.

use std::{path::PathBuf, time::Duration};

use iroh::EndpointAddr;
use serde::{Deserialize, Serialize};

use super::bootstrap::{Bootstrap, BootstrapHost};
use crate::{
    id::{PeerId, Tag},
    many::IntoIterOrSingle,
    ticket::Ticket,
};

/// The longest span that can be asked for: a year.
const SPAN_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The longest backlog of events; room for it is taken at once.
const BACKLOG_MAX: usize = 1 << 20;

/// How discovery behaves, and where it begins. Made by [`Config::builder`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Config {
    /// How many events a slow listener may fall behind before it loses the oldest. Default 100.
    pub events_backlog: usize,
    /// Nodes to begin with, at given addresses. Default none.
    pub bootstrap_peers: Vec<EndpointAddr>,
    /// Nodes to begin with, at hosts whose names are resolved at every attempt. Default none.
    pub bootstrap_hosts: Vec<BootstrapHost>,
    /// The tags that this node starts with. Default none.
    pub tags: Vec<Tag>,
    /// The tickets that this node starts with. Default none.
    pub tickets: Vec<Ticket>,
    /// A peer that gives no sign of life for so long is dropped. Default 5 minutes.
    pub purge_after: Duration,
    /// How far a peer's clock may be ahead of ours before what it dates is refused. Default 50 s.
    pub max_time_drift: Duration,
    /// How often this node tells that it is alive. Default 45 s.
    pub announce_interval: Duration,
    /// The part of `announce_interval` by which each interval varies at random, from 0 to 1.
    /// Default 0.5.
    pub announce_jitter: f32,
    /// How long a departing node waits until its goodbye has been heard. Default 500 ms.
    pub graceful_departure_window: Duration,
    /// Whether nodes of this user on this machine find each other through a directory. Default
    /// true.
    pub local: bool,
    /// That directory. Default: `mosaik` in the user's runtime directory, or else `mosaik-<uid>`
    /// in the temporary one. Others must not be able to write to it.
    pub local_directory: Option<PathBuf>,
    /// Whether nodes on the same LAN find each other by multicast DNS. Default true. Nothing is
    /// sent by a node that listens on loopback only, nor without the feature `mdns`.
    pub mdns: bool,
    /// How often the round-trip time is measured to peers that something on this node could use;
    /// each interval varies by half. Default 30 s.
    pub rtt_probe_interval: Duration,
    /// Peers that are further away than this are not shown by [`Catalog::peers`] and not consumed
    /// from. Default none.
    ///
    /// [`Catalog::peers`]: super::Catalog::peers
    pub max_rtt: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            events_backlog: 100,
            bootstrap_peers: Vec::new(),
            bootstrap_hosts: Vec::new(),
            tags: Vec::new(),
            tickets: Vec::new(),
            purge_after: Duration::from_secs(300),
            max_time_drift: Duration::from_secs(50),
            announce_interval: Duration::from_secs(45),
            announce_jitter: 0.5,
            graceful_departure_window: Duration::from_millis(500),
            local: true,
            local_directory: None,
            mdns: true,
            rtt_probe_interval: Duration::from_secs(30),
            max_rtt: None,
        }
    }
}

impl Config {
    /// Starts from the defaults.
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder::default()
    }

    /// The ids of all nodes to begin with.
    pub fn bootstrap_peers_ids(&self) -> Vec<PeerId> {
        let addresses = self.bootstrap_peers.iter().map(|address| address.id);
        addresses.chain(self.bootstrap_hosts.iter().map(|host| host.id)).collect()
    }
}

/// Changes the defaults of a [`Config`].
///
/// ```
/// use std::time::Duration;
/// use mosaik::discovery::Config;
///
/// let config = Config::builder()
///     .with_tags(["sensor", "roof"])
///     .with_purge_after(Duration::from_secs(120))
///     .build()
///     .unwrap();
/// assert_eq!(config.tags.len(), 2);
/// ```
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
    /// Sets how many events a slow listener may fall behind.
    pub fn with_events_backlog(mut self, events: usize) -> Self {
        self.0.events_backlog = events;
        self
    }

    /// Adds nodes to begin with: addresses, ids, [`NodeTicket`](super::NodeTicket)s or
    /// [`Bootstrap`]s parsed from text.
    pub fn with_bootstrap<V>(mut self, nodes: impl IntoIterOrSingle<Bootstrap, V>) -> Self {
        for node in nodes.into_many() {
            match node {
                Bootstrap::Address(address) => self.0.bootstrap_peers.push(address),
                Bootstrap::Host(host) => self.0.bootstrap_hosts.push(host),
            }
        }
        self
    }

    /// Adds tags that this node starts with.
    pub fn with_tags<V>(mut self, tags: impl IntoIterOrSingle<Tag, V>) -> Self {
        self.0.tags.extend(tags.into_many());
        self
    }

    /// Adds tickets that this node starts with. Where other nodes
    /// [require](crate::network::NetworkBuilder::require_ticket) one of everybody, it has to be
    /// there from the start.
    pub fn with_tickets<V>(mut self, tickets: impl IntoIterOrSingle<Ticket, V>) -> Self {
        self.0.tickets.extend(tickets.into_many());
        self
    }

    /// Sets after how long a silence a peer is dropped.
    pub fn with_purge_after(mut self, silence: Duration) -> Self {
        self.0.purge_after = silence;
        self
    }

    /// Sets how far a peer's clock may be ahead of ours.
    pub fn with_max_time_drift(mut self, drift: Duration) -> Self {
        self.0.max_time_drift = drift;
        self
    }

    /// Sets how often this node tells that it is alive.
    pub fn with_announce_interval(mut self, interval: Duration) -> Self {
        self.0.announce_interval = interval;
        self
    }

    /// Sets the part of the interval by which it varies at random: each is uniform in
    /// `interval * (1 - jitter ..= 1 + jitter)`.
    pub fn with_announce_jitter(mut self, jitter: f32) -> Self {
        self.0.announce_jitter = jitter;
        self
    }

    /// Sets whether nodes of this user on this machine find each other.
    pub fn with_local(mut self, local: bool) -> Self {
        self.0.local = local;
        self
    }

    /// Sets the directory through which nodes of this user find each other. It is created if it
    /// does not exist, and not used unless it belongs to this user alone.
    pub fn with_local_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.0.local_directory = Some(directory.into());
        self
    }

    /// Sets whether nodes on the same LAN find each other by multicast DNS.
    pub fn with_mdns(mut self, mdns: bool) -> Self {
        self.0.mdns = mdns;
        self
    }

    /// Sets how often round-trip times are measured.
    pub fn with_rtt_probe_interval(mut self, interval: Duration) -> Self {
        self.0.rtt_probe_interval = interval;
        self
    }

    /// Sets how far away peers may be that are used.
    pub fn with_max_rtt(mut self, rtt: Duration) -> Self {
        self.0.max_rtt = Some(rtt);
        self
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// [`ConfigBuilderError::ValidationError`] if a value is outside its range.
    pub fn build(self) -> Result<Config, ConfigBuilderError> {
        let config = self.0;
        let longest = config.announce_interval.as_secs_f64();
        let longest = longest * (1.0 + f64::from(config.announce_jitter));
        let checks = [
            (config.events_backlog > 0, "events_backlog must be at least 1"),
            (config.events_backlog <= BACKLOG_MAX, "events_backlog must be at most 1,048,576"),
            (config.purge_after <= SPAN_MAX, "purge_after must be at most 365 days"),
            (config.max_time_drift <= SPAN_MAX, "max_time_drift must be at most 365 days"),
            (
                config.graceful_departure_window <= SPAN_MAX,
                "graceful_departure_window must be at most 365 days",
            ),
            (
                !config.rtt_probe_interval.is_zero() && config.rtt_probe_interval <= SPAN_MAX,
                "rtt_probe_interval must be longer than zero and at most 365 days",
            ),
            (config.max_rtt != Some(Duration::ZERO), "max_rtt must be longer than zero"),
            (!config.purge_after.is_zero(), "purge_after must be longer than zero"),
            (!config.announce_interval.is_zero(), "announce_interval must be longer than zero"),
            (
                (0.0..=1.0).contains(&config.announce_jitter),
                "announce_jitter must be between 0 and 1",
            ),
            (
                longest < config.purge_after.as_secs_f64(),
                "announce_interval with announce_jitter must be shorter than purge_after: peers \
                 would drop this node between its signs of life",
            ),
        ];
        match checks.into_iter().find(|(holds, _)| !holds) {
            Some((_, text)) => Err(ConfigBuilderError::ValidationError(text.into())),
            None => Ok(config),
        }
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn the_defaults_are_valid_and_serialise() {
        let config = Config::builder().build().unwrap();
        assert_eq!(config, Config::default());
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), config);
    }

    #[test]
    fn bootstrap_nodes_of_all_kinds_add_up() {
        let id = |seed| SecretKey::from_bytes(&[seed; 32]).public();
        let host: Bootstrap = format!("{}@localhost:1", id(3)).parse().unwrap();
        let config = Config::builder()
            .with_bootstrap(id(1))
            .with_bootstrap(EndpointAddr::new(id(2)))
            .with_bootstrap([host])
            .with_bootstrap(vec![id(4), id(5)])
            .build()
            .unwrap();
        assert_eq!(config.bootstrap_peers_ids(), [1, 2, 4, 5, 3].map(id));
    }

    #[test]
    fn values_outside_their_range_are_refused() {
        let refused = [
            Config::builder().with_events_backlog(0),
            Config::builder().with_purge_after(Duration::ZERO),
            Config::builder().with_announce_interval(Duration::ZERO),
            Config::builder().with_events_backlog(usize::MAX),
            Config::builder().with_purge_after(Duration::MAX),
            Config::builder().with_max_time_drift(Duration::MAX),
            Config::builder().with_announce_interval(Duration::MAX),
            Config::builder().with_announce_interval(Duration::from_secs(300)),
            // It varies by half.
            Config::builder().with_announce_interval(Duration::from_secs(200)),
            Config::builder().with_rtt_probe_interval(Duration::ZERO),
            Config::builder().with_max_rtt(Duration::ZERO),
            Config::builder().with_announce_jitter(1.5),
            Config::builder().with_announce_jitter(f32::NAN),
        ];
        for builder in refused {
            let Err(ConfigBuilderError::ValidationError(text)) = builder.build() else {
                panic!("it is accepted")
            };
            assert!(!text.contains("  "), "{text}");
        }
        let regular = Config::builder().with_announce_jitter(0.0);
        assert!(regular.with_announce_interval(Duration::from_secs(200)).build().is_ok());
    }
}
