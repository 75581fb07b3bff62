//! What an operator asks of a group by hand.

use super::{Group, Operation};
use crate::{
    groups::{
        error::Error,
        index::{Index, Term},
        machine::StateMachine,
    },
    id::PeerId,
};

/// What is left of a token for the term, beside the milliseconds since 1970 until after 2100: with
/// an election each second it lasts for 48 days.
const TERM_BITS: u32 = 22;

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
    /// [`CommandError::Skipped`](crate::groups::CommandError::Skipped), and every member tells
    /// [`GroupEvent::Skipped`](crate::groups::GroupEvent::Skipped).
    ///
    /// Only the command at which the leader's machine has panicked can be skipped: any other was
    /// applied, and answered. If a machine that is not deterministic panics on one member alone, the
    /// lead goes to another one, and what helps is to leave the group there and join it again.
    ///
    /// Dropping the future does not take back what was asked.
    ///
    /// # Errors
    /// [`Error::NotLeader`] if this node does not lead, [`Error::Unsuitable`] if its machine did not
    /// panic at this command, [`Error::Timeout`] if the group did not agree within
    /// `forward_timeout` (it may still), [`Error::GroupTerminated`] if it has ended on this node.
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
            let token = tokio::select! {
                found = seen.wait_for(leads) => FencingToken::of(&*found.ok()?),
                () = ended.cancelled() => return None,
            };
            let lost = seen.wait_for(|seen| !leads(seen) || FencingToken::of(seen) != token);
            tokio::select! {
                done = work(token) => return Some(done),
                lost = lost => drop(lost.ok()?),
                () = ended.cancelled() => return None,
            }
        }
    }
}

/// Says in whose time something was done: that of a later leader is larger.
///
/// That holds for a group that is founded anew as well, because all its members were gone: the token
/// begins with the date at which it was founded, by the clock of whoever did. It does not hold when
/// two parts of an elastic group meet and the older one wins; where outside systems depend on the
/// token, use [`Quorum::Strict`](crate::groups::Quorum::Strict).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(u64);

impl FencingToken {
    const fn of(seen: &super::Seen) -> Self {
        Self::new(seen.founded_ms, seen.term)
    }

    const fn new(founded_ms: u64, term: Term) -> Self {
        let most = (1 << TERM_BITS) - 1;
        let term = if term.0 < most { term.0 } else { most };
        Self((founded_ms << TERM_BITS) | term)
    }

    /// The token as a number: the date of the founding and the leader's term.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_later_leader_is_larger_even_if_the_group_was_founded_anew() {
        let token = FencingToken::new;
        let now = 1_800_000_000_000;
        let tokens = [
            token(now, Term(1)),
            token(now, Term(2)),
            token(now, Term((1 << TERM_BITS) - 2)),
            token(now + 1, Term(1)),
            // In the year 2105.
            token(4_260_000_000_000, Term(1)),
        ];
        assert!(tokens.windows(2).all(|two| two[0] < two[1]), "{tokens:?}");
        assert!(token(now, Term(u64::MAX)) < token(now + 1, Term(0)));
    }
}
