//! The peers of one stream or group as a value that is cheap to clone, and small where they are
//! few: most streams have one producer, and a node may follow a thousand streams.

use imbl::OrdMap;

use crate::{discovery::entry::PeerEntry, id::PeerId};

/// So many are kept in a list; a persistent map takes 3 KB for the first.
const FEW: usize = 8;

#[derive(Clone, Debug)]
pub(super) enum Peers {
    /// In no order.
    Few(Vec<(PeerId, Listed)>),
    Many(OrdMap<PeerId, Listed>),
}

/// A peer's entry. It has changed when the body of a ticket has come, too.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) entry: PeerEntry,
    /// How often something was measured of the peer.
    pub(super) measured: u32,
}

impl Listed {
    pub(super) fn new(entry: PeerEntry) -> Self {
        Self { entry, measured: 0 }
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.measured == other.measured && self.entry.shows_the_same_as(&other.entry)
    }
}

impl Default for Peers {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Peers {
    pub(super) fn get(&self, peer: &PeerId) -> Option<&Listed> {
        match self {
            Self::Few(peers) => {
                peers.iter().find(|(known, _)| known == peer).map(|(_, listed)| listed)
            }
            Self::Many(peers) => peers.get(peer),
        }
    }

    pub(super) fn insert(&mut self, peer: PeerId, listed: Listed) {
        match self {
            Self::Few(peers) => {
                if let Some((_, known)) = peers.iter_mut().find(|(known, _)| *known == peer) {
                    *known = listed;
                } else if peers.len() < FEW {
                    peers.reserve_exact(1);
                    peers.push((peer, listed));
                } else {
                    let mut many = self.to_map();
                    many.insert(peer, listed);
                    *self = Self::Many(many);
                }
            }
            Self::Many(peers) => {
                peers.insert(peer, listed);
            }
        }
    }

    pub(super) fn remove(&mut self, peer: &PeerId) {
        match self {
            Self::Few(peers) => peers.retain(|(known, _)| known != peer),
            Self::Many(peers) => {
                peers.remove(peer);
            }
        }
    }

    /// All of them, to be compared with others.
    pub(super) fn to_map(&self) -> OrdMap<PeerId, Listed> {
        match self {
            Self::Few(peers) => peers.iter().cloned().collect(),
            Self::Many(peers) => peers.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use iroh::SecretKey;
    use proptest::prelude::*;

    use super::*;
    use crate::discovery::PeerEntryVersion;

    proptest! {
        /// Few or many, they are what a map holds.
        #[test]
        fn they_are_the_same_as_a_map(
            steps in prop::collection::vec((0u8..20, any::<bool>(), any::<u32>()), 0..80),
        ) {
            let (mut peers, mut map) = (Peers::default(), OrdMap::new());
            for (seed, is_there, measured) in steps {
                let peer = SecretKey::from_bytes(&[seed; 32]).public();
                let version = PeerEntryVersion::default();
                let entry = PeerEntry::starting("network".into(), peer.into(), version);
                let listed = Listed { entry, measured };
                if is_there {
                    peers.insert(peer, listed.clone());
                    map.insert(peer, listed);
                } else {
                    peers.remove(&peer);
                    map.remove(&peer);
                }
                prop_assert_eq!(peers.get(&peer), map.get(&peer));
                prop_assert_eq!(&peers.to_map(), &map);
            }
        }
    }
}
