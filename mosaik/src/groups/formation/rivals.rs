//! A member: two incarnations meet, and one gives way.

use std::collections::BTreeSet;

use rand::RngExt;

use super::{
    core::Formation,
    effect::{Discarded, FormationEvent, Proposal},
    input::RaftView,
    message::{Ending, Message, Standing},
    stages::{Challenge, Parting, Tenure},
};
use crate::{groups::member::IncarnationId, id::PeerId};

/// So many rivals are remembered as told of.
const MAX_TOLD: usize = 64;

/// Where a chain of incarnations that gave way ends.
enum Winner {
    /// Here, with a leader.
    Alive(IncarnationId),
    /// Nowhere: it comes back to where it began. The smallest of those in it.
    Cycle(IncarnationId),
    /// Out of sight.
    Unseen,
}

impl Formation {
    /// Whom this incarnation has given way to, if it has.
    pub(super) fn gave_way(&self, tenure: &Tenure, view: &RaftView) -> Option<IncarnationId> {
        let told = tenure.yielded_told.filter(|_| self.is_leaderless(tenure, view));
        // One that names itself has taken it back.
        view.yielded_to.filter(|winner| *winner != tenure.incarnation).or(told)
    }

    fn is_leaderless(&self, tenure: &Tenure, view: &RaftView) -> bool {
        !view.leading && self.peers.leader_of(tenure.incarnation).is_none()
    }

    /// What there is to do about other incarnations.
    pub(super) fn rivalry(&mut self, tenure: &mut Tenure, view: &RaftView) -> Option<Parting> {
        if let Some(winner) = self.gave_way(tenure, view) {
            return self.follow(tenure, view, winner);
        }
        tenure.winner_seen = None;
        if view.yielded_to.is_some() {
            self.ended.remove(tenure.incarnation);
        }
        let rivals: Vec<(PeerId, IncarnationId)> = self
            .peers
            .bonded()
            .filter(|(_, status)| status.leads_open())
            .filter_map(|(peer, status)| Some((*peer, status.incarnation?)))
            .filter(|(_, incarnation)| *incarnation != tenure.incarnation)
            .collect();
        if rivals.is_empty() {
            tenure.stuck_since = None;
            tenure.challenge = None;
            return None;
        }
        if view.leading && view.open {
            tenure.stuck_since = None;
            self.contest(tenure, view, &rivals);
            return None;
        }
        self.stuck(tenure, view)
    }

    /// The smaller id asks; one rival at a time, any of them.
    fn contest(
        &mut self,
        tenure: &mut Tenure,
        view: &RaftView,
        rivals: &[(PeerId, IncarnationId)],
    ) {
        let ours = tenure.incarnation;
        for (_, theirs) in rivals {
            if tenure.rivals_told.len() < MAX_TOLD && tenure.rivals_told.insert(*theirs) {
                self.event(FormationEvent::RivalMet { ours, theirs: *theirs });
            }
        }
        if self.is_yielding(tenure) {
            return;
        }
        let larger: Vec<_> = rivals.iter().filter(|(_, theirs)| ours < *theirs).collect();
        if larger.is_empty() {
            return;
        }
        if let Some(challenge) = &tenure.challenge {
            let waits = larger.iter().any(|(_, theirs)| *theirs == challenge.rival);
            if waits && self.now < challenge.again_at {
                self.wake_at(challenge.again_at);
                return;
            }
        }
        let (peer, rival) = *larger[self.rng.random_range(0..larger.len())];
        let nonce = self.nonce();
        let challenger = standing(tenure, view);
        self.send(peer, Message::Challenge { nonce, challenger, challenged: rival });
        let again_at = self.now + self.config.retry;
        tenure.challenge = Some(Challenge { nonce, rival, again_at });
        self.wake_at(again_at);
    }

    /// A yielding was proposed, and may still be committed.
    fn is_yielding(&mut self, tenure: &Tenure) -> bool {
        let Some((Proposal::Yield { winner }, at)) = tenure.proposed else { return false };
        if winner == tenure.incarnation {
            return false;
        }
        let until = at + self.config.dissolve_after;
        if self.now < until {
            self.wake_at(until);
        }
        self.now < until
    }

    /// The challenged one judges, by what it was told and by what is here now.
    pub(super) fn challenged(
        &mut self,
        tenure: &mut Tenure,
        view: &RaftView,
        from: PeerId,
        nonce: u64,
        challenger: Standing,
    ) {
        let able = view.leading && view.open && self.gave_way(tenure, view).is_none();
        if !able || self.is_yielding(tenure) || challenger.incarnation == tenure.incarnation {
            return;
        }
        let winner = standing(tenure, view);
        if challenger.beats(&winner) {
            self.propose_once(tenure, Proposal::Yield { winner: challenger.incarnation });
        } else {
            let loser = challenger.incarnation;
            self.send(from, Message::Prevail { nonce, winner, loser });
        }
    }

    /// The challenged one need not give way, so this one does.
    pub(super) fn lost_contest(
        &mut self,
        tenure: &mut Tenure,
        view: &RaftView,
        nonce: u64,
        winner: Standing,
    ) {
        let asked = tenure.challenge.as_ref().is_some_and(|challenge| {
            challenge.nonce == nonce
                && challenge.rival == winner.incarnation
                && self.now < challenge.again_at
        });
        let able = view.leading && view.open && self.gave_way(tenure, view).is_none();
        if asked && able && !self.is_yielding(tenure) {
            tenure.challenge = None;
            self.propose_once(tenure, Proposal::Yield { winner: winner.incarnation });
        }
    }

    /// It has given way: its log is kept until a winner is there that is alive.
    fn follow(
        &mut self,
        tenure: &mut Tenure,
        view: &RaftView,
        winner: IncarnationId,
    ) -> Option<Parting> {
        let ours = tenure.incarnation;
        let seen = *tenure.winner_seen.get_or_insert(self.now);
        let take_back = Proposal::Yield { winner: ours };
        match self.end_of_chain(ours, winner) {
            Winner::Alive(kept) => {
                // The others first: they need the leader to hear of it.
                if view.leading && self.now < seen + self.config.retry {
                    self.wake_at(seen + self.config.retry);
                    return None;
                }
                self.ended.insert(ours, Ending::Yielded(winner));
                Some(self.give_way(ours, kept, view))
            }
            Winner::Cycle(smallest) if smallest == ours && view.leading => {
                self.propose_once(tenure, take_back);
                None
            }
            Winner::Cycle(_) | Winner::Unseen => {
                let until = seen + self.config.winner_gone_after;
                if view.leading && self.now >= until {
                    let proposed = tenure.proposed.map(|(proposal, _)| proposal);
                    if proposed != Some(take_back) {
                        self.event(FormationEvent::YieldWithdrawn { incarnation: ours });
                    }
                    self.propose_once(tenure, take_back);
                } else if view.leading {
                    self.wake_at(until);
                }
                None
            }
        }
    }

    fn give_way(&mut self, merged: IncarnationId, kept: IncarnationId, view: &RaftView) -> Parting {
        self.event(FormationEvent::Merged { kept, merged, dropped: view.applied });
        self.discard(merged, Discarded::Yielded { winner: kept })
    }

    fn end_of_chain(&self, ours: IncarnationId, winner: IncarnationId) -> Winner {
        let mut passed = BTreeSet::from([ours]);
        let mut at = winner;
        while passed.insert(at) {
            let alive = self.peers.leader_of(at).is_some_and(|(_, status)| status.leads_open());
            if alive {
                return Winner::Alive(at);
            }
            let told = self.peers.bonded().find_map(|(_, status)| {
                status.yielded_to.filter(|_| status.incarnation == Some(at))
            });
            let remembered = match self.ended.get(at).or_else(|| self.yields.get(at)) {
                Some(Ending::Yielded(next)) => Some(next),
                _ => None,
            };
            match told.or(remembered) {
                Some(next) => at = next,
                None => return Winner::Unseen,
            }
        }
        passed.first().map_or(Winner::Unseen, |smallest| Winner::Cycle(*smallest))
    }

    /// A rival is alive, and this incarnation may be past help.
    fn stuck(&mut self, tenure: &mut Tenure, view: &RaftView) -> Option<Parting> {
        let ours = tenure.incarnation;
        let kept = self.peers.best_to_join().map(|(_, incarnation)| incarnation)?;
        let lost = view.membership.is_lost(|member| self.peers.is_dead(member));
        if lost && kept != ours {
            // It can commit nothing any more, not even that it yields.
            return Some(self.give_way(ours, kept, view));
        }
        // An elastic founder that never saw it open, and whose log holds no command.
        let empty = !view.open && view.logged == 0 && self.config.strict.is_none();
        if !empty || !self.is_leaderless(tenure, view) {
            tenure.stuck_since = None;
            return None;
        }
        let until = *tenure.stuck_since.get_or_insert(self.now) + self.config.dissolve_after;
        if self.now >= until {
            return Some(self.abandon(ours, view.log_end, Discarded::NoLeader));
        }
        self.wake_at(until);
        None
    }
}

fn standing(tenure: &Tenure, view: &RaftView) -> Standing {
    Standing {
        incarnation: tenure.incarnation,
        index: view.logged,
        voters: u16::try_from(view.membership.voters().len()).unwrap_or(u16::MAX),
    }
}
