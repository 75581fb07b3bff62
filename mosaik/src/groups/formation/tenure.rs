//! A member: opening, dissolving, and being removed.

use std::collections::BTreeSet;

use super::{
    core::Formation,
    effect::{Discarded, Effect, FormationEvent, Proposal},
    input::RaftView,
    message::{Ending, Message},
    stages::{Parting, Phase, Tenure},
    status::{Stage, Status},
};
use crate::{groups::member::MemberId, id::PeerId};

impl Formation {
    pub(super) fn settle_member(&mut self, mut tenure: Tenure) -> Phase {
        let Some(view) = self.raft.take() else { return Phase::Member(tenure) };
        let parted = self.left_behind(&mut tenure, &view);
        let parted = parted.or_else(|| self.rivalry(&mut tenure, &view));
        if parted.is_none() {
            self.lead(&mut tenure, &view);
        }
        self.raft = Some(view);
        parted.map_or(Phase::Member(tenure), Phase::Parting)
    }

    /// Whether this incarnation is over for this node without any rival.
    fn left_behind(&mut self, tenure: &mut Tenure, view: &RaftView) -> Option<Parting> {
        let incarnation = tenure.incarnation;
        if view.dissolved {
            self.ended.insert(incarnation, Ending::Dissolved);
            return Some(self.discard(incarnation, Discarded::Dissolved));
        }
        #[cfg(any(test, feature = "faults"))]
        if self.forgets(view) {
            return Some(self.discard(incarnation, Discarded::NoLeader));
        }
        let named = view.membership.contains(&self.me);
        // Who catches up reads memberships from before its own time.
        if tenure.enrolled && !named && view.membership.committed {
            return Some(self.discard(incarnation, Discarded::Removed));
        }
        tenure.enrolled |= named;
        let lost = view.membership.is_lost(|member| self.peers.is_dead(member));
        if !lost {
            tenure.lost_told = false;
            return None;
        }
        if !view.open {
            // It can never commit `Open` any more, nor `Dissolve`.
            return Some(self.discard(incarnation, Discarded::Dissolved));
        }
        if !std::mem::replace(&mut tenure.lost_told, true) {
            let voters = view.membership.voters();
            let dead = voters.iter().filter(|voter| self.peers.is_dead(voter)).count();
            let voters = voters.len();
            self.event(FormationEvent::QuorumUnrecoverable { incarnation, dead, voters });
        }
        None
    }

    /// What a leader does for its incarnation.
    fn lead(&mut self, tenure: &mut Tenure, view: &RaftView) {
        if !view.leading {
            tenure.leading_since = None;
            tenure.proposed = None;
            tenure.opening = false;
            tenure.challenge = None;
            return;
        }
        tenure.leading_since.get_or_insert(self.now);
        if view.open {
            self.tell_removed(tenure, view);
        } else {
            self.open_or_dissolve(tenure, view);
        }
    }

    /// An incarnation takes commands once every founder has stored its first entry: from then on
    /// none of them can be part of another. If one cannot any more, or is not heard of, nobody
    /// shall wait for it.
    fn open_or_dissolve(&mut self, tenure: &mut Tenure, view: &RaftView) {
        let founders = view.membership.voters();
        let stored = founders.iter().all(|founder| view.stored_by.contains(founder));
        if self.config.strict.is_none() || (stored && !founders.is_empty()) {
            tenure.opening = true;
            self.propose_once(tenure, Proposal::Open);
            return;
        }
        // What was logged first counts; but there is no need to give up what is about to open.
        if tenure.opening {
            return;
        }
        let until = tenure.leading_since.unwrap_or(self.now) + self.config.dissolve_after;
        let dead = founders.iter().any(|founder| self.peers.is_dead(founder));
        if dead || self.now >= until {
            self.propose_once(tenure, Proposal::Dissolve);
        } else {
            self.wake_at(until);
        }
    }

    /// Proposes, and again if it does not show.
    pub(super) fn propose_once(&mut self, tenure: &mut Tenure, proposal: Proposal) {
        let due = match tenure.proposed {
            Some((before, at)) if before == proposal => at + self.config.retry,
            _ => self.now,
        };
        if self.now >= due {
            self.emit(Effect::Propose(proposal));
            tenure.proposed = Some((proposal, self.now));
            self.wake_at(self.now + self.config.retry);
        } else {
            self.wake_at(due);
        }
    }

    /// Replication to who is removed ends at once: it may never hear of it otherwise.
    fn tell_removed(&mut self, tenure: &mut Tenure, view: &RaftView) {
        if !view.membership.committed {
            return;
        }
        let incarnation = tenure.incarnation;
        let strays: Vec<(PeerId, MemberId)> = self
            .peers
            .bonded()
            .filter(|(_, status)| {
                status.stage == Stage::Member
                    && status.incarnation == Some(incarnation)
                    && !view.membership.contains(&status.member)
            })
            .map(|(peer, status)| (*peer, status.member))
            .collect();
        let present: BTreeSet<MemberId> = strays.iter().map(|(_, member)| *member).collect();
        tenure.removals_told.retain(|member, _| present.contains(member));
        for (peer, member) in strays {
            let due = tenure.removals_told.get(&member).map(|at| *at + self.config.retry);
            if due.is_none_or(|due| self.now >= due) {
                let (term, at) = (view.term, view.membership.at);
                self.send(peer, Message::Removed { incarnation, member, term, at });
                tenure.removals_told.insert(member, self.now);
            }
            self.wake_at(due.unwrap_or(self.now).max(self.now + self.config.retry));
        }
    }

    /// Whether a peer leads this incarnation, as far as anybody here knows: it says so itself, and
    /// whom Raft follows here does not. Who was removed may not have heard of the leader that did
    /// it.
    fn is_known_leader(&self, peer: &PeerId, tenure: &Tenure, view: &RaftView) -> bool {
        let leads = |(_, status): &(&PeerId, &Status)| {
            status.leading
                && status.stage == Stage::Member
                && status.incarnation == Some(tenure.incarnation)
        };
        let followed = |(_, status): &(&PeerId, &Status)| view.leader == Some(status.member);
        let mut followed = self.peers.bonded().filter(followed).filter(leads);
        let other_leads = view.leading || followed.any(|(followed, _)| followed != peer);
        !other_leads && self.peers.get(peer).is_some_and(|status| leads(&(peer, status)))
    }

    pub(super) fn heard_member(
        &mut self,
        tenure: &mut Tenure,
        from: PeerId,
        message: Message,
    ) -> Option<Parting> {
        let view = self.raft.take()?;
        let parted = match message {
            Message::Join { incarnation, member } => {
                let leads = view.leading && view.open && self.gave_way(tenure, &view).is_none();
                if leads
                    && incarnation == tenure.incarnation
                    && member.is_of(&from)
                    && !view.membership.contains(&member)
                {
                    self.emit(Effect::AddMember(member));
                }
                None
            }
            Message::Removed { incarnation, member, term, at } => {
                // A membership that is older than what is here knows nothing of this member, unless
                // a later leader says it: that has every entry that was ever committed, so what it
                // does not have was not. That is what becomes of who was about to be taken in when
                // the leader was lost; as is that it is the same, and does not name this member.
                let known = &view.membership;
                let named = known.contains(&self.me);
                let is_later = at > known.at || at == known.at && !named;
                let is_news = term > known.term || term == known.term && is_later;
                let removed = incarnation == tenure.incarnation
                    && member == self.me
                    && is_news
                    && self.is_known_leader(&from, tenure, &view);
                removed.then(|| self.discard(incarnation, Discarded::Removed))
            }
            Message::Challenge { nonce, challenger, challenged }
                if challenged == tenure.incarnation =>
            {
                self.challenged(tenure, &view, from, nonce, challenger);
                None
            }
            Message::Prevail { nonce, winner, loser } if loser == tenure.incarnation => {
                self.lost_contest(tenure, &view, nonce, winner);
                None
            }
            other => {
                self.refuse(from, &other);
                None
            }
        };
        self.raft = Some(view);
        parted
    }
}

/// A deliberate fault.
#[cfg(any(test, feature = "faults"))]
impl Formation {
    /// Whether what was granted and stored is forgotten: the leader is out of sight.
    fn forgets(&self, view: &RaftView) -> bool {
        let is_seen = |leader| self.peers.bonded().any(|(_, status)| status.member == leader);
        crate::faults::is_present(crate::faults::Fault::ForgetsGrants)
            && view.leader.is_some_and(|leader| leader != self.me && !is_seen(leader))
    }
}
