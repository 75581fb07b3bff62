//! Every documented form of the macros, at least once.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod declare;
mod entry;
mod group_state;
mod ids;
mod macro_rules;
mod names;
mod program;
mod serde_forms;
mod stream;
mod tickets;
mod two_crates;
