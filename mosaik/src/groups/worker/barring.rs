//! Voters that should not be here, and keep their votes because a strict group would have too few
//! without them.
//!
//! Their bonds are closed, at the leader and, since it says so, at the others. The leader also says
//! whom the operator wants out: so whoever leads next goes on with it.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{
    Worker,
    messages::{Word, encode},
};
use crate::{
    groups::{autopilot::Reason, bonds::Bond, event::GroupEvent, member::MemberId, raft::Role},
    transport::CloseReason,
};

impl Worker {
    /// At the leader: does what follows from what the autopilot has found out.
    pub(super) fn bar(&mut self) {
        let found = self.autopilot.barred().clone();
        for (member, reason) in &found {
            if !self.barred_told.contains(member)
                && let Some(peer) = member.peer()
            {
                self.core.tell(GroupEvent::VoterBarred(peer, (*reason).into()));
            }
        }
        self.barred_told = found.keys().copied().collect();
        // Who is silent, leaves or has come back as another has no bond that could be closed, or is
        // welcome to speak again.
        let unwelcome = |reason: &Reason| matches!(reason, Reason::Evicted | Reason::TicketExpired);
        let closed = found.into_iter().filter(|(_, reason)| unwelcome(reason));
        let barred = closed.map(|(member, _)| member).collect();
        let changed = self.close_barred(barred);
        if changed || !std::mem::replace(&mut self.members.unwanted_told, true) {
            self.tell_unwanted();
        }
    }

    /// Closes the bonds with these, and lets in again whom it was closed with before. Says whether
    /// that is another thing than it was.
    fn close_barred(&mut self, barred: BTreeSet<MemberId>) -> bool {
        if self.members.barred == barred {
            return false;
        }
        let before = std::mem::replace(&mut self.members.barred, barred);
        for member in self.members.barred.difference(&before) {
            if let Some(bond) = self.bonds.member(member) {
                bond.close(CloseReason::GroupRefused);
            }
        }
        for peer in before.difference(&self.members.barred).filter_map(MemberId::peer) {
            self.bonds.nudge(&peer);
        }
        self.settle_evictions();
        true
    }

    /// At a member that has lost its leader: lets in again who was barred, since the next leader may
    /// need its vote. That one bars it again if it does not.
    pub(super) fn relent(&mut self) {
        let Some(running) = &self.running else { return };
        let leads = running.view.borrow().role == Role::Leader;
        if !leads && !self.members.barred.is_empty() && !running.node.is_in_touch() {
            self.close_barred(BTreeSet::new());
        }
    }

    /// Whether this bond is one that is closed at once.
    pub(super) fn turns_away(&mut self, bond: &Bond) -> bool {
        let unwelcome = self.members.barred.contains(&bond.member());
        if unwelcome {
            self.turned_away.insert(bond.member());
            bond.close(CloseReason::GroupRefused);
        }
        unwelcome
    }

    fn unwanted(&self) -> Option<Bytes> {
        let incarnation = self.running.as_ref()?.node.incarnation();
        let evict = self.members.evict.iter().copied().collect();
        let barred = self.members.barred.iter().copied().collect();
        Some(encode(&Word::Unwanted { incarnation, evict, barred }))
    }

    /// At the leader: tells all members whom it does not want.
    pub(super) fn tell_unwanted(&self) {
        let Some(word) = self.unwanted() else { return };
        for bond in self.bonds.bonds() {
            // A member that does not read hears it again with its next bond.
            let _ = bond.send(word.clone());
        }
    }

    /// At the leader: tells it to somebody who may not have heard it.
    pub(super) fn tell_unwanted_to(&self, bond: &Bond) {
        let nobody = self.members.evict.is_empty() && self.members.barred.is_empty();
        let word = self.unwanted().filter(|_| !nobody && self.members.is_leading());
        if let Some(word) = word {
            // The same.
            let _ = bond.send(word);
        }
    }

    /// The leader has said whom it does not want.
    pub(super) fn heard_unwanted(
        &mut self,
        from: MemberId,
        evict: Vec<MemberId>,
        barred: Vec<MemberId>,
    ) {
        let Some(running) = &self.running else { return };
        let view = running.view.borrow().clone();
        if view.leader != Some(from) || from == running.node.me() {
            return;
        }
        let (members, me) = (view.members, running.node.me());
        let is_voter = |member: &MemberId| members.voters.contains(member);
        let is_member = |member: &MemberId| is_voter(member) || members.learners.contains(member);
        self.members.evict = evict.into_iter().filter(is_member).collect();
        // It is judged by the others, and not by what it does itself.
        let others = |member: &MemberId| is_voter(member) && *member != from && *member != me;
        self.close_barred(barred.into_iter().filter(others).collect());
    }
}
