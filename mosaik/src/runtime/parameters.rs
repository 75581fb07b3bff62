//! What the function of `#[mosaik::main]` may take.

use std::sync::Arc;

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use crate::Network;

/// The first parameter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the first parameter of a `#[mosaik::main]`",
    label = "expected `Network`",
    note = "write `async fn main(network: Network)` or `async fn main(network: Network, args: Args)`"
)]
pub trait MainNetwork: Sized {
    /// The network as the body wants it.
    fn from_network(network: Network) -> Self;

    /// The network for others who ask, if the body has to share it.
    fn shared(&self) -> Option<Arc<Network>> {
        None
    }
}

impl MainNetwork for Network {
    fn from_network(network: Network) -> Self {
        network
    }
}

impl MainNetwork for Arc<Network> {
    fn from_network(network: Network) -> Self {
        Arc::new(network)
    }

    fn shared(&self) -> Option<Arc<Network>> {
        Some(self.clone())
    }
}

/// The second parameter.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the arguments of a `#[mosaik::main]`",
    label = "does not implement mosaik's `clap::Parser`",
    note = "write `use mosaik::clap;` and `#[derive(clap::Parser)]` on it; a `Parser` derived with another version of clap is a different trait"
)]
pub trait MainArgs: Sized {
    /// What clap knows of the arguments.
    fn command() -> Command;

    /// The arguments on a command line.
    fn from_matches(matches: &ArgMatches) -> Result<Self, clap::Error>;
}

#[diagnostic::do_not_recommend]
impl<T: CommandFactory + FromArgMatches> MainArgs for T {
    fn command() -> Command {
        T::command()
    }

    fn from_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches)
    }
}
