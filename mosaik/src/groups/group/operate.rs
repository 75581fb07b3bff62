//! What an operator asks of a group by hand.

use super::{Group, Operation};
use crate::{
    groups::{error::Error, index::Index, machine::StateMachine},
    id::PeerId,
};

impl<M: StateMachine> Group<M> {
    /// Hands leadership to whichever voter is fit for it, and returns when another leads. A leader
    /// that was elected a moment ago first waits for answers of the others, at most for a lease
    /// (`election_timeout` and its jitter).
    ///
    /// Dropping the future does not take back what was asked.
    ///
    /// # Errors
    /// [`Error::NotLeader`] if this node does not lead, [`Error::Unsuitable`] if no other voter has
    /// answered lately, [`Error::Timeout`] if nobody took over, or members are just being changed,
    /// [`Error::GroupTerminated`] if the group has ended on this node.
    pub async fn step_down(&self) -> Result<(), Error> {
        self.core().operate(Operation::StepDown).await
    }

    /// Hands leadership to this voter, and returns when it leads. A leader that was elected a moment
    /// ago first waits for the voter's answer, at most for a lease.
    ///
    /// Dropping the future does not take back what was asked.
    ///
    /// # Errors
    /// [`Error::NotLeader`] if this node does not lead, [`Error::Unsuitable`] if the peer is no
    /// voter or has not answered lately, [`Error::Timeout`] if it did not take over, or members are
    /// just being changed, [`Error::GroupTerminated`] if the group has ended on this node.
    pub async fn transfer_to(&self, peer: PeerId) -> Result<(), Error> {
        self.core().operate(Operation::TransferTo(peer)).await
    }

    /// Takes a member out of the group, and returns when the group has agreed on it. A node that is
    /// still there comes back as a new member; what keeps it out is a ticket that ends.
    ///
    /// A `Strict(n)` group never has fewer than `n` voters. If it would, the member is *barred*, and
    /// this returns as well: the members part with it, nobody waits for its vote, and the next
    /// member that has caught up takes its place
    /// ([`GroupEvent::VoterBarred`](crate::groups::GroupEvent::VoterBarred)). Until then its node is
    /// offline, and the others have one voter less to lose; if they lose their leader, they ask it
    /// again.
    ///
    /// Whoever leads next goes on with it. Dropping the future does not take back what was asked, and
    /// after [`Error::Timeout`] it may be done yet.
    ///
    /// # Errors
    /// [`Error::NotLeader`] if this node does not lead, [`Error::Unsuitable`] if the peer is no
    /// member, or if the rest would be no quorum for as long as `forward_timeout`: it is taken out
    /// as soon as the rest is one. [`Error::Timeout`] if the group has not agreed on it within
    /// `forward_timeout`, [`Error::GroupTerminated`] if the group has ended on this node.
    pub async fn evict(&self, peer: PeerId) -> Result<(), Error> {
        self.core().operate(Operation::Evict(peer)).await
    }

    /// Passes by a command that makes the state machine panic, on every member:
    /// [`GroupEvent::Poisoned`](crate::groups::GroupEvent::Poisoned) names it. The caller gets
    /// [`CommandError::Skipped`](crate::groups::CommandError::Skipped).
    ///
    /// Dropping the future does not take back what was asked.
    ///
    /// # Errors
    /// [`Error::NotLeader`] if this node does not lead, [`Error::Timeout`] if the group did not
    /// agree in time, [`Error::GroupTerminated`] if the group has ended on this node.
    pub async fn skip(&self, index: Index) -> Result<(), Error> {
        self.core().operate(Operation::Skip(index)).await
    }

    /// Leaves the group: hands leadership on, and tells the leader that this member does not come
    /// back. All handles of the member are of no use after that: a new one is got by joining again,
    /// as a new member.
    ///
    /// Dropping the future does not keep the node in the group, unless it is dropped at once, while
    /// 16 operations are waiting.
    ///
    /// # Errors
    /// [`Error::Timeout`] if there are other members, none of whom has heard it in time, so that
    /// they find out by silence; the node has left all the same. [`Error::GroupTerminated`] if the
    /// group had ended on this node before.
    pub async fn leave(&self) -> Result<(), Error> {
        self.core().operate(Operation::Leave).await
    }

    /// Runs `work` while this node leads, on one node of the group at a time.
    ///
    /// Waits until this node leads, then runs the future that `work` makes of a token, and drops it
    /// when leadership is lost. Returns what it returns; if leadership was lost before, it begins
    /// anew when this node leads again. `None` if the group has ended on this node.
    ///
    /// A leader that is cut off notices it only after a lease (`election_timeout` and its jitter),
    /// and what it has sent may arrive later still. Hand the token to the outside systems
    /// that the work touches: they refuse one that is smaller than the largest that they have seen.
    ///
    /// Dropping the future drops that of `work`.
    pub async fn while_leader<F, Fut>(&self, mut work: F) -> Option<Fut::Output>
    where
        F: FnMut(FencingToken) -> Fut,
        Fut: Future,
    {
        let mut seen = self.core().seen().subscribe();
        let local = self.core().local();
        let ended = self.core().tasks().token().clone();
        loop {
            let leads = |seen: &super::Seen| seen.online && seen.leader == Some(local);
            let term = tokio::select! {
                found = seen.wait_for(leads) => found.ok()?.term,
                () = ended.cancelled() => return None,
            };
            let lost = seen.wait_for(|seen| !leads(seen) || seen.term != term);
            tokio::select! {
                done = work(FencingToken(term.0)) => return Some(done),
                lost = lost => drop(lost.ok()?),
                () = ended.cancelled() => return None,
            }
        }
    }
}

/// Says in whose time something was done: that of a later leader is larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

impl FencingToken {
    /// The token as a number: the leader's term.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}
