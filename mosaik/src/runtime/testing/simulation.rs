//! A simulated network that a program builds its nodes on.

use std::{fmt, future::Future, time::Duration};

use chrono::{DateTime, TimeDelta};
use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};

use super::nodes::connected;
use crate::{
    Network,
    clock::{Clock, ClockScope},
    id::NetworkId,
    network::NetworkBuilder,
    transport::sim::{SimConfig, SimNet, Traffic},
};

/// The date at which simulations begin, in days since 1970: 1 January 2026.
const FIRST_DAY: i64 = 20_454;

/// A network in memory and in virtual time, whose faults a seed decides.
///
/// `#[mosaik::network_test(sim)]` makes one for each run; programs that need as many nodes as they
/// please, or nodes with options of their own, use [`simulate`].
#[derive(Clone)]
pub struct Simulation {
    net: SimNet,
    date: Clock,
    seed: u64,
    begun: Instant,
}

/// Runs `body` on a simulated network, in one thread and in virtual time, which passes as fast as
/// nothing is left to do.
///
/// ```
/// use mosaik::testing::{Faults, simulate};
///
/// let elapsed = simulate(7, async |simulation| {
///     let mut nodes = simulation.nodes(3).await;
///     nodes.crash(2);
///     while nodes[0].discovery().catalog().peers_count() > 1 {
///         tokio::time::sleep(std::time::Duration::from_secs(1)).await;
///     }
///     nodes.restart(2).await;
///     simulation.elapsed()
/// });
/// assert!(elapsed.as_secs() > 60);
/// ```
///
/// # Panics
/// When `body` does, and within a tokio runtime.
pub fn simulate<F, Fut>(seed: u64, body: F) -> Fut::Output
where
    F: FnOnce(Simulation) -> Fut,
    Fut: Future,
{
    let runtime = paused_runtime();
    let output = runtime.block_on(async {
        let simulation = Simulation::new(seed);
        let _date = simulation.set_date();
        body(simulation).await
    });
    // A body that blocks a thread has ended all the same.
    runtime.shutdown_background();
    output
}

pub(super) fn paused_runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().start_paused(true);
    builder.build().expect("the operating system gives a simulation its runtime")
}

impl Simulation {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            net: SimNet::new(seed, SimConfig::default()),
            date: Clock::starting_at(DateTime::UNIX_EPOCH + TimeDelta::days(FIRST_DAY)),
            seed,
            begun: Instant::now(),
        }
    }

    /// Code on this thread that is not a node's goes by the date of the simulation.
    pub(super) fn set_date(&self) -> ClockScope {
        self.date.set_for_thread()
    }

    /// A node on this network. Clone it for several that are alike; each has a key of its own.
    pub fn builder(&self) -> NetworkBuilder {
        // By the seed alone: the id goes into every hash and signature of the run.
        let id = NetworkId::from(format!("simulated {}", self.seed).as_str());
        Network::builder(id).simulated(&self.net, self.date.clone())
    }

    /// Starts so many nodes, and waits until each knows all others.
    pub async fn nodes(&self, count: usize) -> Vec<Network> {
        connected(vec![self.builder(); count]).await
    }

    /// How much virtual time has passed since the simulation began.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What a node has sent so far.
    #[must_use]
    pub fn traffic(&self, node: &Network) -> Traffic {
        self.net.traffic(&node.local().id())
    }

    /// A hash of everything that was sent so far, between whom, and when: two runs that have the
    /// same one went the same way.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.net.digest()
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("seed", &self.seed).finish_non_exhaustive()
    }
}
