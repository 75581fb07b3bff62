//! What it costs many nodes to know each other.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mosaik::{
    Network,
    discovery::Config,
    futures::future::join_all,
    testing::{Simulation, simulate},
};
use tokio::time::sleep;

/// How long nodes that know each other are watched.
const STEADY: Duration = Duration::from_secs(60);
/// Virtual time that nodes may take to know each other.
const LIMIT: Duration = Duration::from_secs(600);
/// The nodes all others are told of: the first of them.
const ENTRANCES: usize = 2;

/// Starts so many nodes at once that are told of two of them, waits until each knows all others,
/// and prints what that took.
///
/// # Errors
/// When they do not within ten minutes of virtual time.
///
/// # Panics
/// When a node cannot be started.
pub fn converge(count: usize) -> Result<()> {
    converge_within(count, LIMIT)
}

fn converge_within(count: usize, limit: Duration) -> Result<()> {
    let begun = Instant::now();
    simulate(1, |simulation: Simulation| async move {
        let nodes = start(&simulation, count).await;
        let knows_all =
            |node: &Network| node.discovery().catalog().signed_peers_count() == count - 1;
        while !nodes.iter().all(knows_all) {
            if simulation.elapsed() >= limit {
                let knowing = nodes.iter().filter(|node| knows_all(node)).count();
                bail!("{knowing} of {count} nodes know all others after {limit:?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        let first = costs(&simulation, &nodes);
        println!(
            "{count} nodes know each other after {:?} of virtual time: {} a node; {:?}",
            simulation.elapsed(),
            first.text(count),
            begun.elapsed()
        );
        sleep(STEADY).await;
        let steady = costs(&simulation, &nodes).minus(&first);
        println!(
            "    the next {STEADY:?}: {} a node; {:?}; digest {:016x}",
            steady.text(count),
            begun.elapsed(),
            simulation.digest()
        );
        Ok(())
    })
}

async fn start(simulation: &Simulation, count: usize) -> Vec<Network> {
    let mut nodes: Vec<Network> = Vec::with_capacity(count);
    for _ in 0..ENTRANCES.min(count) {
        let known: Vec<_> = nodes.iter().map(|node| node.local().id()).collect();
        nodes.push(node(simulation, known).await);
    }
    let known: Vec<_> = nodes.iter().map(|node| node.local().id()).collect();
    let others = (nodes.len()..count).map(|_| node(simulation, known.clone()));
    nodes.extend(join_all(others).await);
    nodes
}

async fn node(simulation: &Simulation, known: Vec<mosaik::PeerId>) -> Network {
    let discovery = Config::builder().with_bootstrap(known);
    let builder = simulation.builder().with_discovery(discovery);
    builder.build().await.expect("a simulated node starts")
}

/// What all nodes have sent.
struct Costs {
    messages: u64,
    bytes: u64,
    dials: u64,
    /// The bytes of the node that sent most.
    most: u64,
}

fn costs(simulation: &Simulation, nodes: &[Network]) -> Costs {
    let mut costs = Costs { messages: 0, bytes: 0, dials: 0, most: 0 };
    for traffic in nodes.iter().map(|node| simulation.traffic(node)) {
        costs.messages += traffic.messages;
        costs.bytes += traffic.bytes;
        costs.dials += traffic.dials;
        costs.most = costs.most.max(traffic.bytes);
    }
    costs
}

impl Costs {
    fn minus(&self, before: &Self) -> Self {
        Self {
            messages: self.messages - before.messages,
            bytes: self.bytes - before.bytes,
            dials: self.dials - before.dials,
            most: self.most - before.most,
        }
    }

    fn text(&self, nodes: usize) -> String {
        let nodes = nodes as u64;
        format!(
            "{} messages, {} KiB (the busiest {} KiB), {:.1} dials",
            self.messages / nodes,
            self.bytes / nodes / 1024,
            self.most / 1024,
            self.dials as f64 / nodes as f64
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_know_each_other_too_late_are_a_failure() {
        let error = converge_within(3, Duration::ZERO).unwrap_err().to_string();
        assert!(error.ends_with("of 3 nodes know all others after 0ns"), "{error}");
        converge_within(3, LIMIT).unwrap();
    }
}
