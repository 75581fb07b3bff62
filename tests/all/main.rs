//! The integration tests of mosaik: whole nodes, on loopback or simulated.
//!
//! `TEST_TRACE=on` logs, `TIME_FACTOR=3` gives a slow machine more time.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod discovery;
mod examples;
mod groups;
mod hostile;
mod macros;
mod metrics;
mod network;
mod sim;
mod streams;
mod tickets;
