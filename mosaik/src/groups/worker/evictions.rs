//! Whom the operator wants out, and who waits for it.

use tokio::{sync::oneshot, time::Instant};

use super::Worker;
use crate::{
    groups::{
        error::Error,
        member::MemberId,
        raft::{Node, RaftView},
    },
    id::PeerId,
};

type Done = oneshot::Sender<Result<(), Error>>;

/// Somebody waits until a member is out.
#[derive(Debug)]
pub(super) struct Eviction {
    peer: PeerId,
    member: MemberId,
    until: Instant,
    done: Done,
}

impl Worker {
    /// Begins with it. It is over when the group has agreed on it, whoever leads then, or when the
    /// member is barred.
    pub(super) async fn evict(&mut self, node: &Node, peer: PeerId, done: Done) {
        let members = node.view().borrow().members.clone();
        let mut all = members.voters.iter().chain(&members.learners);
        let Some(member) = all.find(|member| member.is_of(&peer)).copied() else {
            // Whoever asked may not wait any more, here and below.
            let _ = done.send(Err(Error::Unsuitable(peer, "it is no member")));
            return;
        };
        let until = Instant::now() + self.core.config().consensus().forward_timeout;
        self.members.evict.insert(member);
        self.members.evictions.push(Eviction { peer, member, until, done });
        self.tell_unwanted();
        self.look_after_members().await;
        // It may be barred already.
        self.settle_evictions();
    }

    /// Tells those who wait what there is to tell.
    pub(super) fn settle_evictions(&mut self) {
        if self.members.evictions.is_empty() {
            return;
        }
        let Some(running) = &self.running else { return };
        let (view, now) = (running.view.borrow().clone(), Instant::now());
        let waiting = std::mem::take(&mut self.members.evictions);
        for eviction in waiting {
            let member = &eviction.member;
            let outcome = if is_out(&view, member) || self.members.barred.contains(member) {
                Ok(())
            } else if now < eviction.until {
                self.members.evictions.push(eviction);
                continue;
            } else if self.autopilot.is_needed(member) {
                Err(Error::Unsuitable(eviction.peer, "without it there is no quorum"))
            } else {
                Err(Error::Timeout)
            };
            let _ = eviction.done.send(outcome);
        }
    }

    /// This member is in another incarnation from now on, or another member.
    pub(super) fn end_evictions(&mut self) {
        let me = self.formation.me();
        for Eviction { member, done, .. } in std::mem::take(&mut self.members.evictions) {
            // It has been taken out itself.
            let _ = done.send(if member == me { Ok(()) } else { Err(Error::Timeout) });
        }
    }
}

fn is_out(view: &RaftView, member: &MemberId) -> bool {
    let agreed = !view.changing && !view.members.joint;
    agreed && !view.members.voters.contains(member) && !view.members.learners.contains(member)
}
