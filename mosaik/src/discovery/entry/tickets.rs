//! The tickets of an entry: digests in its signed part, bodies beside it.

use std::{collections::BTreeMap, sync::Arc};

use super::PeerEntry;
use crate::{
    id::UniqueId,
    ticket::{MAX_TICKETS_BYTES, Ticket, TicketClass, TicketDigest},
};

impl PeerEntry {
    /// The tickets of the peer whose bodies have arrived, by their ids.
    ///
    /// The signed part of an entry only names its tickets. Their bodies travel beside it and may
    /// come later; equality, digest and serde's form of an entry do not cover them.
    pub fn tickets(&self) -> &BTreeMap<UniqueId, Ticket> {
        &self.0.tickets
    }

    /// Those of a class.
    pub fn tickets_of(&self, class: TicketClass) -> impl Iterator<Item = &Ticket> {
        self.tickets().values().filter(move |ticket| ticket.class == class)
    }

    /// Those of a class whose data pass this check.
    pub fn valid_tickets(
        &self,
        class: TicketClass,
        is_valid: impl Fn(&[u8]) -> bool,
    ) -> impl Iterator<Item = &Ticket> {
        self.tickets_of(class).filter(move |ticket| is_valid(ticket.data()))
    }

    /// Whether there is one of a class whose data pass this check.
    pub fn has_valid_ticket(&self, class: TicketClass, is_valid: impl Fn(&[u8]) -> bool) -> bool {
        self.valid_tickets(class, is_valid).next().is_some()
    }

    /// The entry with this ticket as well; a new version if it was missing. What all tickets may
    /// take together is checked when the entry is [signed](PeerEntry::sign).
    #[must_use]
    pub fn add_ticket(self, ticket: Ticket) -> Self {
        let digest = ticket.digest();
        let mut entry = self.edit(|body| body.tickets.insert(digest));
        Arc::make_mut(&mut entry.0).tickets.insert(digest.id, ticket);
        entry
    }

    /// The entry without this ticket; a new version if it was there.
    #[must_use]
    pub fn remove_ticket(self, id: UniqueId) -> Self {
        self.retain_tickets(|digest| digest.id != id)
    }

    /// The entry without its tickets of a class; a new version if there were any.
    #[must_use]
    pub fn remove_tickets_of(self, class: TicketClass) -> Self {
        self.retain_tickets(|digest| digest.class != class)
    }

    fn retain_tickets(self, keep: impl Fn(&TicketDigest) -> bool) -> Self {
        let mut entry = self.edit(|body| {
            let before = body.tickets.len();
            body.tickets.retain(|digest| keep(digest));
            body.tickets.len() < before
        });
        if entry.tickets().values().any(|ticket| !keep(&ticket.digest())) {
            Arc::make_mut(&mut entry.0).tickets.retain(|_, ticket| keep(&ticket.digest()));
        }
        entry
    }

    /// Attaches bodies that the signed part names; false if it does not name one of them, which is
    /// then left out.
    pub(crate) fn attach_tickets(&mut self, tickets: impl IntoIterator<Item = Ticket>) -> bool {
        let mut all_named = true;
        for ticket in tickets {
            let digest = ticket.digest();
            if !self.0.body.tickets.contains(&digest) {
                all_named = false;
            } else if !self.tickets().contains_key(&digest.id) {
                Arc::make_mut(&mut self.0).tickets.insert(digest.id, ticket);
            }
        }
        all_named
    }

    /// The ids of the tickets whose bodies are not here.
    pub(crate) fn lacking_tickets(&self) -> impl Iterator<Item = UniqueId> {
        let digests = self.0.body.tickets.iter().map(|digest| digest.id);
        digests.filter(|id| !self.tickets().contains_key(id))
    }

    /// Whether the body of a ticket of this class is not here.
    pub(crate) fn lacks_tickets_of(&self, class: TicketClass) -> bool {
        let mut of_class = self.0.body.tickets.iter().filter(|digest| digest.class == class);
        of_class.any(|digest| !self.tickets().contains_key(&digest.id))
    }

    /// Whether both are the same, with the same bodies attached. For one version bodies are only
    /// ever added.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> bool {
        self == other && self.tickets().len() == other.tickets().len()
    }

    /// What the tickets named in the signed part count towards the limit of a peer.
    pub(crate) fn tickets_weight(&self) -> usize {
        let weights = self.0.body.tickets.iter().map(TicketDigest::weight);
        weights.fold(0, usize::saturating_add)
    }

    pub(super) fn has_too_large_tickets(&self) -> bool {
        self.tickets_weight() > MAX_TICKETS_BYTES
    }

    /// What the bodies that are here take, in bytes.
    pub(crate) fn held_tickets_bytes(&self) -> usize {
        self.tickets().values().map(Ticket::weight).sum()
    }
}
