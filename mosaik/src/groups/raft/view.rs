//! What the rest of a group sees of its node.

use std::{collections::BTreeSet, time::Duration};

use openraft::{ServerState, metrics::RaftServerMetrics};
use tokio::time::Instant;

use super::type_config::{StoredMembership, Types, term_of};
use crate::groups::{
    index::{Cursor, Term},
    member::MemberId,
};

/// What a member is in its group at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    /// Receives the log, and does not vote; also one that belongs to no group yet.
    #[default]
    Learner,
    /// Votes, and follows a leader.
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads. A new leader takes proposals once a quorum has answered it.
    Leader,
    /// The node has stopped.
    Stopped,
}

/// Who takes part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members {
    /// The entry of the log that says so, as Raft counts.
    pub(crate) at: u64,
    /// The term of the leader that has logged it.
    pub(crate) term: Term,
    /// The voters: one set, or two while one replaces the other.
    pub(crate) configs: Vec<BTreeSet<MemberId>>,
    /// Of both sets, while one replaces the other.
    pub(crate) voters: BTreeSet<MemberId>,
    pub(crate) learners: BTreeSet<MemberId>,
    /// One set of voters is replacing another; if no leader is at it any more, the next one must
    /// finish it.
    pub(crate) joint: bool,
}

impl From<&StoredMembership> for Members {
    fn from(stored: &StoredMembership) -> Self {
        let membership = stored.membership();
        Self {
            at: stored.log_id().as_ref().map_or(0, |id| id.index),
            term: stored.log_id().as_ref().map_or(Term(0), term_of),
            configs: membership.get_joint_config().clone(),
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            joint: membership.get_joint_config().len() > 1,
        }
    }
}

/// A node's state; published when the role, the leader, the term or the members change. The two
/// places are those of that moment: [`Node::last`](super::Node::last) and
/// [`Node::applied`](super::Node::applied) tell the present ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RaftView {
    pub(crate) role: Role,
    /// Who leads in this term, if known.
    pub(crate) leader: Option<MemberId>,
    pub(crate) term: Term,
    /// Since when this member leads in this term; none if it does not.
    pub(crate) led_since: Option<Instant>,
    /// Those who count now, even if not committed yet.
    pub(crate) members: Members,
    /// Those who counted last without doubt; the same unless a change is under way.
    pub(crate) committed: Members,
    /// Whether a change of members is under way.
    pub(crate) changing: bool,
    /// The end of the log.
    pub(crate) last_log: Cursor,
    pub(crate) applied: Cursor,
}

impl RaftView {
    /// `before` is what was published before this.
    pub(super) fn new(
        metrics: &RaftServerMetrics<Types>,
        last_log: Cursor,
        applied: Cursor,
        before: &Self,
    ) -> Self {
        let (effective, committed) =
            (&metrics.membership_config, &metrics.committed_membership_config);
        let role = match metrics.state {
            ServerState::Learner => Role::Learner,
            ServerState::Follower => Role::Follower,
            ServerState::Candidate => Role::Candidate,
            ServerState::Leader => Role::Leader,
            ServerState::Shutdown => Role::Stopped,
        };
        let term = Term(metrics.vote.leader_id.term);
        let led_since = before.led_since.filter(|_| before.term == term);
        Self {
            role,
            leader: metrics.current_leader,
            term,
            led_since: (role == Role::Leader).then(|| led_since.unwrap_or_else(Instant::now)),
            members: (&**effective).into(),
            committed: (&**committed).into(),
            changing: effective.log_id() != committed.log_id(),
            last_log,
            applied,
        }
    }

    /// Whether `me` leads, with nobody to lead.
    pub(super) fn is_alone(&self, me: &MemberId) -> bool {
        let Members { voters, learners, joint, .. } = &self.members;
        let only_me = voters.len() == 1 && voters.contains(me) && learners.is_empty();
        self.role == Role::Leader && only_me && !joint && !self.changing
    }
}

/// How far the log has been applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The last entry, as Raft counts.
    pub(crate) entry: Option<u64>,
    /// The last command up to there, as applications count.
    pub(crate) cursor: Cursor,
}

/// What a leader knows of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemberProgress {
    pub(crate) member: MemberId,
    /// The last entry that it is known to have, as Raft counts.
    pub(crate) matched: Option<u64>,
    /// How many entries it has yet to get.
    pub(crate) behind: u64,
    /// How long ago the last message was sent that it has answered; none if it has answered none in
    /// this term.
    pub(crate) acknowledged: Option<Duration>,
}
