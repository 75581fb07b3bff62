//! What `#[mosaik::network_test]` runs: connected nodes, a time limit, simulated faults.

mod faults;
mod nodes;
mod scenario;
mod simulation;
#[cfg(test)]
mod tests;

pub use faults::Faults;
pub use nodes::{FromNodes, Nodes};
pub use scenario::{Scenario, TestReturn, run};
pub use simulation::{Simulation, simulate};
