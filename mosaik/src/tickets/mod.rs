//! Who may talk to whom: tickets that peers show, and validators that judge them.
//!
//! A node shows [`Ticket`]s beside its entry. A producer, a consumer or a whole node that is
//! built with `require_ticket(validator)` deals only with peers one of whose tickets passes; with
//! several validators, all have to be passed. The [guide](crate::guide::tickets) says what is
//! judged when, and how to write a [`TicketValidator`].

mod judge;
#[cfg(test)]
mod tests;
mod validator;

/// Spans of time as [`Expiration`] takes them: chrono's, which can be negative.
pub use chrono::Duration;
pub use chrono::Duration as ChronoDuration;

pub(crate) use self::judge::{are_lacking, judge};
pub use self::validator::{InvalidTicket, Named, TicketValidator};
pub use crate::ticket::{Expiration, Ticket, TicketClass};
