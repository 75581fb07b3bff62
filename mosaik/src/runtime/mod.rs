//! What `#[mosaik::main]` and `#[mosaik::network_test]` need around a node: flags, environment,
//! signals, logging, and nodes for tests.
//!
//! Expansions call this through [`crate::private`]; programs that build their `Network` themselves
//! need none of it.

#[cfg(feature = "main")]
mod current;
#[cfg(feature = "main")]
mod flags;
#[cfg(feature = "main")]
mod logging;
#[cfg(feature = "main")]
mod outcome;
#[cfg(feature = "main")]
mod parameters;
#[cfg(feature = "main")]
mod program;
#[cfg(feature = "main")]
mod settings;
#[cfg(feature = "main")]
mod signals;
#[cfg(feature = "main")]
mod start;
pub mod testing;

/// What the expansion of `#[mosaik::main]` calls.
#[cfg(feature = "main")]
pub mod main {
    pub use super::{
        program::Program,
        start::{run, run_with_args, run_with_network},
    };
}
