//! What judges tickets.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::{
    discovery::PeerEntry,
    fmt::ShortFmtExt,
    id::UniqueId,
    ticket::{Expiration, TicketClass},
};

/// The ticket does not pass. Nothing changed; the peer may show another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the ticket is not valid")]
pub struct InvalidTicket;

/// Judges tickets of one class.
///
/// A peer passes if one of its tickets of that class does, for as long as the one that is good for
/// longest. Implementations must be quick and must not block: they are asked whenever a peer's
/// entry changes, and again when what they said expires.
///
/// ```
/// use mosaik::{
///     UniqueId,
///     discovery::PeerEntry,
///     tickets::{Expiration, InvalidTicket, TicketClass, TicketValidator},
///     unique_id,
/// };
///
/// /// Whoever shows the id of its own node followed by the password may come in.
/// struct Password(&'static str);
///
/// impl TicketValidator for Password {
///     fn class(&self) -> TicketClass {
///         unique_id!("example.password")
///     }
///
///     fn signature(&self) -> UniqueId {
///         self.class().derive(self.0)
///     }
///
///     fn validate(&self, ticket: &[u8], peer: &PeerEntry) -> Result<Expiration, InvalidTicket> {
///         let expected = [peer.id().as_bytes(), self.0.as_bytes()].concat();
///         if ticket == expected { Ok(Expiration::Never) } else { Err(InvalidTicket) }
///     }
/// }
///
/// assert_eq!(Password("friend").named("doorkeeper").name(), "doorkeeper");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `TicketValidator`",
    label = "expected something that judges tickets",
    note = "implement `mosaik::tickets::TicketValidator` for it"
)]
pub trait TicketValidator: Send + Sync + 'static {
    /// The class of the tickets that this validator understands.
    fn class(&self) -> TicketClass;

    /// Names the validator's type and configuration: two that judge alike have the same, on every
    /// node.
    fn signature(&self) -> UniqueId;

    /// Judges one ticket of this validator's class, shown by `peer`: says until when it is good.
    ///
    /// During the call, [`Expiration`] takes the date of the node that asks for "now". A validator
    /// that panics has refused.
    ///
    /// # Errors
    /// [`InvalidTicket`] if it does not pass. A ticket that has expired does not pass either,
    /// whether this says so or returns its date.
    fn validate(&self, ticket: &[u8], peer: &PeerEntry) -> Result<Expiration, InvalidTicket>;

    /// What logs call the validator. Default: the beginning of its signature.
    fn name(&self) -> Cow<'_, str> {
        self.signature().short().to_string().into()
    }

    /// The same validator under a name of your choice, which takes the place of its signature:
    /// nodes whose validators have the same name are taken to require the same, so that keys can
    /// be changed on one node after the other.
    fn named(self, name: impl Into<String>) -> Named<Self>
    where
        Self: Sized,
    {
        Named { name: name.into(), validator: self }
    }
}

/// A validator under another name, see [`TicketValidator::named`].
#[derive(Clone)]
pub struct Named<V> {
    name: String,
    validator: V,
}

impl<V: TicketValidator> TicketValidator for Named<V> {
    fn class(&self) -> TicketClass {
        self.validator.class()
    }

    fn signature(&self) -> UniqueId {
        self.class().derive("named").derive(&self.name)
    }

    fn validate(&self, ticket: &[u8], peer: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        self.validator.validate(ticket, peer)
    }

    fn name(&self) -> Cow<'_, str> {
        self.name.as_str().into()
    }
}

impl<V> fmt::Debug for Named<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Named").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<V: TicketValidator + ?Sized> TicketValidator for Box<V> {
    fn class(&self) -> TicketClass {
        (**self).class()
    }

    fn signature(&self) -> UniqueId {
        (**self).signature()
    }

    fn validate(&self, ticket: &[u8], peer: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        (**self).validate(ticket, peer)
    }

    fn name(&self) -> Cow<'_, str> {
        (**self).name()
    }
}

impl<V: TicketValidator + ?Sized> TicketValidator for Arc<V> {
    fn class(&self) -> TicketClass {
        (**self).class()
    }

    fn signature(&self) -> UniqueId {
        (**self).signature()
    }

    fn validate(&self, ticket: &[u8], peer: &PeerEntry) -> Result<Expiration, InvalidTicket> {
        (**self).validate(ticket, peer)
    }

    fn name(&self) -> Cow<'_, str> {
        (**self).name()
    }
}

/// The name alone: what a validator knows may be secret.
impl fmt::Debug for dyn TicketValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketValidator({})", self.name())
    }
}
