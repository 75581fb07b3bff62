//! What validators say of a peer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use chrono::{DateTime, Utc};

use super::{InvalidTicket, TicketValidator};
use crate::{
    clock::Clock,
    discovery::PeerEntry,
    ticket::{Expiration, Verdict},
};

/// Puts all validators to the tickets of a peer, at this date: all must pass, and what they say
/// holds until the earliest of them expires. With no validators everybody passes.
pub(crate) fn judge(
    validators: &[Arc<dyn TicketValidator>],
    peer: &PeerEntry,
    now: DateTime<Utc>,
) -> Verdict {
    let mut verdict = Verdict::Valid(Expiration::Never);
    if validators.is_empty() {
        return verdict;
    }
    let _date = Clock::fixed(now).set_for_thread();
    for validator in validators {
        match (judge_one(&**validator, peer, now), verdict) {
            (Verdict::Invalid, _) => {
                let validator = validator.name();
                tracing::debug!(peer = %peer.id(), %validator, "no valid ticket");
                return Verdict::Invalid;
            }
            (Verdict::Valid(until), Verdict::Valid(earliest)) => {
                verdict = Verdict::Valid(until.min(earliest));
            }
            _ => verdict = Verdict::Pending,
        }
    }
    verdict
}

/// Whether tickets of a peer that these validators read are not here.
pub(crate) fn are_lacking(validators: &[Arc<dyn TicketValidator>], peer: &PeerEntry) -> bool {
    validators.iter().any(|validator| peer.lacks_tickets_of(validator.class()))
}

fn judge_one(validator: &dyn TicketValidator, peer: &PeerEntry, now: DateTime<Utc>) -> Verdict {
    match latest(validator, peer) {
        Some(until) if !until.is_expired_at(now) => Verdict::Valid(until),
        _ if peer.lacks_tickets_of(validator.class()) => Verdict::Pending,
        _ => Verdict::Invalid,
    }
}

/// Until when the best of a peer's tickets is good, of those that pass.
fn latest(validator: &dyn TicketValidator, peer: &PeerEntry) -> Option<Expiration> {
    let class = validator.class();
    peer.tickets_of(class).filter_map(|ticket| guarded(validator, &ticket.data, peer).ok()).max()
}

fn guarded(
    validator: &dyn TicketValidator,
    ticket: &[u8],
    peer: &PeerEntry,
) -> Result<Expiration, InvalidTicket> {
    catch_unwind(AssertUnwindSafe(|| validator.validate(ticket, peer))).unwrap_or_else(|_| {
        tracing::error!(validator = %validator.name(), "a validator panicked; taken as a refusal");
        Err(InvalidTicket)
    })
}

impl PeerEntry {
    /// Whether one of the tickets that are here passes, and until when: the latest date of those
    /// that pass.
    ///
    /// # Errors
    /// [`InvalidTicket`] if none passes, or those that would have expired.
    pub fn validate_ticket(
        &self,
        validator: &dyn TicketValidator,
    ) -> Result<Expiration, InvalidTicket> {
        let until = latest(validator, self).ok_or(InvalidTicket)?;
        if until.is_expired() { Err(InvalidTicket) } else { Ok(until) }
    }

    /// Whether the tickets that are here pass all validators, and until when: the earliest date of
    /// them all, or `None` without validators.
    ///
    /// # Errors
    /// [`InvalidTicket`] if one of the validators is not passed.
    pub fn validate_tickets(
        &self,
        validators: &[impl AsRef<dyn TicketValidator>],
    ) -> Result<Option<Expiration>, InvalidTicket> {
        let mut earliest = None;
        for validator in validators {
            let until = self.validate_ticket(validator.as_ref())?;
            earliest = Some(earliest.map_or(until, |earliest: Expiration| earliest.min(until)));
        }
        Ok(earliest)
    }
}
