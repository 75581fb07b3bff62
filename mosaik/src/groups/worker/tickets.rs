//! Members whose tickets have ended.
//!
//! The leader takes them out (see `members.rs`), and their bonds end then. The leader is judged by
//! the others: one whose own ticket ends hands leadership on, and if it does not, the others part
//! with it, so that another is elected and takes it out.

use std::time::Duration;

use tokio::time::Instant;

use super::{Worker, spec};
use crate::{
    groups::{member::MemberId, raft::Role},
    id::PeerId,
    ticket::Verdict,
    transport::CloseReason,
};

/// A leader without a ticket may hand leadership on for so long.
const HAND_ON: Duration = Duration::from_secs(5);

impl Worker {
    /// Ends bonds with those who may not be here.
    pub(super) fn judge_tickets(&mut self) {
        if self.core.config().auth().is_empty() {
            return;
        }
        self.judge_leader();
        let members = self.running.as_ref().map(|it| it.view.borrow().members.clone());
        for bond in self.bonds.bonds() {
            let is_member = members.as_ref().is_some_and(|members| {
                let member = bond.member();
                members.voters.contains(&member) || members.learners.contains(&member)
            });
            // The leader sees to members: until they are taken out they are needed to decide that.
            if !is_member && self.has_no_ticket(&bond.peer()) {
                bond.close(CloseReason::GroupRefused);
            }
        }
    }

    fn has_no_ticket(&self, peer: &PeerId) -> bool {
        let auth = self.core.config().auth();
        spec::verdict_with_leeway(auth, &self.discovery, peer) == Some(Verdict::Invalid)
    }

    fn judge_leader(&mut self) {
        let Some(running) = &self.running else { return };
        let (role, leader) = {
            let view = running.view.borrow();
            (view.role, view.leader.and_then(|leader| leader.peer()))
        };
        if role == Role::Leader {
            return self.hand_on_without_ticket();
        }
        let without = leader.filter(|leader| self.has_no_ticket(leader));
        let now = Instant::now();
        match (without, self.leader_without_ticket) {
            (None, _) => self.leader_without_ticket = None,
            (Some(leader), Some((known, since))) if known == leader => {
                if since + HAND_ON <= now
                    && let Some(bond) = self.bonds.get(&leader)
                {
                    bond.close(CloseReason::GroupRefused);
                }
            }
            (Some(leader), _) => self.leader_without_ticket = Some((leader, now)),
        }
    }

    /// A leader whose own ticket has ended lets another lead, if there is one with a ticket.
    fn hand_on_without_ticket(&self) {
        let Some(running) = &self.running else { return };
        if !self.has_no_ticket(&self.core.local()) {
            return;
        }
        let node = running.node.clone();
        let fit = |member: &MemberId| {
            member.peer().is_some_and(|peer| !self.has_no_ticket(&peer)).then_some(*member)
        };
        if let Some(to) = self.members.successor(&node, &node.me()).as_ref().and_then(fit) {
            self.core.tasks().spawn("groups.transfer", async move {
                // If it comes to nothing, the next look tries again.
                let _ = node.transfer_to(to).await;
            });
        }
    }
}
