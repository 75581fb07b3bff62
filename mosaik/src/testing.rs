//! Nodes in memory and in virtual time, and what can be done to them.
//!
//! `#[mosaik::network_test(sim)]` gives a test such nodes; [`simulate`] runs a program of its own on
//! them. [`Faults`] are methods of a list of nodes.

pub use crate::{
    runtime::testing::{Faults, Simulation, simulate},
    transport::sim::{LinkQuality, Traffic},
};
