//! Entering: a Raft node with an empty log, as a founder or to join.

use super::{
    core::Formation,
    effect::{Discarded, Effect, FormationEvent},
    message::Message,
    stages::{Entering, Phase, Tenure},
};
use crate::{
    groups::{member::IncarnationId, raft::Timing},
    id::PeerId,
};

impl Formation {
    pub(super) fn join(&mut self, leader: PeerId, incarnation: IncarnationId) -> Phase {
        // Whatever a leader says, it must be possible.
        let told = self.peers.get(&leader).map(|status| status.timing);
        let timing = told.filter(Timing::is_sane).unwrap_or(self.config.timing);
        self.emit(Effect::Start { incarnation, timing, founding: None });
        self.event(FormationEvent::Joining { incarnation });
        self.send(leader, Message::Join { incarnation, member: self.me });
        let entering = self.entering(incarnation, timing, false);
        Phase::Entering(Entering { ask_at: self.now + self.config.retry, ..entering })
    }

    pub(super) fn settle_entering(&mut self, mut entering: Entering) -> Phase {
        let incarnation = entering.incarnation;
        if self.raft.as_ref().is_some_and(|view| view.log_end.is_some()) {
            self.event(FormationEvent::Entered { incarnation });
            return Phase::Member(Tenure::new(incarnation));
        }
        if let Some((leader, status)) = self.peers.leader_of(incarnation) {
            let (leader, yielded) = (*leader, status.yielded_to.is_some());
            if yielded && !entering.founds {
                return Phase::Parting(self.abandon(incarnation, None, Discarded::NotJoined));
            }
            entering.leader_seen = self.now;
            if !entering.founds {
                self.ask(&mut entering, leader);
            }
        }
        // The founder may have elected itself before it has told anybody.
        if self.raft.as_ref().is_some_and(|view| view.leading) {
            entering.leader_seen = self.now;
        }
        let until = entering.leader_seen + self.config.abandon_after;
        if self.now >= until {
            let reason = if entering.founds { Discarded::NoLeader } else { Discarded::NotJoined };
            return Phase::Parting(self.abandon(incarnation, None, reason));
        }
        self.wake_at(until);
        Phase::Entering(entering)
    }

    fn ask(&mut self, entering: &mut Entering, leader: PeerId) {
        if self.now >= entering.ask_at {
            let incarnation = entering.incarnation;
            self.send(leader, Message::Join { incarnation, member: self.me });
            entering.ask_at = self.now + self.config.retry;
        }
        self.wake_at(entering.ask_at);
    }

    pub(super) fn heard_entering(&mut self, entering: &Entering, from: PeerId, message: Message) {
        match message {
            Message::Found { incarnation, voters, .. }
                if entering.founds
                    && incarnation == entering.incarnation
                    && voters.contains(&self.me) =>
            {
                self.send(from, Message::Confirmed { incarnation, member: self.me });
            }
            other => self.refuse(from, &other),
        }
    }
}
