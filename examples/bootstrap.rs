//! A long-lived entry node: the first that others meet, under an id that stays the same.
//!
//! ```sh
//! cargo run --example bootstrap -- --bind 0.0.0.0:4700
//! ```
//!
//! Its key is kept in a directory (`--data-dir`), so that its id, and with a fixed port its whole
//! ticket, outlive it. It is a node like all others: once they have met, nobody needs it any more.

use std::{env, path::PathBuf};

use anyhow::Context;
use mosaik::{Network, discovery::Event, primitives::ShortFmtExt};
use tokio::sync::broadcast::error::RecvError;

#[mosaik::main("mosaik-examples", offline = true, tags = ["bootstrap"], data_dir = data_dir())]
async fn main(network: Network) -> anyhow::Result<()> {
    let mut events = network.discovery().events();
    let local = network.local();
    let addresses: Vec<String> = local.addr().ip_addrs().map(ToString::to_string).collect();
    println!("This is node {}, at {}.", local.id(), addresses.join(", "));
    println!("Others get in with its ticket:\n");
    println!("  --bootstrap {}\n", local.ticket());
    println!("or, wherever it can be reached by a name and a port, with");
    println!("  --bootstrap {}@HOST:PORT\n", local.id());
    println!("For example: cargo run --example group-chat -- --nickname Alice --bootstrap ..");

    for peer in network.discovery().catalog().peers() {
        tracing::info!(peer = %peer.id().short(), "is here");
    }
    loop {
        match events.recv().await {
            Ok(Event::PeerDiscovered(peer)) => {
                let streams = peer.streams().len();
                tracing::info!(peer = %peer.id().short(), streams, "came");
            }
            Ok(Event::PeerUpdated(_)) => {}
            Ok(Event::PeerDeparted(peer)) => tracing::info!(peer = %peer.short(), "left"),
            Err(RecvError::Lagged(missed)) => tracing::warn!(missed, "too many came and went"),
            closed @ Err(RecvError::Closed) => return closed.map(drop).context("no network"),
        }
    }
}

/// Where programs of this user keep what they need again, by the XDG convention.
fn data_dir() -> Option<PathBuf> {
    let state = env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(env::home_dir()?.join(".local/state")))?;
    Some(state.join("mosaik-examples/bootstrap"))
}
