//! Building a node.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use iroh::{RelayMode, SecretKey};
use tokio::time::timeout;

use super::{
    Network,
    admission::{Gate, TicketGate, watch_gate},
    config::NetworkConfig,
    error::Error,
    identity::DataDir,
    local::LocalNode,
    simulated::Simulated,
};
#[cfg(feature = "prometheus")]
use crate::telemetry::Exporter;
use crate::{
    clock::Clock,
    discovery::{self, Discovery, DiscoveryParts},
    groups::{self, Groups, GroupsParts},
    id::{NetworkId, PeerId},
    random::Random,
    streams::{self, Streams, StreamsParts},
    tasks::Tasks,
    telemetry::Sampler,
    tickets::TicketValidator,
    transport::{self, CloseReason, Options, Parts, Transport, sim::SimNet},
};

/// Gathers what a [`Network`] is built with; see its methods for the defaults.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct NetworkBuilder {
    config: NetworkConfig,
    secret: Option<Vec<u8>>,
    sim: Option<Simulated>,
}

impl NetworkBuilder {
    /// The network to take part in: a name, or an id. Must be set.
    pub fn with_network_id(mut self, id: impl Into<NetworkId>) -> Self {
        self.config.network_id = Some(id.into());
        self
    }

    /// A secret that all nodes of the network share: the name alone lets nobody in then.
    ///
    /// The network's id becomes `blake3(id ‖ secret)`. Without a secret, whoever guesses the name
    /// can take part.
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secret = Some(secret.as_ref().to_vec());
        self
    }

    /// Nothing that needs the internet: no relays, no address services. Nodes on one machine or
    /// one LAN find each other all the same. Default: off.
    pub fn offline(mut self) -> Self {
        self.config.offline = true;
        self
    }

    /// Relays for nodes that cannot reach each other directly. Default: those of iroh.
    pub fn with_relay_mode(mut self, mode: RelayMode) -> Self {
        self.config.relay_mode = mode;
        self
    }

    /// Where to listen. Default: all interfaces, a random port.
    pub fn with_addresses(mut self, addresses: impl Into<BTreeSet<SocketAddr>>) -> Self {
        self.config.addresses = addresses.into();
        self
    }

    /// Listens at `address`, too; port 0 means a random one.
    pub fn bind(mut self, address: SocketAddr) -> Self {
        self.config.addresses.insert(address);
        self
    }

    /// An address at which others reach this node, beside those that it finds itself: for port
    /// forwards and containers.
    pub fn advertise(mut self, address: SocketAddr) -> Self {
        self.config.advertise.insert(address);
        self
    }

    /// The node's key, and so its id. Default: the one in [`NetworkBuilder::data_dir`], else a
    /// random one for this run.
    pub fn with_secret_key(mut self, key: impl Into<SecretKey>) -> Self {
        self.config.secret_key = Some(key.into());
        self
    }

    /// Where the node keeps what outlives it: its key, with mode 0600, and when it last started. The directory is created if
    /// it is missing, and belongs to one running node at a time.
    pub fn data_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.config.data_dir = Some(path.into());
        self
    }

    /// Deals only with nodes one of whose tickets this validator passes; several must all be
    /// passed. Others are refused when they connect, disconnected when their tickets expire or are
    /// removed, and what they announce is not used. All nodes of a network should require the same.
    ///
    /// A node that has to show a ticket starts with it: see
    /// [`with_tickets`](crate::discovery::ConfigBuilder::with_tickets).
    pub fn require_ticket(mut self, validator: impl TicketValidator) -> Self {
        self.config.ticket_validators.push(Arc::new(validator));
        self
    }

    /// How other nodes are found.
    pub fn with_discovery(mut self, discovery: discovery::ConfigBuilder) -> Self {
        self.config.discovery = discovery;
        self
    }

    /// How streams behave unless a builder says otherwise.
    pub fn with_streams(mut self, streams: streams::ConfigBuilder) -> Self {
        self.config.streams = streams;
        self
    }

    /// How groups behave.
    pub fn with_groups(mut self, groups: groups::ConfigBuilder) -> Self {
        self.config.groups = groups;
        self
    }

    /// Times and limits of connections.
    pub fn with_transport(mut self, transport: transport::Config) -> Self {
        self.config.transport = transport;
        self
    }

    /// Serves metrics for Prometheus at this address, by HTTP: `/metrics`, and beside it `/healthz`
    /// and `/readyz`. Default: nowhere.
    ///
    /// Networks of one process that are given the same address share it, and `/metrics` shows all
    /// networks of the process. Port 0 means a random one, see [`Network::prometheus_addr`]. There
    /// is no authentication: choose an address that only those reach who may know.
    ///
    /// ```
    /// # fn example() -> Result<(), std::net::AddrParseError> {
    /// # use mosaik::Network;
    /// let builder = Network::builder("my-app").with_prometheus_addr("127.0.0.1:9000".parse()?);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "prometheus")]
    pub fn with_prometheus_addr(mut self, address: SocketAddr) -> Self {
        self.config.prometheus_addr = Some(address);
        self
    }

    /// What has been gathered so far.
    #[must_use]
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Puts the node on a simulated network.
    pub(crate) fn simulated(self, net: &SimNet, date: Clock) -> Self {
        self.at(Simulated::new(net, date))
    }

    /// Gives the node its place in a simulation.
    pub(super) fn at(mut self, place: Simulated) -> Self {
        self.sim = Some(place);
        self
    }

    /// Adds nodes to begin with.
    pub(super) fn with_acquaintances(mut self, others: Vec<PeerId>) -> Self {
        self.config.discovery = self.config.discovery.with_bootstrap(others);
        self
    }

    /// Starts the node.
    ///
    /// Returns when its socket is bound and others can reach it, in a few milliseconds and without
    /// any internet; relays, address services and other nodes join in when they can.
    ///
    /// # Errors
    /// See [`Error`]: nothing was started then.
    pub async fn build(self) -> Result<Network, Error> {
        let again = self.sim.is_some().then(|| Self { sim: None, ..self.clone() });
        let Self { config, secret, sim } = self;
        let sim = sim.map(Simulated::taken);
        let name = config.network_id.ok_or(Error::MissingNetworkId)?;
        let network_id = secret.map_or(name, |secret| name.derive(secret));
        let mut discovery_config = config.discovery.clone().build()?;
        if sim.is_some() {
            keep_to_the_simulation(&mut discovery_config);
        }
        let streams_config = config.streams.clone().build()?;
        let groups_config = config.groups.clone().build()?;
        let data_dir = config.data_dir.as_deref().map(DataDir::open).transpose()?;
        let keys = sim.as_ref().map_or_else(Random::from_system, |sim| sim.net().keys().clone());
        let secret_key = secret_key(&config, data_dir.as_ref(), &keys)?;
        let random = match &sim {
            Some(sim) => sim.net().node_random(secret_key.public()),
            None => keys,
        };
        let clock = sim.as_ref().map_or_else(Clock::system, Simulated::clock);
        let (tasks, leaving) = (Tasks::new(), Tasks::new());
        #[cfg(feature = "prometheus")]
        let exporter = exporter(&config, &network_id, &leaving)?;
        let (mut sampler, telemetry) = Sampler::new(&network_id);
        let now = u64::try_from(clock.now().timestamp_micros()).unwrap_or(0);
        let parts = Parts {
            network: network_id,
            secret_key: secret_key.clone(),
            start: data_dir.as_ref().map_or(Ok(now), |data_dir| data_dir.start(now))?,
            config: config.transport.clone(),
            clock: clock.clone(),
            random: random.clone(),
            tasks: tasks.clone(),
        };
        let transport = match &sim {
            Some(sim) => Transport::simulated(parts, sim.net()),
            None => Transport::bind(parts, options(&config, &secret_key)).await?,
        };
        let discovery = Discovery::start(DiscoveryParts {
            network_id,
            secret_key: secret_key.clone(),
            transport: transport.clone(),
            clock: clock.clone(),
            random: random.clone(),
            tasks: tasks.clone(),
            config: discovery_config,
            gate: TicketGate::of(&config.ticket_validators),
        });
        let discovery = match discovery {
            Ok(discovery) => discovery,
            Err(error) => {
                transport.close().await;
                tasks.cancel();
                return Err(error.into());
            }
        };
        transport.set_admission(Arc::new(Gate(discovery.hello())));
        let upper_tasks = tasks.child();
        let streams = Streams::start(StreamsParts {
            transport: transport.clone(),
            discovery: discovery.clone(),
            tasks: upper_tasks.clone(),
            random: random.clone(),
            config: streams_config,
            local: secret_key.public(),
            network_id,
            telemetry: telemetry.clone(),
        });
        let groups = Groups::start(GroupsParts {
            transport: transport.clone(),
            discovery: discovery.clone(),
            tasks: upper_tasks.clone(),
            clock,
            random: random.clone(),
            config: groups_config,
            local: secret_key.public(),
            network_id,
            telemetry,
        });
        if !config.ticket_validators.is_empty() {
            watch_gate(&tasks, &discovery, &transport);
        }
        transport.listen();
        discovery.look_for_peers(&random);
        let upper = Upper { tasks: upper_tasks, groups: groups.clone() };
        say_goodbye(&tasks, &leaving, upper, discovery.clone(), transport.clone(), data_dir);
        if sim.is_none() {
            sampler.add(transport.meter());
            sampler.add(discovery.meter());
            tasks.spawn("telemetry.sampler", sampler.run());
        }
        #[cfg(feature = "prometheus")]
        let prometheus_addr = exporter.map(|exporter| exporter.serve(&tasks));
        let again = again.map(|builder| builder.with_secret_key(secret_key.clone()));
        let sim = sim.zip(again).map(|(sim, builder)| sim.built_by(builder));
        let local = LocalNode::new(network_id, secret_key, transport);
        tracing::info!(node = %local.id().fmt_short(), "the node is up");
        Ok(Network {
            local,
            discovery,
            streams,
            groups,
            tasks,
            leaving,
            sim,
            #[cfg(feature = "prometheus")]
            prometheus_addr,
        })
    }
}

/// Takes the address for metrics, if there is to be one.
#[cfg(feature = "prometheus")]
fn exporter(
    config: &NetworkConfig,
    network_id: &NetworkId,
    leaving: &Tasks,
) -> Result<Option<Exporter>, Error> {
    let open = |address| {
        Exporter::open(address, network_id, leaving.token().clone()).map_err(|error| {
            Error::Prometheus(format!("{address}: {error}; choose a free address"))
        })
    };
    config.prometheus_addr.map(open).transpose()
}

/// What stands above discovery, and ends before it.
struct Upper {
    tasks: Tasks,
    groups: Groups,
}

impl Upper {
    /// Groups are left in good order; then all ends.
    async fn depart(self, window: Duration) {
        if timeout(window, self.groups.depart()).await.is_err() {
            tracing::debug!("leaving the groups took too long");
        }
        self.tasks.cancel();
    }
}

/// Spawns the task that ends the node once it is told to leave: groups and streams first, then the
/// other nodes are told, then the connections are closed.
fn say_goodbye(
    tasks: &Tasks,
    leaving: &Tasks,
    upper: Upper,
    discovery: Discovery,
    transport: Transport,
    data_dir: Option<DataDir>,
) {
    let (all, leaving) = (tasks.clone(), leaving.token().clone());
    tasks.spawn_uncancelled("network.goodbye", async move {
        let data_dir = data_dir.map(Arc::new);
        tokio::select! {
            // Cancelled without having been told to leave, it has crashed.
            () = all.token().cancelled() => return,
            () = leaving.cancelled() => {
                upper.depart(discovery.departure_window()).await;
                discovery.depart().await;
            }
            () = discovery.superseded().cancelled() => {
                // Not a word to anybody: another one speaks under this id.
                upper.tasks.cancel();
                transport.close_links(CloseReason::Superseded);
            }
            () = keep_starts(&all, &transport, data_dir.as_ref()) => {}
        }
        transport.close().await;
        all.cancel();
        // The directory is free for the next run once nothing of this one is left to say.
        drop(data_dir);
    });
}

/// Writes down every further start that the node takes; never ends.
async fn keep_starts(tasks: &Tasks, transport: &Transport, data_dir: Option<&Arc<DataDir>>) {
    let mut starts = transport.starts();
    if let Some(data_dir) = data_dir {
        while starts.changed().await.is_ok() {
            let (start, data_dir) = (*starts.borrow_and_update(), data_dir.clone());
            let kept = tasks.blocking("network.start", move || data_dir.keep_start(start)).await;
            if let Some(Err(error)) = kept {
                tracing::warn!(%error, "the node's start is not kept");
            }
        }
    }
    std::future::pending().await
}

/// Nothing of the machine may show in a simulation: no directory, no multicast, no names that are
/// resolved.
fn keep_to_the_simulation(discovery: &mut discovery::Config) {
    discovery.local = false;
    discovery.mdns = false;
    discovery.bootstrap_hosts.clear();
}

fn secret_key(
    config: &NetworkConfig,
    data_dir: Option<&DataDir>,
    random: &Random,
) -> Result<SecretKey, Error> {
    let make = || SecretKey::from_bytes(&random.bytes());
    match (&config.secret_key, data_dir) {
        (Some(key), _) => Ok(key.clone()),
        (None, Some(data_dir)) => data_dir.key(make),
        (None, None) => Ok(make()),
    }
}

fn options(config: &NetworkConfig, secret_key: &SecretKey) -> Options {
    let relays = !config.offline;
    Options {
        secret_key: secret_key.clone(),
        bind: config.addresses.clone(),
        advertise: config.advertise.clone(),
        relays: relays.then(|| config.relay_mode.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::sim::SimConfig;

    #[tokio::test(start_paused = true)]
    async fn a_simulated_node_leaves_the_machine_alone() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("local");
        let id = |seed| SecretKey::from_bytes(&[seed; 32]).public();
        let host: discovery::Bootstrap = format!("{}@localhost:1", id(1)).parse().unwrap();
        let config = discovery::Config::builder()
            .with_local_directory(&directory)
            .with_bootstrap(host)
            .with_bootstrap(id(2));
        let net = SimNet::new(1, SimConfig::default());
        let _node = Network::builder("simulated")
            .with_discovery(config.clone())
            .simulated(&net, Clock::system())
            .build()
            .await
            .unwrap();
        assert!(!directory.exists());
        let mut config = config.build().unwrap();
        keep_to_the_simulation(&mut config);
        assert_eq!(config.bootstrap_peers_ids(), [id(2)]);
    }
}
