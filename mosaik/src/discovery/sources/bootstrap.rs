//! The nodes that were named to begin with.

use std::{io, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::{BoxFuture, join_all};
use iroh::EndpointAddr;
use tokio::{
    net::lookup_host,
    time::{sleep, timeout},
};

use super::{Reach, Source};
use crate::{
    discovery::{
        bootstrap::{Bootstrap, BootstrapHost},
        config::Config,
    },
    id::PeerId,
    random::Random,
    transport::CloseReason,
};

const DELAY_MIN: Duration = Duration::from_millis(250);
const DELAY_MAX: Duration = Duration::from_secs(30);
/// What a restart takes at the least.
const RESTART: Duration = Duration::from_secs(2);
const JITTER: f64 = 0.5;
/// How long a name may take to be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most addresses taken from one name.
const MAX_ADDRESSES: usize = 16;

/// Keeps in touch with the nodes that were named to begin with: each is dialled until it answers,
/// and again whenever it has fallen silent, because one that restarts knows nobody.
pub(in crate::discovery) struct BootstrapSource {
    nodes: Vec<Bootstrap>,
    random: Random,
}

impl BootstrapSource {
    /// `None` if no nodes were named.
    pub(in crate::discovery) fn new(config: &Config, random: Random) -> Option<Self> {
        let addresses = config.bootstrap_peers.iter().cloned().map(Bootstrap::Address);
        let hosts = config.bootstrap_hosts.iter().cloned().map(Bootstrap::Host);
        let nodes: Vec<_> = addresses.chain(hosts).collect();
        (!nodes.is_empty()).then_some(Self { nodes, random })
    }

    /// Keeps in touch with one of them.
    async fn keep_in_touch(&self, node: &Bootstrap, reach: &Reach) {
        let id = id_of(node);
        if id == reach.shared().me() {
            return;
        }
        let mut delays = delays();
        loop {
            match contact(node, reach).await {
                Ok(link) => {
                    delays = self::delays();
                    let reason = link.closed().await;
                    tracing::debug!(peer = %id, %reason, "the link to a bootstrap node ended");
                    match reason {
                        CloseReason::Idle => self.wait_for_silence(&id, reach).await,
                        // It needs a moment to come back.
                        CloseReason::GracefulShutdown => sleep(RESTART).await,
                        _ => {}
                    }
                }
                Err(error) => {
                    tracing::debug!(peer = %id, error, "a bootstrap node was not reached");
                }
            }
            // The iterator has no end.
            let delay = delays.next().unwrap_or(DELAY_MAX);
            sleep(self.random.jittered(delay, JITTER)).await;
        }
    }

    /// Waits until the node gives no sign of life any more, by whatever way.
    async fn wait_for_silence(&self, id: &PeerId, reach: &Reach) {
        loop {
            sleep(self.random.jittered(DELAY_MAX, JITTER)).await;
            // In a large network it tells only now and then that it lives.
            let missed_at = reach.shared().read(|state| state.missed_at(id));
            let is_linked = reach.transport.link(id).is_some();
            if !is_linked && missed_at.is_none_or(|at| at < reach.shared().now()) {
                return;
            }
        }
    }
}

impl Source for BootstrapSource {
    fn name(&self) -> &'static str {
        "discovery.bootstrap"
    }

    fn run(self: Box<Self>, reach: Reach) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            join_all(self.nodes.iter().map(|node| self.keep_in_touch(node, &reach))).await;
        })
    }
}

fn id_of(node: &Bootstrap) -> PeerId {
    match node {
        Bootstrap::Address(address) => address.id,
        Bootstrap::Host(host) => host.id,
    }
}

fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(DELAY_MIN)
        .with_max_delay(DELAY_MAX)
        .without_max_times()
        .build()
}

async fn contact(node: &Bootstrap, reach: &Reach) -> Result<crate::transport::Link, String> {
    let address = match node {
        Bootstrap::Address(address) => address.clone(),
        Bootstrap::Host(host) => resolve(host).await.map_err(|error| error.to_string())?,
    };
    reach.contact(address).await.map_err(|error| error.to_string())
}

/// Asks for the addresses of a host, anew each time.
async fn resolve(host: &BootstrapHost) -> io::Result<EndpointAddr> {
    let addresses = timeout(RESOLVE_TIMEOUT, lookup_host((host.host.as_str(), host.port)))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    let mut to = EndpointAddr::new(host.id);
    for address in addresses.take(MAX_ADDRESSES) {
        to = to.with_ip_addr(address);
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_half_a_minute_and_never_end() {
        let delays: Vec<_> = delays().take(50).collect();
        assert_eq!(delays[0], DELAY_MIN);
        assert_eq!(delays[1], DELAY_MIN * 2);
        assert_eq!(delays[49], DELAY_MAX);
        assert_eq!(delays.len(), 50);
    }

    #[tokio::test]
    async fn a_numeric_host_is_resolved_without_any_name_service() {
        let id = iroh::SecretKey::from_bytes(&[1; 32]).public();
        let host = BootstrapHost { id, host: "127.0.0.1".into(), port: 7 };
        let address = resolve(&host).await.unwrap();
        assert_eq!(address, EndpointAddr::new(id).with_ip_addr("127.0.0.1:7".parse().unwrap()));
    }
}
