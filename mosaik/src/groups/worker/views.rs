//! What the Raft node says, for the formation and for the application.

use std::collections::BTreeSet;

use super::{Running, Worker, hosting::Flags};
use crate::groups::{
    event::GroupEvent,
    formation::{self, Discarded, Input, Membership},
    group::Seen,
    member::MemberId,
    raft::{RaftView, Role},
};

impl Worker {
    /// Looks at the Raft node, tells the formation and the application, and replaces a node that
    /// has failed.
    pub(super) async fn look(&mut self) {
        self.update_seen();
        let Some(running) = &mut self.running else { return };
        let failure = running.failed.borrow_and_update().clone();
        if let Some(failure) = failure {
            tracing::error!(%failure, "a group's Raft node has stopped; it begins anew");
            return self.begin_anew().await;
        }
        running.flags.mark_unchanged();
        running.view.mark_unchanged();
        let view = formation_view(running);
        self.settle_evictions();
        self.tell(Input::Raft(view)).await;
    }

    async fn begin_anew(&mut self) {
        let renewed = self.discard(Discarded::NotJoined).await;
        self.tell(renewed).await;
    }

    /// Whether it leads a group that takes no commands yet.
    pub(super) fn is_opening(&self) -> bool {
        let Some(running) = &self.running else { return false };
        !running.flags.borrow().open && is_leading(running, &running.view.borrow())
    }

    /// Whether it follows in a group that takes commands: what happens there is told by Raft.
    pub(super) fn is_following(&self) -> bool {
        let Some(running) = &self.running else { return false };
        running.flags.borrow().open && running.view.borrow().role != Role::Leader
    }

    fn seen(&self, running: &Running) -> Seen {
        let in_touch = running.node.is_in_touch();
        let (view, flags) = (running.view.borrow(), *running.flags.borrow());
        let leader = view.leader.and_then(|leader| self.core.peer_of(&leader));
        // Who leads and is heard by nobody knows that it cannot lead.
        let leader = leader.filter(|_| in_touch || view.role != Role::Leader);
        let allowed = takes_commands(&flags) && !self.tickets_expired;
        let online = in_touch && leader.is_some() && allowed;
        let founded_ms = running.node.incarnation().founded_ms();
        Seen { leader, term: view.term, founded_ms, online }
    }

    /// Publishes what the application sees, and tells what has changed.
    pub(super) fn update_seen(&self) {
        let now = self.running.as_ref().map_or_else(Seen::default, |it| self.seen(it));
        let before = self.core.seen().send_replace(now);
        self.core.counts().seen(&before, &now);
        if before.leader != now.leader || before.leader.is_some() && before.term != now.term {
            self.core.tell(GroupEvent::LeaderChanged { leader: now.leader, term: now.term });
        }
        match (before.online, now.online) {
            (false, true) => self.core.tell(GroupEvent::Online),
            (true, false) => self.core.tell(GroupEvent::Offline),
            _ => {}
        }
    }
}

fn takes_commands(flags: &Flags) -> bool {
    flags.open && !flags.dissolved && flags.yielded_to.is_none() && flags.poisoned.is_none()
}

/// Whether this node leads, and has applied the first entry of its own term.
pub(super) fn is_leading(running: &Running, view: &RaftView) -> bool {
    view.role == Role::Leader && running.node.applied().cursor.term() >= view.term
}

pub(super) fn formation_view(running: &Running) -> formation::RaftView {
    let (view, flags) = (running.view.borrow(), *running.flags.borrow());
    let node = &running.node;
    // Only who has a quorum can take others in, or win against a rival.
    let leading = is_leading(running, &view) && node.is_in_touch();
    formation::RaftView {
        member: node.me(),
        incarnation: node.incarnation(),
        leader: view.leader,
        leading,
        term: view.term.0,
        log_end: node.log_end(),
        logged: node.last().index().0,
        applied: node.applied().cursor.index().0,
        open: flags.open,
        dissolved: flags.dissolved,
        yielded_to: flags.yielded_to,
        poisoned: flags.poisoned.is_some(),
        membership: Membership {
            at: view.members.at,
            term: view.members.term.0,
            configs: view.members.configs.clone(),
            learners: view.members.learners.clone(),
            committed: !view.changing,
        },
        stored_by: if leading && !flags.open { stored_by(running) } else { BTreeSet::new() },
    }
}

/// Whose logs are known to hold the first entry.
fn stored_by(running: &Running) -> BTreeSet<MemberId> {
    let others = running.node.progress().into_iter();
    let stored = others.filter(|other| other.matched.is_some()).map(|other| other.member);
    stored.chain([running.node.me()]).collect()
}
