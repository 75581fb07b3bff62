//! What the transport asks in each hello, answered by discovery; and who is let into the network at
//! all.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::{
    discovery::{self, Discovery, HelloSections, PeerEntry},
    id::PeerId,
    tasks::Tasks,
    ticket::{Denial, Verdict},
    tickets::{self, TicketValidator},
    transport::{Admission, CloseReason, Transport},
};

/// Admits every peer that has proved that it is of this network and passes discovery's gate, and
/// takes its entry in.
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

/// What a whole node requires of everybody.
pub(super) struct TicketGate(Vec<Arc<dyn TicketValidator>>);

impl TicketGate {
    /// None if nothing is required.
    pub(super) fn of(validators: &[Arc<dyn TicketValidator>]) -> Option<Box<dyn discovery::Gate>> {
        let is_needed = !validators.is_empty();
        is_needed.then(|| Box::new(Self(validators.to_vec())) as Box<dyn discovery::Gate>)
    }
}

impl discovery::Gate for TicketGate {
    fn judge(&self, peer: &PeerEntry, now: DateTime<Utc>) -> Verdict {
        tickets::judge(&self.0, peer, now)
    }

    fn lacks_tickets(&self, peer: &PeerEntry) -> bool {
        tickets::are_lacking(&self.0, peer)
    }
}

/// Closes the links to peers that the gate does not let in any more, as soon as that is so.
pub(super) fn watch_gate(tasks: &Tasks, discovery: &Discovery, transport: &Transport) {
    let (discovery, transport) = (discovery.clone(), transport.clone());
    tasks.spawn("network.gate", async move {
        let mut catalog = discovery.catalog_watch();
        let mut links = transport.events();
        loop {
            for link in transport.links() {
                if let Err(denial) = discovery.admits(&link.peer()) {
                    link.close(match denial {
                        Denial::Pending => CloseReason::TicketsPending,
                        Denial::Invalid => CloseReason::NoTicket,
                    });
                }
            }
            tokio::select! {
                changed = catalog.changed() => if changed.is_err() {
                    return;
                },
                // Even after having missed some: all links are looked at.
                _ = links.recv() => {}
            }
        }
    });
}
