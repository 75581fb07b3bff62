//! Idle: founding, when there is nothing to join.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use tokio::time::Instant;

use super::{
    core::Formation,
    effect::{Effect, FormationEvent},
    message::{Ending, MAX_FOUNDERS, Message},
    stages::{Attempt, Found, Idle, Phase},
};
use crate::{
    groups::member::{IncarnationId, MemberId},
    id::PeerId,
};

/// After so many attempts that came to nothing, an elastic founder goes on with whoever has granted;
/// after one more, alone.
const PATIENCE: u32 = 2;

impl Formation {
    pub(super) fn settle_idle(&mut self, mut idle: Idle) -> Phase {
        self.expire(&mut idle);
        self.look_around();
        if let Some(attempt) = idle.proposal.take() {
            return self.advance(idle, attempt);
        }
        if let Some((leader, incarnation)) =
            self.peers.best_to_join().map(|(leader, incarnation)| (*leader, incarnation))
        {
            return self.join(leader, incarnation);
        }
        let Some(turn_at) = self.turn_at(&idle) else { return Phase::Idle(idle) };
        if self.now < turn_at {
            self.wake_at(turn_at);
            return Phase::Idle(idle);
        }
        let attempt = self.propose();
        self.advance(idle, attempt)
    }

    /// Founding waits until others had the time to be found.
    fn look_around(&mut self) {
        if self.ready_since.is_some() {
            return;
        }
        let until = self.started + self.config.bootstrap_delay;
        if self.now >= until || self.peers.all_answered(&self.peer) {
            self.ready_since = Some(self.now);
        } else {
            self.wake_at(until);
        }
    }

    /// When it is this node's turn to propose; `None` while it must not at all.
    fn turn_at(&mut self, idle: &Idle) -> Option<Instant> {
        let ready_since = self.ready_since?;
        let busy = idle.grant.is_some() || self.peers.any_inside(None);
        if self.config.observer || busy || self.sees_too_many() {
            return None;
        }
        let others = self.peers.founders().count();
        if others + 1 < self.config.strict.unwrap_or(1) {
            return None;
        }
        let rank = self.peers.founders().filter(|peer| **peer < self.peer).count();
        let turn = self.config.turn * u32::try_from(rank).unwrap_or(u32::MAX);
        Some(ready_since.max(idle.quiet_since) + turn)
    }

    fn propose(&mut self) -> Attempt {
        let nonce = self.nonce();
        let asked: BTreeSet<PeerId> =
            self.peers.founders().take(MAX_FOUNDERS - 1).copied().collect();
        for to in &asked {
            self.send(*to, Message::Propose { nonce });
        }
        Attempt {
            nonce,
            until: self.now + self.config.answer_within,
            asked,
            granted: BTreeMap::new(),
            refused: BTreeSet::new(),
            found: None,
        }
    }

    fn advance(&mut self, idle: Idle, attempt: Attempt) -> Phase {
        // Never form when there is something to join.
        let own = attempt.found.as_ref().map(|found| found.incarnation);
        if self.peers.any_inside(own) {
            return self.failed(idle, attempt);
        }
        match &attempt.found {
            None => self.collect(idle, attempt),
            Some(_) => self.confirm(idle, attempt),
        }
    }

    /// Waits for grants; goes on when all have answered, or it has taken too long.
    fn collect(&mut self, idle: Idle, mut attempt: Attempt) -> Phase {
        let waits = |peer: &PeerId| {
            !attempt.granted.contains_key(peer)
                && !attempt.refused.contains(peer)
                && self.peers.get(peer).is_some()
        };
        let waiting = attempt.asked.iter().any(waits);
        if waiting && self.now < attempt.until {
            self.wake_at(attempt.until);
            return Phase::Idle(Idle { proposal: Some(attempt), ..idle });
        }
        let peers = &self.peers;
        let is_present = |peer: &PeerId, member: &MemberId| {
            peers.get(peer).is_some_and(|status| status.member == *member && status.may_found())
        };
        attempt.granted.retain(|peer, member| is_present(peer, member));
        let size = attempt.granted.len() + 1;
        let enough = match self.config.strict {
            Some(n) => size >= n,
            None => size > attempt.asked.len() || idle.failures >= PATIENCE,
        };
        if !enough {
            return self.failed(idle, attempt);
        }
        let found = self.found(&attempt, idle.failures > PATIENCE);
        attempt.until = self.now + self.config.answer_within;
        attempt.refused.clear();
        attempt.found = Some(found);
        self.confirm(idle, attempt)
    }

    /// Picks the voters and asks them to confirm. Who is not among them is free again.
    fn found(&mut self, attempt: &Attempt, alone: bool) -> Found {
        let elapsed = self.now.duration_since(self.started).as_micros();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let created_us = self.config.date_us.saturating_add(elapsed);
        let incarnation = IncarnationId::new(created_us, self.rng.random());
        let mut others: Vec<(bool, PeerId, MemberId)> = attempt
            .granted
            .iter()
            .map(|(peer, member)| {
                (self.peers.get(peer).is_some_and(|it| it.reluctant), *peer, *member)
            })
            .collect();
        others.sort_unstable();
        let size = if alone && self.config.strict.is_none() { 1 } else { others.len() + 1 };
        let voters: BTreeSet<MemberId> = std::iter::once(self.me)
            .chain(others.into_iter().map(|(_, _, member)| member))
            .take(self.config.voters_of(size))
            .collect();
        for to in attempt.granted.keys() {
            let voters = voters.iter().copied().collect();
            let (nonce, timing) = (attempt.nonce, self.config.timing);
            self.send(*to, Message::Found { nonce, incarnation, voters, timing });
        }
        Found { incarnation, voters, confirmed: BTreeSet::from([self.me]) }
    }

    /// Waits for all confirmations; only then is anything started.
    fn confirm(&mut self, idle: Idle, attempt: Attempt) -> Phase {
        let Some(found) = &attempt.found else { return Phase::Idle(idle) };
        if found.confirmed == found.voters {
            let incarnation = found.incarnation;
            let voters = found.voters.clone();
            self.event(FormationEvent::Founding { incarnation, voters: voters.len() });
            let timing = self.config.timing;
            self.emit(Effect::Start { incarnation, timing, founding: Some(voters) });
            return Phase::Entering(self.entering(incarnation, timing, true));
        }
        let missing = attempt.granted.iter().any(|(peer, member)| {
            found.voters.contains(member)
                && (attempt.refused.contains(peer)
                    || self.peers.get(peer).is_none_or(|status| status.member != *member))
        });
        if missing || self.now >= attempt.until {
            return self.failed(idle, attempt);
        }
        self.wake_at(attempt.until);
        Phase::Idle(Idle { proposal: Some(attempt), ..idle })
    }

    /// Nothing was started; who has granted or confirmed is told so, and others have their turn.
    fn failed(&mut self, idle: Idle, attempt: Attempt) -> Phase {
        self.withdraw(&attempt);
        let failures = idle.failures.saturating_add(1);
        let pause = self.pause(self.config.turn * failures.min(4));
        let quiet_since = self.now + pause;
        self.wake_at(quiet_since);
        Phase::Idle(Idle { quiet_since, failures, proposal: None, ..idle })
    }

    pub(super) fn withdraw(&mut self, attempt: &Attempt) {
        for to in &attempt.asked {
            self.send(*to, Message::Withdraw { nonce: attempt.nonce });
        }
        if let Some(found) = &attempt.found {
            let incarnation = found.incarnation;
            self.ended.insert(incarnation, Ending::Aborted);
            for to in attempt.granted.keys() {
                self.send(*to, Message::Gone { incarnation, ending: Ending::Aborted });
            }
        }
    }
}
