//! Tickets in the catalog. A node may let in only peers with valid ones: then what a peer tells is
//! kept, and shown once the peer was judged. Whoever drives the value asks the validators.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{
    Claim, Effects, State,
    known::{Known, Pass},
};
use crate::{
    discovery::{entry::SignedPeerEntry, refusal::Refusal, version::micros},
    id::PeerId,
    ticket::{Denial, Expiration, Ticket, Verdict},
};

impl State {
    /// Whether peers have to be let in; to be set before there are any.
    pub(crate) fn set_gated(&mut self, gated: bool) {
        self.gated = gated;
    }

    /// Attaches bodies of tickets to the entry of a peer. Refused as forged if the entry does not
    /// name one of them; the others are attached all the same.
    pub(crate) fn attach_tickets(
        &mut self,
        claim: Claim,
        peer: &PeerId,
        tickets: Vec<Ticket>,
        effects: &mut Effects,
    ) -> Result<(), Refusal> {
        let Some(mut known) = self.known().get(peer).cloned() else { return Err(Refusal::Stale) };
        known.is_met |= claim.is_met;
        let all_named = known.attach_tickets(tickets);
        self.make_room(peer, &known, claim.is_let_in, effects)?;
        if let Some(before) = self.known_mut(peer) {
            *before = known;
        }
        self.settle(*peer);
        self.show(*peer, effects);
        if all_named { Ok(()) } else { Err(Refusal::Forged) }
    }

    /// Takes in what the validators said of an entry of a peer, at this date. If the entry has
    /// changed meanwhile, that is void: the newer one is judged by itself.
    pub(crate) fn judged(
        &mut self,
        entry: &SignedPeerEntry,
        verdict: Verdict,
        now: DateTime<Utc>,
        effects: &mut Effects,
    ) {
        let peer = *entry.id();
        let Some(known) = self.known_mut(&peer) else { return };
        let matter = known.entry().map(Pass::matter);
        if matter != Some(Pass::matter(entry)) {
            return;
        }
        let before = known.pass.granted;
        let granted = verdict.renew(before.ok(), now);
        known.pass = Pass { granted, judged: matter };
        if let Err(denial) = granted {
            tracing::debug!(%peer, ?denial, "not let in");
        }
        self.reschedule(peer, before.ok(), granted.ok());
        self.settle(peer);
        self.show(peer, effects);
    }

    /// A peer is not known any more.
    pub(super) fn forget_pass(&mut self, peer: PeerId, known: &Known) {
        self.reschedule(peer, known.pass.granted.ok(), None);
    }

    /// Whether a peer is let in at this date.
    pub(crate) fn admits(&self, peer: &PeerId, now: DateTime<Utc>) -> Result<(), Denial> {
        if !self.gated {
            return Ok(());
        }
        let known = self.known().get(peer).filter(|known| known.entry().is_some());
        match known.map_or(Err(Denial::Pending), |known| known.pass.granted) {
            Ok(until) if until.is_expired_at(now) => Err(Denial::Invalid),
            Ok(_) => Ok(()),
            Err(denial) => Err(denial),
        }
    }

    pub(super) fn lets_in(&self, known: &Known) -> bool {
        !self.gated || known.pass.granted.is_ok()
    }

    /// Whether what is known of a peer was not judged yet.
    pub(super) fn is_to_be_judged(&self, peer: &PeerId) -> bool {
        let known = self.known().get(peer).filter(|_| self.gated);
        known.is_some_and(|known| {
            let matter = known.entry().map(Pass::matter);
            matter.is_some() && matter != known.pass.judged
        })
    }

    /// Has the peers judged again whose passes have expired.
    pub(super) fn expire_passes(&mut self, now: u64, effects: &mut Effects) {
        while let Some((time, peer)) = self.passes.first().copied()
            && time <= now
        {
            self.passes.pop_first();
            if let Some(known) = self.known_mut(&peer) {
                known.pass.judged = None;
                self.show(peer, effects);
            }
        }
    }

    fn reschedule(&mut self, peer: PeerId, old: Option<Expiration>, new: Option<Expiration>) {
        let item = |until| match until {
            Some(Expiration::At(date)) => Some((micros(date), peer)),
            Some(Expiration::Never) | None => None,
        };
        let passes: &mut BTreeSet<_> = &mut self.passes;
        if let Some(old) = item(old) {
            passes.remove(&old);
        }
        passes.extend(item(new));
    }
}
