//! Faults of the simulated network, and what nodes make of them.

mod campaign;
mod faults;
