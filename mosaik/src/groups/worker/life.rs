//! What a member hears over its bonds, and how it takes its leave.

use bytes::Bytes;
use tokio::time::timeout;

use super::{
    FAREWELL, LAST_WORDS, Worker,
    messages::{Answer, Question, Word, decode, encode},
    pump::{Forwarded, What},
};
use crate::groups::{
    bonds::{Bond, BondEvent, Reply},
    config::MAX_COMMAND_BYTES,
    event::GroupEvent,
    formation::{Input, Status},
    member::{IncarnationId, MemberId},
    raft::{Node, RaftView, Role},
    state::{Call, EncodedRun},
};

impl Worker {
    pub(super) async fn heard(&mut self, event: BondEvent) {
        match event {
            BondEvent::Up(bond) => self.bonded(bond).await,
            BondEvent::Down { bond, reason } => {
                tracing::debug!(peer = %bond.peer(), %reason, "a bond has ended");
                self.unbonded(&bond).await;
            }
            BondEvent::Status { from, status } => {
                if let (Some(peer), Some(status)) =
                    (self.core.peer_of(&from), decode::<Status>(&status))
                {
                    self.members.statuses.insert(peer, status.clone());
                    self.tell(Input::Status { from: peer, status }).await;
                }
            }
            BondEvent::Message { from, message } => {
                if let Some(word) = decode(&message) {
                    self.heard_word(from, word).await;
                }
            }
            BondEvent::Asked { from, question, reply } => self.asked(from, &question, reply),
            BondEvent::Mismatch { peer, mismatch } => {
                let (field, ours, theirs) = (mismatch.field, mismatch.ours, mismatch.theirs);
                tracing::warn!(%peer, field, %ours, %theirs, "a group is configured differently");
                self.core.tell(GroupEvent::ConfigMismatch { peer, field, ours, theirs });
            }
        }
    }

    async fn bonded(&mut self, bond: Bond) {
        if self.turns_away(&bond) {
            return;
        }
        self.publish_bonds();
        self.tick_soon();
        let peer = bond.peer();
        self.core.tell(GroupEvent::Bonded(peer));
        if let Some(running) = &self.running {
            let _ = running.node.reachable(bond.member()).await;
        }
        self.tell_unwanted_to(&bond);
        if let Some(status) = decode::<Status>(bond.status()) {
            self.members.statuses.insert(peer, status.clone());
            self.tell(Input::Bonded { peer, status }).await;
        }
    }

    async fn unbonded(&mut self, bond: &Bond) {
        let peer = bond.peer();
        self.publish_bonds();
        if self.turned_away.remove(&bond.member()) {
            return;
        }
        self.core.tell(GroupEvent::Unbonded(peer));
        // The peer may be bonded as another member already.
        if self.bonds.get(&peer).is_none() {
            self.members.statuses.remove(&peer);
            self.tell(Input::Unbonded(peer)).await;
        }
    }

    pub(super) fn publish_bonds(&self) {
        self.core.set_bonds(self.bonds.bonds());
    }

    async fn heard_word(&mut self, from: MemberId, word: Word) {
        match word {
            Word::Formation(message) => {
                if let Some(peer) = from.peer() {
                    self.tell(Input::Heard { from: peer, message }).await;
                }
            }
            Word::Leaving { incarnation } => {
                if self.is_in(incarnation) {
                    self.members.leaving.insert(from);
                    self.look_after_members().await;
                }
            }
            Word::Unwanted { incarnation, evict, barred } => {
                if self.is_in(incarnation) {
                    self.heard_unwanted(from, evict, barred);
                }
            }
            Word::Digest { incarnation, mark, digest } => {
                if self.is_in(incarnation)
                    && let Some(peer) = from.peer()
                {
                    self.compare(peer, mark, digest);
                }
            }
        }
    }

    pub(super) fn is_in(&self, incarnation: IncarnationId) -> bool {
        self.running.as_ref().is_some_and(|it| it.node.incarnation() == incarnation)
    }

    /// Something that is asked of a leader. The order of calls is kept.
    fn asked(&self, from: MemberId, question: &Bytes, reply: Reply) {
        let not_now = |reply: Reply| {
            // A peer that does not read learns of it by the time-out.
            let _ = reply.send(encode(&Answer::NotNow));
        };
        let running = self.running.as_ref().filter(|_| !self.tickets_expired);
        let Some(running) = running else { return not_now(reply) };
        let node = &running.node;
        let ours = |incarnation: IncarnationId| incarnation == node.incarnation();
        let what = match decode(question) {
            Some(Question::Append { incarnation, run }) if ours(incarnation) => {
                // One that is not known (yet) is refused when it is applied.
                let owner = |session| running.callers.borrow().get(&session).copied();
                let is_theirs = |run: &EncodedRun| {
                    let session = run.view().map(|run| run.session);
                    session.and_then(owner).is_none_or(|owner| from.is_of(&owner))
                };
                EncodedRun::parse(run).filter(is_theirs).filter(fits).map(What::Calls)
            }
            Some(Question::Open { incarnation, session }) if ours(incarnation) => {
                // Logged, it would end the session for whose it is.
                let owner = running.callers.borrow().get(&session).copied();
                let peer = from.peer().filter(|peer| owner.is_none_or(|owner| owner == *peer));
                peer.map(|peer| What::Session(session, peer))
            }
            Some(Question::Read { incarnation }) if ours(incarnation) => {
                let node = node.clone();
                self.core.tasks().spawn("groups.read", async move {
                    let point = node.read_index().await;
                    let answer = point.map_or(Answer::NotNow, Answer::Read);
                    // A peer that does not read learns of it by the time-out.
                    let _ = reply.send(encode(&answer));
                });
                return;
            }
            _ => None,
        };
        match what {
            // If there are too many, those that are dropped are sent again.
            Some(what) => {
                let room = self.room.clone().try_acquire_many_owned(what.bytes()).ok();
                drop(room.map(|room| self.forwarded.try_send(Forwarded { what, reply, room })));
            }
            None => not_now(reply),
        }
    }

    /// Leaves in good order: hands leadership on, and says that this member does not come back.
    /// `false` if there are others, and the one who is to take it out has not heard it.
    pub(super) async fn farewell(&mut self) -> bool {
        let Some(running) = &self.running else { return true };
        let node = running.node.clone();
        let leaving = Word::Leaving { incarnation: node.incarnation() };
        let handed_on = timeout(FAREWELL, self.hand_on(&node)).await.is_ok();
        tracing::debug!(group = %self.core.config().group_id(), handed_on, "leaving a group");
        let (leader, others) = {
            let view = node.view();
            let view = view.borrow();
            let members = view.members.voters.iter().chain(&view.members.learners);
            (view.leader, members.filter(|member| **member != node.me()).count())
        };
        let bond = leader.and_then(|leader| self.bonds.member(&leader));
        let mut heard = others == 0;
        if let Some(bond) = bond {
            // A leader that does not hear it sees by itself that this member is silent.
            heard |= timeout(FAREWELL, tell_leaving(&bond, &leaving)).await.unwrap_or(false);
            drop(timeout(FAREWELL, released(&node)).await);
        }
        node.shutdown().await;
        heard
    }

    /// If this node leads, hands leadership to another, and waits until that leads.
    async fn hand_on(&self, node: &Node) {
        if node.view().borrow().role != Role::Leader {
            return;
        }
        let Some(to) = self.members.successor(node, &node.me()) else { return };
        drop(node.transfer_to(to).await);
    }
}

/// Says that this member goes, and waits until that has been heard: what is asked after it is
/// answered after it, whatever the answer is.
async fn tell_leaving(bond: &Bond, leaving: &Word) -> bool {
    bond.deliver(encode(leaving), FAREWELL).await.is_ok()
        && bond.ask(encode(&Question::Heard), FAREWELL).await.is_ok()
}

/// Whether no call is larger than one may be: a node that keeps to it does not send such.
fn fits(run: &EncodedRun) -> bool {
    let bytes = |call: Call<'_>| call.map(<[u8]>::len).fold(0, usize::saturating_add);
    run.view().is_some_and(|mut run| run.calls.all(|call| bytes(call) <= MAX_COMMAND_BYTES))
}

/// Waits until this member is not needed any more. Of two voters the other one cannot do anything
/// alone: that it is alone from now on takes both.
async fn released(node: &Node) {
    let mut view = node.view();
    let me = node.me();
    let is_needed = |view: &RaftView| view.members.voters.len() == 2 && view.role != Role::Leader;
    if !is_needed(&view.borrow()) {
        return;
    }
    let is_out = |view: &RaftView| !view.members.configs.last().is_some_and(|it| it.contains(&me));
    if view.wait_for(is_out).await.is_ok() {
        // It is in the log here, and the leader is yet to hear that; it may say nothing after that.
        drop(timeout(LAST_WORDS, view.wait_for(|view| !view.changing)).await);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::groups::{
        Group,
        group::Core,
        state::{RunBuilder, SessionId},
        tests::{join, nodes, sum::Sum, within},
    };

    /// A group of three: the leader, two others, and what these are inside.
    async fn group() -> (Vec<crate::Network>, [Group<Sum>; 3], [Arc<Core>; 2]) {
        let nodes = nodes(3).await;
        let mut groups: Vec<_> = nodes.iter().map(join).collect();
        for group in &groups {
            within(20, group.when().online()).await;
            within(5, group.execute(1)).await.unwrap();
        }
        groups.sort_by_key(|group| !group.is_leader());
        let groups: [_; 3] = groups.try_into().unwrap();
        let cores = [1, 2].map(|place: usize| groups[place].shared().core().clone());
        (nodes, groups, cores)
    }

    /// What a leader answers to whatever a member asks.
    async fn answer(core: &Core, question: &Question) -> Option<Answer> {
        let leader = core.node().unwrap().view().borrow().leader.unwrap();
        let bond = core.bond_with(&leader).unwrap();
        let answer = within(10, bond.ask(encode(question), Duration::from_secs(5))).await;
        decode(&answer.unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_opens_the_session_of_another() {
        let (_nodes, groups, [owner, other]) = group().await;
        let incarnation = owner.node().unwrap().incarnation();
        let question = Question::Open { incarnation, session: owner.session() };
        let theirs = other.session();
        for _ in 0..5 {
            let calls: Vec<_> = (0..20).map(|_| groups[1].execute(1)).collect();
            assert_eq!(answer(&other, &question).await, Some(Answer::NotNow));
            for call in calls {
                within(5, call).await.unwrap();
            }
        }
        assert_eq!(owner.queue().session(), Some(owner.session()));
        assert_eq!((other.session(), other.queue().session()), (theirs, Some(theirs)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_no_node_makes_does_not_get_into_the_log() {
        let (_nodes, groups, [member, _]) = group().await;
        let incarnation = member.node().unwrap().incarnation();
        let before = groups[0].log_position();
        let append = |bytes: usize| {
            let mut run = RunBuilder::new(member.session(), 2, 2);
            run.push(&vec![0; bytes]);
            Question::Append { incarnation, run: run.finish().bytes().clone() }
        };
        let answered = answer(&member, &append(MAX_COMMAND_BYTES + 1)).await;
        assert_eq!((answered, groups[0].log_position()), (Some(Answer::NotNow), before));
        let answered = answer(&member, &append(MAX_COMMAND_BYTES)).await;
        assert!(matches!(answered, Some(Answer::Appended { .. })), "{answered:?}");
    }

    #[test]
    fn a_call_is_limited_as_at_the_node_that_makes_it() {
        let run = |commands: &[usize]| {
            let mut run = RunBuilder::new(SessionId(1), 1, 1);
            run.push(&[1]);
            run.push_many(&commands.iter().map(|bytes| vec![7; *bytes]).collect::<Vec<_>>());
            run.finish()
        };
        let half = MAX_COMMAND_BYTES / 2;
        assert!(fits(&run(&[half, half])));
        assert!(!fits(&run(&[half, half, 1])) && !fits(&run(&[MAX_COMMAND_BYTES + 1])));
    }
}
