//! Members whose tickets have ended.
//!
//! The leader takes them out (see `members.rs`), and their bonds end then. A leader whose own ticket
//! ends hands leadership on, as its autopilot wants. It is judged by the others, too: if it stays, they
//! part with it, so that another is elected and takes it out.
//!
//! If no quorum of voters has tickets, nobody can be taken out. The group takes no commands then, and
//! the bonds stay up, until enough of them have new tickets.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::{Worker, spec};
use crate::{
    groups::{event::GroupEvent, member::MemberId, raft::Role},
    id::PeerId,
    ticket::Verdict,
    transport::CloseReason,
};

/// So long the leader may take for taking out those without tickets, if that leaves a quorum.
const TAKE_OUT: Duration = Duration::from_secs(1);
/// A leader without a ticket may hand leadership on for so long.
const HAND_ON: Duration = Duration::from_secs(5);

impl Worker {
    /// Ends bonds with those who may not be here.
    pub(super) fn judge_tickets(&mut self) {
        if self.core.config().auth().is_empty() {
            return;
        }
        self.judge_quorum();
        if self.tickets_expired {
            self.leader_without_ticket = None;
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
        let without =
            leader.filter(|_| role != Role::Leader).filter(|leader| self.has_no_ticket(leader));
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

    /// Whether a member's tickets have ended, clocks that differ allowed for.
    pub(super) fn is_expired(&self, member: &MemberId) -> bool {
        if self.core.config().auth().is_empty() {
            return false;
        }
        self.core.peer_of(member).is_none_or(|peer| self.has_no_ticket(&peer))
    }

    /// Sees whether voters with tickets are a quorum.
    fn judge_quorum(&mut self) {
        let configs = self.running.as_ref().map(|it| it.view.borrow().members.configs.clone());
        let is_lost = |voters: &BTreeSet<MemberId>| {
            let with = voters.iter().filter(|member| !self.is_expired(member)).count();
            // Nobody judges himself in a group of one.
            voters.len() > 1 && with <= voters.len() / 2
        };
        let now = Instant::now();
        let since = match configs.is_some_and(|configs| configs.iter().any(is_lost)) {
            true => Some(self.quorum_lost_since.unwrap_or(now)),
            false => None,
        };
        self.quorum_lost_since = since;
        let expired = since.is_some_and(|since| since + TAKE_OUT <= now);
        if std::mem::replace(&mut self.tickets_expired, expired) == expired {
            return;
        }
        let group = self.core.config().group_id();
        if expired {
            tracing::error!(%group, "no quorum of a group's voters has valid tickets");
            self.core.tell(GroupEvent::TicketsExpired);
        } else {
            tracing::info!(%group, "a quorum of a group's voters has valid tickets again");
        }
        self.update_seen();
    }
}
