//! A node's configuration as plain data.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, sync::Arc};

use iroh::{RelayMode, SecretKey};

use crate::{discovery, groups, id::NetworkId, streams, tickets::TicketValidator, transport};

/// What a [`NetworkBuilder`](super::NetworkBuilder) has gathered: one field for each of its
/// setters.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// The network to take part in. None by default; must be set.
    pub network_id: Option<NetworkId>,
    /// Relays for nodes that cannot reach each other directly. Default: those of iroh.
    pub relay_mode: RelayMode,
    /// No relays, no address services, nothing that needs the internet. Default false.
    pub offline: bool,
    /// Where to listen. Default: all interfaces, a random port.
    pub addresses: BTreeSet<SocketAddr>,
    /// Addresses at which others reach this node, beside those that it finds itself.
    pub advertise: BTreeSet<SocketAddr>,
    /// The node's key. Default: the one in `data_dir`, else a random one for this run.
    pub secret_key: Option<SecretKey>,
    /// Where the node keeps what outlives it. Default: nowhere.
    pub data_dir: Option<PathBuf>,
    /// What the tickets of every other node must pass: all of these. Default: none.
    pub ticket_validators: Vec<Arc<dyn TicketValidator>>,
    /// How other nodes are found.
    pub discovery: discovery::ConfigBuilder,
    /// How streams behave unless a builder says otherwise.
    pub streams: streams::ConfigBuilder,
    /// How groups behave.
    pub groups: groups::ConfigBuilder,
    /// Where metrics are served for Prometheus. None by default: nowhere.
    #[cfg(feature = "prometheus")]
    pub prometheus_addr: Option<SocketAddr>,
    /// Times and limits of connections.
    pub transport: transport::Config,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            network_id: None,
            relay_mode: RelayMode::Default,
            offline: false,
            addresses: BTreeSet::new(),
            advertise: BTreeSet::new(),
            secret_key: None,
            data_dir: None,
            ticket_validators: Vec::new(),
            discovery: discovery::ConfigBuilder::default(),
            streams: streams::ConfigBuilder::default(),
            groups: groups::ConfigBuilder::default(),
            #[cfg(feature = "prometheus")]
            prometheus_addr: None,
            transport: transport::Config::default(),
        }
    }
}
