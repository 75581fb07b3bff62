//! Idle: what others ask and answer while somebody founds.

use tokio::time::Instant;

use super::{
    core::Formation,
    effect::{Effect, FormationEvent},
    message::Message,
    stages::{Entering, Grant, Idle, Phase},
};
use crate::{
    groups::{
        member::{IncarnationId, MemberId},
        raft::Timing,
    },
    id::PeerId,
};

impl Formation {
    pub(super) fn heard_idle(&mut self, mut idle: Idle, from: PeerId, message: Message) -> Phase {
        match message {
            Message::Propose { nonce } => self.asked(&mut idle, from, nonce),
            Message::Granted { nonce, member } => {
                if let Some(attempt) = &mut idle.proposal
                    && attempt.nonce == nonce
                    && attempt.asked.contains(&from)
                    && member.is_of(&from)
                {
                    attempt.granted.insert(from, member);
                }
            }
            Message::Refused { nonce } => {
                if let Some(attempt) = &mut idle.proposal
                    && attempt.nonce == nonce
                    && attempt.found.is_none()
                {
                    attempt.granted.remove(&from);
                    attempt.refused.insert(from);
                }
            }
            Message::Withdraw { nonce } => {
                if idle.grant.as_ref().is_some_and(|grant| grant.to == from && grant.nonce == nonce)
                {
                    idle.grant = None;
                    idle.quiet_since = idle.quiet_since.max(self.now);
                }
            }
            Message::Found { nonce, incarnation, voters, timing } => {
                let founding = (incarnation, timing);
                return self.asked_to_confirm(idle, from, nonce, founding, &voters);
            }
            Message::Confirmed { incarnation, member } => {
                if let Some(found) = idle.proposal.as_mut().and_then(|it| it.found.as_mut())
                    && found.incarnation == incarnation
                    && found.voters.contains(&member)
                    && member.is_of(&from)
                {
                    found.confirmed.insert(member);
                }
            }
            Message::Declined { incarnation } => {
                if let Some(attempt) = &mut idle.proposal
                    && attempt.found.as_ref().is_some_and(|it| it.incarnation == incarnation)
                {
                    attempt.refused.insert(from);
                }
            }
            Message::Gone { .. }
            | Message::Join { .. }
            | Message::Removed { .. }
            | Message::Challenge { .. }
            | Message::Prevail { .. } => {}
        }
        Phase::Idle(idle)
    }

    /// Somebody would found. One promise at a time; of two who ask each other, the smaller goes on.
    fn asked(&mut self, idle: &mut Idle, from: PeerId, nonce: u64) {
        let promised = idle.grant.as_ref().is_some_and(|it| it.to != from && it.until > self.now);
        let own_goes_on =
            idle.proposal.as_ref().is_some_and(|own| own.found.is_some() || self.peer < from);
        let joinable = self.peers.best_to_join().is_some();
        if self.config.observer || promised || own_goes_on || joinable || self.sees_too_many() {
            self.send(from, Message::Refused { nonce });
            return;
        }
        if let Some(own) = idle.proposal.take() {
            self.withdraw(&own);
        }
        let until = self.now + self.config.grant_for;
        idle.grant = Some(Grant { to: from, nonce, until });
        self.send(from, Message::Granted { nonce, member: self.me });
    }

    fn asked_to_confirm(
        &mut self,
        mut idle: Idle,
        from: PeerId,
        nonce: u64,
        (incarnation, timing): (IncarnationId, Timing),
        voters: &[MemberId],
    ) -> Phase {
        let named = voters.contains(&self.me);
        let granted = idle.grant.as_ref().is_some_and(|grant| {
            grant.to == from && grant.nonce == nonce && grant.until > self.now
        });
        if granted {
            // Used up, or not needed.
            idle.grant = None;
            idle.quiet_since = idle.quiet_since.max(self.now);
        }
        let enough = voters.len() >= self.config.strict.unwrap_or(1);
        if !(named && granted && enough) {
            if named {
                self.send(from, Message::Declined { incarnation });
            }
            return Phase::Idle(idle);
        }
        // Raft first: the founder's next message is for it.
        self.emit(Effect::Start { incarnation, timing, founding: None });
        self.send(from, Message::Confirmed { incarnation, member: self.me });
        self.event(FormationEvent::Founding { incarnation, voters: voters.len() });
        Phase::Entering(self.entering(incarnation, timing, true))
    }

    pub(super) fn entering(
        &mut self,
        incarnation: IncarnationId,
        timing: Timing,
        founds: bool,
    ) -> Entering {
        self.raft = None;
        self.timing = timing;
        Entering { incarnation, founds, leader_seen: self.now, ask_at: self.now }
    }

    /// `Strict(n)` is safe among 2n-1 nodes: any two sets of n of them share one.
    pub(super) fn sees_too_many(&mut self) -> bool {
        let Some(n) = self.config.strict else { return false };
        let seen = self.peers.eligible(&self.peer).count() + usize::from(!self.config.observer);
        let limit = (2 * n).saturating_sub(1);
        let too_many = seen > limit;
        if too_many && !self.too_many_told {
            self.event(FormationEvent::TooManyFounders { seen, limit });
        }
        self.too_many_told = too_many;
        too_many
    }

    /// A grant that has run out binds nobody.
    pub(super) fn expire(&mut self, idle: &mut Idle) {
        let until: Option<Instant> = idle.grant.as_ref().map(|grant| grant.until);
        match until {
            Some(until) if until <= self.now => {
                idle.grant = None;
                idle.quiet_since = idle.quiet_since.max(self.now);
            }
            Some(until) => self.wake_at(until),
            None => {}
        }
    }
}
