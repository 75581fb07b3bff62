//! `require_ticket`: whoever is named must satisfy it.

use futures::StreamExt;
use mosaik::{
    discovery::PeerEntry,
    tickets::{Expiration, InvalidTicket, Ticket, TicketClass, TicketValidator},
    *,
};

const STAFF: TicketClass = unique_id!("ui.staff");
const GUEST: TicketClass = unique_id!("ui.guest");

/// Passes every ticket of a class.
struct Any(TicketClass);

impl TicketValidator for Any {
    fn class(&self) -> TicketClass {
        self.0
    }

    fn signature(&self) -> UniqueId {
        self.0
    }

    fn validate(&self, _: &[u8], _: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        Ok(Expiration::Never)
    }
}

fn staff() -> impl TicketValidator {
    Any(STAFF).named("staff")
}

#[mosaik::stream("ui.tickets.both", require_ticket = Any(STAFF), require_ticket = Any(GUEST))]
#[derive(Debug, PartialEq)]
struct Both(u8);

#[mosaik::stream(
    "ui.tickets.apart",
    producer(require_ticket = staff()),
    consumer(require_ticket = Any(GUEST))
)]
#[derive(Debug, PartialEq)]
struct Apart(u8);

declare::stream!(
    Declared = u64, "ui.tickets.declared",
    producer require_ticket: staff(),
    consumer require_ticket: Any(GUEST),
    consumer require_ticket: Box::new(Any(STAFF)) as Box<dyn TicketValidator>,
);
declare::stream!(producer Out = u64, "ui.tickets.out", require_ticket: Any(STAFF));

fn show(node: &Network, class: TicketClass) {
    node.discovery().add_ticket(Ticket::new(class, Bytes::new())).unwrap();
}

/// Lets the nodes hear of each other's tickets, and act upon it.
async fn pass_time(nodes: &[Network]) {
    for _ in 0..5 {
        nodes[0].discovery().sync_with(nodes[1].local().addr()).await.unwrap();
    }
}

#[mosaik::network_test(sim)]
async fn without_a_side_both_must_have_it(nodes: [Network; 2]) {
    let (out, mut inp) = (Both::producer(&nodes[0]), Both::consumer(&nodes[1]));
    for node in &nodes {
        show(node, STAFF);
    }
    show(&nodes[0], GUEST);
    pass_time(&nodes).await;
    assert_eq!(out.consumers().count(), 0);
    show(&nodes[1], GUEST);
    out.send(Both(1)).await.unwrap();
    assert_eq!(inp.next().await, Some(Both(1)));
}

#[mosaik::network_test(sim)]
async fn a_side_says_who_must_have_it(nodes: [Network; 2]) {
    let (out, mut inp) = (Apart::producer(&nodes[0]), Apart::consumer(&nodes[1]));
    assert_eq!(out.config().ticket_validators[0].class(), GUEST);
    assert_eq!(inp.config().ticket_validators[0].name(), "staff");
    show(&nodes[0], STAFF);
    pass_time(&nodes).await;
    assert_eq!(out.consumers().count(), 0);
    show(&nodes[1], GUEST);
    out.send(Apart(1)).await.unwrap();
    assert_eq!(inp.next().await, Some(Apart(1)));
}

#[mosaik::network_test(sim)]
async fn declarations_mean_the_same(network: Network) {
    let (out, inp) = (Declared::producer(&network), Declared::consumer(&network));
    assert_eq!(
        (out.config().ticket_validators.len(), inp.config().ticket_validators.len()),
        (2, 1)
    );
    assert_eq!(Out::producer(&network).config().ticket_validators.len(), 1);
}
