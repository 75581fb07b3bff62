//! What stands for the network's id outside this process. The id itself is never shown: whoever
//! knows it is in.

use super::entry::PeerEntry;
use crate::id::{Digest, NetworkId};

/// The tag by which entries, beats and departures of one network are told from those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NetworkTag(Digest);

impl NetworkTag {
    pub(crate) fn of(network: &NetworkId) -> Self {
        Self(derive("mosaik 2026 discovery: tag of the network in signed records", network))
    }

    /// The tag that an entry says it has.
    pub(crate) fn claimed(entry: &PeerEntry) -> Self {
        Self(*entry.network_tag())
    }

    pub(crate) fn digest(&self) -> &Digest {
        &self.0
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

/// The topic under which the network gossips.
pub(crate) fn gossip_topic(network: &NetworkId) -> [u8; 32] {
    *derive("mosaik 2026 discovery: gossip topic", network).as_bytes()
}

/// The name of the network's directory on this machine: 32 hex digits.
pub(crate) fn directory_name(network: &NetworkId) -> String {
    let mut name = derive("mosaik 2026 discovery: local directory", network).to_string();
    name.truncate(32);
    name
}

/// The label under which the network's nodes find each other on a LAN: 16 hex digits.
#[cfg(feature = "mdns")]
pub(crate) fn mdns_label(network: &NetworkId) -> String {
    let mut label = derive("mosaik 2026 discovery: mdns label", network).to_string();
    label.truncate(16);
    label
}

fn derive(context: &str, network: &NetworkId) -> Digest {
    Digest::from_bytes(blake3::derive_key(context, network.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_values_differ_from_the_id_and_from_each_other() {
        let id = NetworkId::from("a network");
        let tag = *NetworkTag::of(&id).digest();
        let topic = Digest::from_bytes(gossip_topic(&id));
        assert_ne!(tag, id);
        assert_ne!(topic, id);
        assert_ne!(tag, topic);
        let name = directory_name(&id);
        assert_eq!(name.len(), 32);
        assert!(!id.to_string().contains(&name));
    }
}
