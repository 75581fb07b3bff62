//! Nodes on the same LAN, found by multicast DNS: no server, no internet.

use std::time::Duration;

use futures::{Stream, StreamExt, future::BoxFuture};
use iroh::{
    EndpointAddr, TransportAddr,
    address_lookup::{AddressLookup, EndpointData},
};
use iroh_mdns_address_lookup::{DiscoveryEvent, MdnsAddressLookup};
use tokio::{sync::watch, time::sleep};

use super::{Reach, Source};
use crate::discovery::derived::mdns_label;

const NAME: &str = "discovery.mdns";
/// How long until multicast is tried again that could not be used.
const RETRY: Duration = Duration::from_secs(60);

/// Tells the LAN where this node is, and hears of others.
///
/// A node that is reached on this machine only has nothing to tell and sends nothing.
pub(in crate::discovery) struct MdnsSource;

impl Source for MdnsSource {
    fn name(&self) -> &'static str {
        NAME
    }

    fn run(self: Box<Self>, reach: Reach) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let mut addresses = reach.transport.addr();
            loop {
                // The sender lives in the transport.
                if addresses.wait_for(is_on_lan).await.is_err() {
                    return;
                }
                let label = mdns_label(reach.shared().network_id());
                let mdns = MdnsAddressLookup::builder().service_name(label);
                match mdns.build(reach.shared().me()) {
                    Ok(mdns) => return run(mdns, addresses, &reach).await,
                    Err(error) => {
                        tracing::debug!(%error, "nodes on the LAN are not found by multicast");
                    }
                }
                sleep(RETRY).await;
            }
        })
    }
}

async fn run(mdns: MdnsAddressLookup, mut addresses: watch::Receiver<EndpointAddr>, reach: &Reach) {
    let mut found = mdns.subscribe().await;
    loop {
        let address = addresses.borrow_and_update().clone();
        mdns.publish(&EndpointData::from_iter(address.addrs));
        tokio::select! {
            () = hear(&mut found, reach) => return,
            changed = addresses.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// Passes on what is found, until the service ends.
async fn hear(found: &mut (impl Stream<Item = DiscoveryEvent> + Unpin), reach: &Reach) {
    while let Some(event) = found.next().await {
        if let DiscoveryEvent::Discovered { endpoint_info, .. } = event {
            reach.found(NAME, endpoint_info.into_endpoint_addr()).await;
        }
    }
}

/// Whether others on the LAN could reach the node.
fn is_on_lan(address: &EndpointAddr) -> bool {
    address.addrs.iter().any(|address| match address {
        TransportAddr::Ip(address) => !address.ip().is_loopback(),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;

    use super::*;

    #[test]
    fn a_node_on_loopback_has_nothing_to_tell_the_lan() {
        let node = |address: &str| {
            let id = SecretKey::from_bytes(&[1; 32]).public();
            EndpointAddr::new(id).with_ip_addr(address.parse().unwrap())
        };
        assert!(!is_on_lan(&node("127.0.0.1:1")));
        assert!(!is_on_lan(&node("[::1]:1")));
        assert!(is_on_lan(&node("192.0.2.1:1")));
        assert!(is_on_lan(&node("127.0.0.1:1").with_ip_addr("192.0.2.1:1".parse().unwrap())));
    }
}
