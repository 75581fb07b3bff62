//! The nodes that a test is given.

use std::{net::Ipv4Addr, vec};

use chrono::{DateTime, TimeDelta};
use futures::future::{join_all, try_join_all};

use crate::{
    Network,
    clock::Clock,
    discovery,
    id::NetworkId,
    network::NetworkBuilder,
    transport::sim::{SimConfig, SimNet},
};

/// The date at which simulations begin, in days since 1970: 1 January 2026.
const FIRST_DAY: i64 = 20_454;

/// The nodes that have not been handed to a parameter yet; all know each other.
#[derive(Debug)]
pub struct Nodes(vec::IntoIter<Network>);

impl Nodes {
    /// Nodes with sockets on loopback, in a network of their own.
    pub(super) async fn on_loopback(count: usize) -> Self {
        let id = NetworkId::random();
        let discovery = discovery::Config::builder().with_local(false);
        let builder = Network::builder(id)
            .offline()
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .with_discovery(discovery);
        Self::start(vec![builder; count]).await
    }

    /// Nodes on a simulated transport.
    pub(super) async fn simulated(count: usize, seed: u64) -> Self {
        let net = SimNet::new(seed, SimConfig::default());
        let clock = Clock::starting_at(DateTime::UNIX_EPOCH + TimeDelta::days(FIRST_DAY));
        // By the seed alone: the id goes into every hash and signature of the run.
        let id = NetworkId::from(format!("simulated {seed}").as_str());
        let builder = Network::builder(id).simulated(&net, clock);
        Self::start(vec![builder; count]).await
    }

    /// Starts the nodes and waits until each knows all others.
    async fn start(builders: Vec<NetworkBuilder>) -> Self {
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
        Self(nodes.into_iter())
    }

    /// The nodes of the next parameter.
    pub fn take<P: FromNodes>(&mut self) -> P {
        P::from_nodes(self)
    }

    fn next(&mut self) -> Network {
        self.0.next().expect("a scenario counts the nodes of all parameters")
    }
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
    use std::{sync::Mutex, time::Duration};

    use super::*;
    use crate::{
        discovery::Catalog,
        id::PeerId,
        runtime::testing::{Scenario, run},
    };

    /// Who the nodes are, and by the simulated date when all had met and when an edit of the
    /// first was known to each.
    fn history(seed: u64) -> Vec<(NetworkId, PeerId, Vec<DateTime<chrono::Utc>>)> {
        let history = Mutex::default();
        let written: &Mutex<Vec<_>> = &history;
        run(Scenario::new().simulated(seed, 1).nodes::<[Network; 6]>(), |nodes| {
            let nodes: [Network; 6] = nodes.take();
            async move {
                let id = nodes[0].local().id();
                for round in 0..3 {
                    nodes[round].discovery().add_tags(round.to_string().as_str());
                    let tagged = nodes[round].local().id();
                    for node in &nodes {
                        let is_told = |catalog: &Catalog| {
                            catalog.get(&tagged).is_some_and(|entry| !entry.tags().is_empty())
                        };
                        let mut catalog = node.discovery().catalog_watch();
                        catalog.wait_for(is_told).await.unwrap();
                        // A fresh date in each node's own entry.
                        node.discovery().add_tags(format!("{id} {round}").as_str());
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                written.lock().unwrap().extend(nodes.iter().map(|node| {
                    let catalog = node.discovery().catalog();
                    let dates = catalog.iter().map(|entry| entry.updated_at()).collect();
                    (*node.network_id(), node.local().id(), dates)
                }));
            }
        });
        history.into_inner().unwrap()
    }

    #[test]
    fn a_simulated_run_is_a_function_of_its_seed() {
        let first = history(5);
        assert_eq!(first.len(), 6);
        assert_eq!(first, history(5));
        assert_ne!(first[0].0, history(6)[0].0);
    }
}
