//! Tickets that expire.

use chrono::{DateTime, Utc};

use crate::{
    discovery::PeerEntry,
    id::UniqueId,
    ticket::{Expiration, Ticket, TicketClass},
    tickets::{InvalidTicket, TicketValidator},
};

/// Passes tickets that hold the date of their expiry.
#[derive(Debug)]
pub(in crate::streams) struct Dated;

impl TicketValidator for Dated {
    fn class(&self) -> TicketClass {
        "dated".into()
    }

    fn signature(&self) -> UniqueId {
        self.class().derive("dated")
    }

    fn validate(&self, ticket: &[u8], _: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        let date = std::str::from_utf8(ticket).map_err(|_| InvalidTicket)?;
        let date: DateTime<Utc> = date.parse().map_err(|_| InvalidTicket)?;
        Ok(Expiration::At(date))
    }
}

pub(in crate::streams) fn valid_until(date: DateTime<Utc>) -> Ticket {
    Ticket::new("dated".into(), date.to_rfc3339().into())
}
