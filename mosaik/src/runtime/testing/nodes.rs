//! The nodes that a test is given.

use std::{net::Ipv4Addr, vec};

use futures::future::{join_all, try_join_all};

use super::simulation::Simulation;
use crate::{Network, clock::ClockScope, discovery, id::NetworkId, network::NetworkBuilder};

/// The nodes that have not been handed to a parameter yet; all know each other.
#[derive(Debug)]
pub struct Nodes {
    nodes: vec::IntoIter<Network>,
    /// In a simulation, the test's own thread goes by its date.
    _date: Option<ClockScope>,
}

impl Nodes {
    /// Nodes with sockets on loopback, in a network of their own.
    pub(super) async fn on_loopback(count: usize) -> Self {
        let id = NetworkId::random();
        let discovery = discovery::Config::builder().with_local(false).with_mdns(false);
        let builder = Network::builder(id)
            .offline()
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .with_discovery(discovery);
        Self::start(vec![builder; count]).await
    }

    /// Nodes on a simulated transport.
    pub(super) async fn simulated(count: usize, seed: u64) -> Self {
        let simulation = Simulation::new(seed);
        let date = simulation.set_date();
        let nodes = Self::start(vec![simulation.builder(); count]).await;
        Self { _date: Some(date), ..nodes }
    }

    async fn start(builders: Vec<NetworkBuilder>) -> Self {
        Self { nodes: connected(builders).await.into_iter(), _date: None }
    }

    /// The nodes of the next parameter.
    pub fn take<P: FromNodes>(&mut self) -> P {
        P::from_nodes(self)
    }

    fn next(&mut self) -> Network {
        self.nodes.next().expect("a scenario counts the nodes of all parameters")
    }
}

/// Starts the nodes and waits until each knows all others.
pub(super) async fn connected(builders: Vec<NetworkBuilder>) -> Vec<Network> {
    let nodes = try_join_all(builders.into_iter().map(NetworkBuilder::build))
        .await
        .unwrap_or_else(|error| panic!("a node of the test could not be started: {error}"));
    if let Some((first, others)) = nodes.split_first() {
        let meeting = first.local().addr();
        join_all(others.iter().map(|node| node.discovery().dial(meeting.clone()))).await;
    }
    let expected = nodes.len().saturating_sub(1);
    join_all(nodes.iter().map(|node| async move {
        // The watch ends with its node only, and that is held here.
        let mut catalog = node.discovery().catalog_watch();
        let _ = catalog.wait_for(|catalog| catalog.peers_count() >= expected).await;
    }))
    .await;
    nodes
}

/// What the parameter of a network test may be: chosen by type, so that aliases work.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the parameter of a `#[mosaik::network_test]`",
    label = "expected `Network` or `[Network; N]`",
    note = "write `async fn name(nodes: [Network; 3])` for three connected nodes, or `async fn name(network: Network)` for one"
)]
pub trait FromNodes: Sized {
    /// How many nodes it holds.
    const COUNT: usize;

    /// Takes as many nodes as it holds.
    fn from_nodes(nodes: &mut Nodes) -> Self;
}

impl FromNodes for Network {
    const COUNT: usize = 1;

    fn from_nodes(nodes: &mut Nodes) -> Self {
        nodes.next()
    }
}

impl<const N: usize> FromNodes for [Network; N] {
    const COUNT: usize = N;

    fn from_nodes(nodes: &mut Nodes) -> Self {
        std::array::from_fn(|_| nodes.next())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::{
        id::PeerId,
        runtime::testing::{Scenario, run},
    };

    /// Which network the nodes of a run are in, and who they are.
    fn identities(seed: u64) -> Vec<(NetworkId, PeerId)> {
        let identities = Mutex::default();
        let written: &Mutex<Vec<_>> = &identities;
        run(Scenario::new().simulated(seed, 1).nodes::<[Network; 6]>(), |nodes| {
            let nodes: [Network; 6] = nodes.take();
            async move {
                let of = |node: &Network| (*node.network_id(), node.local().id());
                written.lock().unwrap().extend(nodes.iter().map(of));
            }
        });
        identities.into_inner().unwrap()
    }

    #[test]
    fn a_seed_fixes_the_network_and_its_nodes() {
        let first = identities(5);
        assert_eq!(first.len(), 6);
        assert_eq!(first, identities(5));
        assert_ne!(first[0], identities(6)[0]);
    }
}
