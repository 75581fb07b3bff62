//! What `#[mosaik::main]` and `#[mosaik::network_test]` need around a node: flags, environment,
//! signals, logging, and nodes for tests.
//!
//! Expansions call this through [`crate::private`]; programs that build their `Network` themselves
//! need none of it.

#[cfg(feature = "main")]
mod flags;
#[cfg(feature = "main")]
mod logging;
#[cfg(feature = "main")]
mod outcome;
#[cfg(feature = "main")]
mod program;
#[cfg(feature = "main")]
mod settings;

#[cfg(feature = "main")]
pub use program::Program;
