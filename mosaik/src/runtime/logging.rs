//! The log of a program: to standard error, for people.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Starts logging by `filter`. A program that has set up its own keeps that.
pub(super) fn start(filter: &str) {
    let (filter, wrong) = match filter.parse::<EnvFilter>() {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .try_init();
    if let (Ok(()), Some(error)) = (started, wrong) {
        tracing::warn!(%error, "MOSAIK_LOG is not understood; logging at level info");
    }
}
