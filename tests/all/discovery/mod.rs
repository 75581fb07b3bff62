//! Who finds whom, how soon, and what is told of it.

use std::path::Path;

use mosaik::{
    Network, SecretKey,
    discovery::{Config, ConfigBuilder, Event},
    network::NetworkBuilder,
};
use mosaik_tests::{eventually, lone, secs, within};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

mod bootstrap;
mod catalog;
mod convergence;
mod departure;
mod dial;
mod events;
mod local;
mod loss;
mod mdns;
mod syncs;
mod tags;

/// A discovery that looks for nobody by itself.
fn alone() -> ConfigBuilder {
    Config::builder().with_local(false).with_mdns(false)
}

/// A directory of this user alone.
fn private_dir() -> TempDir {
    mosaik_tests::private_dir().unwrap()
}

/// A node that finds others through a directory.
fn beside(network: &str, dir: &Path) -> NetworkBuilder {
    lone(network).with_discovery(Config::builder().with_local_directory(dir).with_mdns(false))
}

fn key() -> SecretKey {
    SecretKey::generate()
}

fn knows(a: &Network, b: &Network) -> bool {
    a.discovery().catalog().get_signed(&b.local().id()).is_some()
}

async fn meet(a: &Network, b: &Network) {
    let sync = a.discovery().sync_with(b.local().addr());
    within(secs(5), "a sync", sync).await.unwrap();
}

async fn until_all_know_all(nodes: &[Network]) -> std::time::Duration {
    let others = nodes.len() - 1;
    let holds =
        || nodes.iter().all(|node| node.discovery().catalog().signed_peers_count() == others);
    eventually(secs(10), "the convergence", holds).await
}

async fn next(events: &mut Receiver<Event>) -> Event {
    within(secs(10), "the next event", events.recv()).await.unwrap()
}
