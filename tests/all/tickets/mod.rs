//! Tickets: who is let in, from when, and until when.

use std::time::Duration;

use mosaik::{
    Network, PeerId, UniqueId,
    discovery::PeerEntry,
    primitives::encoding,
    tickets::{ChronoDuration, Expiration, InvalidTicket, Ticket, TicketClass, TicketValidator},
    unique_id,
};
use mosaik_tests::{eventually, secs};

mod gate;
mod late;
mod streams;

pub(crate) const DOOR: TicketClass = unique_id!("tests.door");
pub(crate) const SAFE: TicketClass = unique_id!("tests.safe");

/// Passes tickets of a class that were made for the peer that shows them.
pub(crate) struct For(pub(crate) TicketClass);

/// What is in such a ticket; the rest is there to make it large.
type Content = (PeerId, Expiration, String);

impl TicketValidator for For {
    fn class(&self) -> TicketClass {
        self.0
    }

    fn signature(&self) -> UniqueId {
        self.0.derive("for")
    }

    fn validate(&self, ticket: &[u8], peer: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        let (id, until, _) = encoding::decode::<Content>(ticket).map_err(|_| InvalidTicket)?;
        if id == *peer.id() { Ok(until) } else { Err(InvalidTicket) }
    }
}

fn ticket_for(peer: PeerId, class: TicketClass, until: Expiration, bytes: usize) -> Ticket {
    let content: Content = (peer, until, "x".repeat(bytes));
    Ticket::new(class, encoding::encode(&content).unwrap())
}

/// A ticket for a node.
pub(crate) fn ticket(node: &Network, class: TicketClass, until: Expiration) -> Ticket {
    ticket_for(node.local().id(), class, until, 0)
}

/// Larger than what is passed on by others.
fn large_ticket(node: &Network, class: TicketClass, until: Expiration) -> Ticket {
    ticket_for(node.local().id(), class, until, 20_000)
}

pub(crate) fn in_secs(seconds: i64) -> Expiration {
    Expiration::after(ChronoDuration::seconds(seconds))
}

/// Lets time pass in which nothing is to happen.
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}

/// How long until a condition holds; at most two minutes of simulated time.
async fn until(what: &str, condition: impl FnMut() -> bool) -> Duration {
    eventually(secs(120), what, condition).await
}
