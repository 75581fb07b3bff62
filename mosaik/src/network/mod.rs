//! The entry point: a node's place in a network, from which everything else is reached.

mod admission;
mod builder;
mod config;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod identity;
mod local;
mod simulated;
mod topology;

use std::fmt;

#[cfg(feature = "main")]
pub(crate) use self::identity::read_key;
pub(crate) use self::simulated::Simulated;
pub use self::{
    builder::NetworkBuilder,
    config::NetworkConfig,
    error::{Error, NetworkError},
    local::LocalNode,
    topology::{Flow, NodeRoles, Topology},
};
pub use crate::transport::{BindError, CloseReason, Config as TransportConfig};

use crate::{discovery::Discovery, groups::Groups, id::NetworkId, streams::Streams, tasks::Tasks};

/// A node's membership in one network.
///
/// Nodes that are built with the same name find each other: on one machine at once and without any
/// configuration, elsewhere through a bootstrap node. A node that takes part in several networks
/// has one `Network`, and one socket, for each.
///
/// Dropping it ends everything that was created from it, and tells the other nodes;
/// [`Network::shutdown`] does the same and waits until that is done.
///
/// ```
/// # async fn example() -> Result<(), mosaik::network::Error> {
/// use mosaik::Network;
///
/// let network = Network::builder("my-app").offline().build().await?;
/// println!("I am {}", network.local().id());
/// network.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct Network {
    local: LocalNode,
    discovery: Discovery,
    streams: Streams,
    groups: Groups,
    /// All of the node's tasks; the goodbye task cancels them when it is done.
    tasks: Tasks,
    /// Cancelled to begin the goodbye.
    leaving: Tasks,
    sim: Option<Simulated>,
    #[cfg(feature = "prometheus")]
    prometheus_addr: Option<std::net::SocketAddr>,
}

impl Network {
    /// A node of the network `id`, with the defaults of [`NetworkBuilder`].
    ///
    /// Returns when its socket is bound and other nodes can reach it; it never waits for the
    /// internet.
    ///
    /// # Errors
    /// As [`NetworkBuilder::build`].
    pub async fn new(id: impl Into<NetworkId>) -> Result<Self, Error> {
        NetworkBuilder::default().with_network_id(id).build().await
    }

    /// Builds a node of the network `id`, option by option.
    pub fn builder(id: impl Into<NetworkId>) -> NetworkBuilder {
        NetworkBuilder::default().with_network_id(id)
    }

    /// The network's id: `blake3` of its name, and of its secret if it has one.
    #[must_use]
    pub fn network_id(&self) -> &NetworkId {
        self.local.network_id()
    }

    /// This node: its id, addresses and key.
    #[must_use]
    pub fn local(&self) -> &LocalNode {
        &self.local
    }

    /// Waits until the node is bound and serves, which it does from the start.
    pub async fn online(&self) {}

    /// Who else is there.
    #[must_use]
    pub fn discovery(&self) -> &Discovery {
        &self.discovery
    }

    /// Typed streams to and from other nodes.
    #[must_use]
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// Consensus groups: replicated state machines.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Where metrics are served, if [`NetworkBuilder::with_prometheus_addr`] asked for that; with the
    /// port that was chosen if that was 0.
    #[cfg(feature = "prometheus")]
    #[must_use]
    pub fn prometheus_addr(&self) -> Option<std::net::SocketAddr> {
        self.prometheus_addr
    }

    /// Leaves the network: ends everything that was created from this node, tells the other nodes,
    /// and returns when no task of it is left. Takes a few milliseconds, and about a second at most.
    ///
    /// Cancel safe: if dropped, the goodbye goes on without being waited for.
    pub async fn shutdown(self) {
        self.leave().await;
    }

    /// Waits until the node has stopped: `Ok` when it was shut down or dropped. The future may
    /// outlive the network. Cancel safe.
    ///
    /// # Errors
    /// [`Error::Superseded`] if it has stopped by itself, because another node with the same key has
    /// started later. Everything that was created from the network has ended then.
    pub fn closed(&self) -> impl Future<Output = Result<(), Error>> + Send + 'static + use<> {
        let tasks = self.tasks.clone();
        let superseded = self.discovery.superseded().clone();
        async move {
            tasks.token().cancelled().await;
            tasks.ended().await;
            if superseded.is_cancelled() { Err(Error::Superseded) } else { Ok(()) }
        }
    }

    /// What [`Network::shutdown`] does, for whoever does not own the node; it begins when the
    /// future is first polled.
    pub(crate) fn leave(&self) -> impl Future<Output = ()> + use<> {
        let (leaving, tasks) = (self.leaving.clone(), self.tasks.clone());
        async move {
            leaving.cancel();
            tasks.ended().await;
        }
    }

    /// Ends all tasks at once: nobody is told.
    pub(crate) fn die(&self) {
        self.tasks.cancel();
    }

    /// Waits until no task is left.
    pub(crate) async fn ended(&self) {
        self.tasks.ended().await;
    }

    #[cfg(test)]
    pub(crate) fn sim(&self) -> Option<&crate::transport::sim::SimNet> {
        self.sim.as_ref().map(Simulated::net)
    }

    pub(crate) fn simulated(&self) -> Option<&Simulated> {
        self.sim.as_ref()
    }

    /// How many tasks the node runs.
    #[doc(hidden)]
    #[must_use]
    pub fn running_tasks(&self) -> usize {
        self.tasks.running()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.leaving.cancel();
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("local", &self.local).finish_non_exhaustive()
    }
}
