//! Who is in the group: what the leader does about it, by its autopilot.

use std::collections::{BTreeMap, BTreeSet};

use tokio::{sync::mpsc, time::Instant};

use super::{Inner, Worker, evictions::Eviction};
use crate::{
    groups::{
        autopilot::{Action, Autopilot, Member, Preference, Reason, View},
        event::{GroupEvent, MembershipReason},
        formation::Status,
        member::{IncarnationId, MemberId},
        raft::{ChangeError, Members as InRaft, Node},
    },
    id::PeerId,
    transport::CloseReason,
};

/// What the leader knows of its members beside what Raft knows.
pub(super) struct Members {
    /// Who wants to be taken in.
    pub(super) joining: BTreeSet<MemberId>,
    /// Who has said that it goes.
    pub(super) leaving: BTreeSet<MemberId>,
    /// Whom the operator wants out.
    pub(super) evict: BTreeSet<MemberId>,
    /// Voters whose bonds are closed; see `barring.rs`.
    pub(super) barred: BTreeSet<MemberId>,
    /// The others have heard from this leader who is not wanted.
    pub(super) unwanted_told: bool,
    /// Who waits until somebody is out.
    pub(super) evictions: Vec<Eviction>,
    /// What peers say of themselves.
    pub(super) statuses: BTreeMap<PeerId, Status>,
    /// This node led when it was last looked.
    leading: bool,
    /// A change is under way.
    changing: bool,
    done: mpsc::Sender<Inner>,
}

/// What came of a change.
#[derive(Debug)]
pub(super) struct Changed {
    action: Action,
    before: InRaft,
    outcome: Result<(), ChangeError>,
}

impl Members {
    pub(super) fn new(done: mpsc::Sender<Inner>) -> Self {
        Self {
            joining: BTreeSet::new(),
            leaving: BTreeSet::new(),
            evict: BTreeSet::new(),
            barred: BTreeSet::new(),
            unwanted_told: false,
            evictions: Vec::new(),
            statuses: BTreeMap::new(),
            leading: false,
            changing: false,
            done,
        }
    }

    pub(super) fn is_leading(&self) -> bool {
        self.leading
    }

    /// How many commands an incarnation has, as far as its members have said.
    pub(super) fn commands_of(&self, incarnation: IncarnationId) -> u64 {
        let of_it = |status: &&Status| status.incarnation == Some(incarnation);
        self.statuses.values().filter(of_it).map(|status| status.index).max().unwrap_or(0)
    }

    pub(super) fn preference(&self, member: &MemberId) -> Preference {
        match self.statuses.values().find(|status| status.member == *member) {
            Some(status) if status.observer => Preference::Observer,
            Some(status) if status.reluctant => Preference::Reluctant,
            _ => Preference::Normal,
        }
    }

    /// The voter that is fit to lead beside this one, if there is one: that which has most of the
    /// log, of those who have answered lately, and rather one that wants to.
    pub(super) fn successor(&self, node: &Node, me: &MemberId) -> Option<MemberId> {
        let voters = node.view().borrow().members.voters.clone();
        let fresh = node.timing().election_max;
        let progress = node.progress().into_iter();
        let fit = progress.filter(|other| {
            other.member != *me
                && voters.contains(&other.member)
                && other.acknowledged.is_some_and(|age| age <= fresh)
        });
        let is_willing = |member: &MemberId| self.preference(member) == Preference::Normal;
        fit.max_by_key(|other| (is_willing(&other.member), other.matched)).map(|it| it.member)
    }
}

impl Worker {
    /// Another Raft node begins, or none is left.
    pub(super) fn forget_members(&mut self) {
        self.end_evictions();
        let members = &mut self.members;
        members.joining.clear();
        members.leaving.clear();
        members.evict.clear();
        members.barred.clear();
        members.leading = false;
    }

    /// At the leader: sees whether somebody is to be taken in, or out, and begins with it.
    pub(super) async fn look_after_members(&mut self) {
        let Some(view) = self.members_view() else {
            self.members.leading = false;
            return;
        };
        if !std::mem::replace(&mut self.members.leading, true) {
            self.autopilot.begin();
            self.members.unwanted_told = false;
            // A leader before may have told of them.
            let is_member =
                |member: &MemberId| view.voters.contains(member) || view.learners.contains(member);
            self.members.evict.retain(is_member);
        }
        if self.members.changing {
            return;
        }
        let actions = self.autopilot.plan(&view, Instant::now());
        if view.open && !view.changing && !view.joint {
            self.bar();
        }
        if let (Some(action), Some(running)) = (actions.into_iter().next(), &self.running) {
            self.members.changing = true;
            let (node, done) = (running.node.clone(), self.members.done.clone());
            self.core.tasks().spawn("groups.change", async move {
                let before = node.view().borrow().members.clone();
                let outcome = change(&node, &action, &before).await;
                // The worker has ended otherwise.
                let _ = done.send(Inner::Changed(Changed { action, before, outcome })).await;
            });
        }
    }

    /// Whether the leader has to look after anybody, now or soon.
    pub(super) fn wants_ticks(&self) -> bool {
        match (self.members_view(), &self.running) {
            (Some(view), _) => Autopilot::wants_ticks(&view) || view.alive.len() > 1,
            (None, Some(_)) => true,
            (None, None) => false,
        }
    }

    fn members_view(&self) -> Option<View> {
        let running = self.running.as_ref()?;
        let (raft, flags) = (running.view.borrow(), *running.flags.borrow());
        let node = &running.node;
        if !super::views::is_leading(running, &raft) {
            return None;
        }
        let InRaft { voters, learners, joint, .. } = raft.members.clone();
        let progress: BTreeMap<_, _> =
            node.progress().into_iter().map(|it| (it.member, it)).collect();
        // Nobody judges himself in a group of one.
        let alone = voters.len() == 1 && voters.contains(&node.me());
        let member = |id: &MemberId| {
            let progress = progress.get(id);
            let member = Member {
                matched: progress.and_then(|it| it.matched),
                acknowledged: progress.and_then(|it| it.acknowledged),
                preference: self.preference_of(id),
                expired: !(alone && *id == node.me()) && self.is_expired(id),
                leaving: self.members.leaving.contains(id),
                evict: self.members.evict.contains(id),
            };
            (*id, member)
        };
        let bonds = self.bonds.bonds();
        let alive = bonds.iter().map(|bond| (bond.peer(), bond.member()));
        Some(View {
            me: node.me(),
            open: flags.open,
            yielded: flags.yielded_to.is_some(),
            members: voters.iter().chain(&learners).map(member).collect(),
            voters,
            learners,
            joint,
            changing: raft.changing,
            log_end: node.log_end().unwrap_or(0),
            joining: self.members.joining.clone(),
            alive: alive.chain([(self.core.local(), node.me())]).collect(),
        })
    }

    fn preference_of(&self, member: &MemberId) -> Preference {
        if !member.is_of(&self.core.local()) {
            return self.members.preference(member);
        }
        let own = self.formation.status();
        match (own.observer, own.reluctant) {
            (true, _) => Preference::Observer,
            (false, true) => Preference::Reluctant,
            (false, false) => Preference::Normal,
        }
    }

    /// A change has been made, or not.
    pub(super) async fn changed(&mut self, changed: Changed) {
        let Changed { action, before, outcome } = changed;
        self.members.changing = false;
        match outcome {
            Ok(()) => {
                self.tell_change(&action, &before);
                self.settle_evictions();
                self.look_after_members().await;
            }
            // It is tried again at the next tick: what kept it from being made is still there now.
            Err(error) => {
                let group = self.core.config().group_id();
                tracing::debug!(%group, ?action, %error, "a change of members was not made");
            }
        }
    }

    fn tell_change(&mut self, action: &Action, before: &InRaft) {
        match action {
            Action::Transfer { .. } => {}
            Action::FinishJoint { reason } => self.tell_finished(before, (*reason).into()),
            Action::AddLearner { member, reason } => {
                self.members.joining.remove(member);
                for (_, peer) in peers([member].into_iter()) {
                    self.tell_of(GroupEvent::LearnerAdded, peer, (*reason).into());
                }
            }
            Action::SetVoters { voters, retain, subjects, reason } => {
                // The rest has come because of them.
                let why = |member: &MemberId| match subjects.contains(member) {
                    true => (*reason).into(),
                    false => MembershipReason::Replacement,
                };
                for (member, peer) in peers(voters.difference(&before.voters)) {
                    self.tell_of(GroupEvent::VoterAdded, peer, why(&member));
                }
                for (member, peer) in peers(before.voters.difference(voters)) {
                    self.tell_of(GroupEvent::VoterRemoved, peer, why(&member));
                    if !retain {
                        self.removed(&member, peer, why(&member));
                    }
                }
            }
            Action::RemoveLearners { members, reason } => {
                for (member, peer) in peers(members.iter()) {
                    self.removed(&member, peer, (*reason).into());
                }
            }
        }
    }

    /// A change that a leader before had begun: what it was for is not known any more.
    fn tell_finished(&mut self, before: &InRaft, reason: MembershipReason) {
        let now = self.running.as_ref().map(|it| it.view.borrow().members.clone());
        let (added, gone) = finished(before);
        for (_, peer) in peers(added.iter()) {
            self.tell_of(GroupEvent::VoterAdded, peer, reason);
        }
        for (member, peer) in peers(gone.iter()) {
            self.tell_of(GroupEvent::VoterRemoved, peer, reason);
            if !now.as_ref().is_some_and(|now| now.learners.contains(&member)) {
                self.removed(&member, peer, reason);
            }
        }
    }

    /// Tells of a change, and counts it.
    fn tell_of(
        &self,
        event: impl FnOnce(PeerId, MembershipReason) -> GroupEvent,
        peer: PeerId,
        reason: MembershipReason,
    ) {
        self.core.counts().member_changed(reason);
        self.core.tell(event(peer, reason));
    }

    /// Somebody is no member any more.
    fn removed(&mut self, member: &MemberId, peer: PeerId, reason: MembershipReason) {
        self.tell_of(GroupEvent::MemberRemoved, peer, reason);
        self.members.leaving.remove(member);
        if reason == MembershipReason::Left {
            self.strangers.leave(peer);
        }
        self.members.evict.remove(member);
        if reason == MembershipReason::TicketEnded
            && let Some(bond) = self.bonds.member(member)
        {
            bond.close(CloseReason::GroupRefused);
        }
    }
}

pub(super) fn peers<'a>(
    members: impl Iterator<Item = &'a MemberId>,
) -> impl Iterator<Item = (MemberId, PeerId)> {
    let named: Vec<_> = members.filter_map(|member| Some((*member, member.peer()?))).collect();
    named.into_iter()
}

/// Who votes, and who does not any more, once a change that was half made is finished.
fn finished(before: &InRaft) -> (BTreeSet<MemberId>, BTreeSet<MemberId>) {
    let [old, new] = &before.configs[..] else { return Default::default() };
    (new - old, old - new)
}

async fn change(node: &Node, action: &Action, before: &InRaft) -> Result<(), ChangeError> {
    match action {
        Action::FinishJoint { .. } => node.finish_joint().await,
        Action::AddLearner { member, .. } => node.add_learner(*member).await,
        Action::SetVoters { voters, retain, .. } => {
            let promote = voters.difference(&before.voters).copied().collect();
            let remove = before.voters.difference(voters).copied().collect();
            node.change_voters(promote, remove, *retain).await
        }
        Action::RemoveLearners { members, .. } => node.remove_learners(members.clone()).await,
        Action::Transfer { to, .. } => node.transfer_to(*to).await,
    }
}

impl From<Reason> for MembershipReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Asked => Self::Joined,
            Reason::Stable => Self::CaughtUp,
            Reason::Even => Self::Surplus,
            Reason::Unfinished => Self::Unfinished,
            Reason::Restarted => Self::Restarted,
            Reason::Leaving => Self::Left,
            Reason::Evicted => Self::Evicted,
            Reason::TicketExpired => Self::TicketEnded,
            Reason::Silent => Self::Silent,
            Reason::Reluctant => Self::Replacement,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_was_half_made_says_who_comes_and_who_goes() {
        let set = |numbers: &[u64]| numbers.iter().copied().map(MemberId::from).collect();
        let half = InRaft { configs: vec![set(&[1, 2, 3]), set(&[1, 2, 4])], ..InRaft::default() };
        assert_eq!(finished(&half), (set(&[4]), set(&[3])));
        let whole = InRaft { configs: vec![set(&[1, 2, 3])], ..InRaft::default() };
        assert_eq!(finished(&whole), Default::default());
    }
}
