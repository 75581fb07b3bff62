//! What the transport asks in each hello, answered by discovery.

use bytes::Bytes;

use crate::{
    discovery::HelloSections,
    id::PeerId,
    transport::{Admission, CloseReason},
};

/// Admits every peer that has proved that it is of this network, and takes its entry in.
#[derive(Debug)]
pub(super) struct Gate(pub(super) HelloSections);

impl Admission for Gate {
    fn offer(&self, peer: PeerId) -> Bytes {
        self.0.offer(&peer)
    }

    fn bodies(&self, _: PeerId, offer: &[u8]) -> Result<Bytes, CloseReason> {
        self.0.bodies(offer)
    }

    fn newer_run(&self, peer: PeerId) -> Bytes {
        self.0.newer_run(&peer)
    }

    fn hear_of_newer_run(&self, proof: &[u8]) {
        self.0.hear_of_newer_run(proof);
    }

    fn admit(&self, peer: PeerId, offer: &[u8], bodies: &[u8]) -> Result<(), CloseReason> {
        self.0.admit(&peer, offer, bodies)
    }
}
