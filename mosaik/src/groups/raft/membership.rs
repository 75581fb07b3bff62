//! Changes of members. One at a time: whoever makes them (the autopilot) waits for each.
//!
//! A change of voters is two entries, of which the second ends the first. A caller that drops the
//! future in between leaves the group joint, until somebody calls [`Node::finish_joint`].

use std::collections::BTreeSet;

use openraft::{
    ChangeMembers,
    errors::{ChangeMembershipError, ClientWriteError, InitializeError, RaftError},
};
use tokio::time::timeout;

use super::{errors::ChangeError, node::Node, type_config::Types};
use crate::groups::member::MemberId;

type Change = ChangeMembers<MemberId, ()>;

/// When a group has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begun {
    /// By this call.
    Now,
    /// Before it, perhaps with other voters: nothing was done.
    Before,
}

impl Node {
    /// Begins a group with these voters, this member among them. Nothing happens if this log has
    /// begun already, or if this member has voted in the group: it is founded, then.
    pub(crate) async fn initialize(
        &self,
        voters: BTreeSet<MemberId>,
    ) -> Result<Begun, ChangeError> {
        match self.raft().initialize(voters).await {
            Ok(()) => Ok(Begun::Now),
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(Begun::Before),
            Err(RaftError::APIError(InitializeError::NotInMembers(error))) => {
                Err(ChangeError::Impossible(error.to_string()))
            }
            Err(RaftError::Fatal(_)) => Err(ChangeError::Stopped),
        }
    }

    /// Sends the log to a member that does not vote. Returns when that is committed, not when the
    /// member has caught up: see [`Node::progress`].
    pub(crate) async fn add_learner(&self, member: MemberId) -> Result<(), ChangeError> {
        self.raft().add_learner(member, (), false).await.map(|_| ()).map_err(change_error)
    }

    /// Makes voters of learners, and removes voters, in one change. A learner must have caught up
    /// and be alive: with one that is not, the group may stand still for good. With `retain` those
    /// who vote no more stay as learners.
    pub(crate) async fn change_voters(
        &self,
        promote: BTreeSet<MemberId>,
        remove: BTreeSet<MemberId>,
        retain: bool,
    ) -> Result<(), ChangeError> {
        let changes = vec![Change::RemoveVoters(remove), Change::AddVoterIds(promote)];
        self.change(Change::Batch(changes), retain).await
    }

    /// Stops sending the log to learners.
    pub(crate) async fn remove_learners(
        &self,
        members: BTreeSet<MemberId>,
    ) -> Result<(), ChangeError> {
        self.change(Change::RemoveNodes(members), false).await
    }

    /// Ends a change that another leader has begun; nothing if there is none.
    pub(crate) async fn finish_joint(&self) -> Result<(), ChangeError> {
        self.change(Change::AddVoterIds(BTreeSet::new()), false).await
    }

    async fn change(&self, change: Change, retain: bool) -> Result<(), ChangeError> {
        self.raft().change_membership(change, retain).await.map(|_| ()).map_err(change_error)
    }

    /// Hands leadership over to a voter that has answered of late, and waits until it leads. The
    /// leader takes no proposals meanwhile. If nothing comes of it within two election times, this
    /// member stands for election itself: openraft would wait for good.
    pub(crate) async fn transfer_to(&self, member: MemberId) -> Result<(), ChangeError> {
        let impossible = |why: &str| Err(ChangeError::Impossible(why.into()));
        let view = self.view().borrow().clone();
        if view.leader != Some(self.me()) {
            return Err(ChangeError::NotLeader { leader: view.leader });
        }
        if view.changing || view.members.joint {
            return Err(ChangeError::Busy);
        }
        if member == self.me() || !view.members.voters.contains(&member) {
            return impossible("it is no other voter");
        }
        let fresh = self.timing().election_min;
        let alive = |progress: &super::MemberProgress| {
            progress.member == member && progress.acknowledged.is_some_and(|age| age <= fresh)
        };
        if !self.progress().iter().any(alive) {
            return impossible("it has not answered of late");
        }
        let asked = self.raft().trigger().transfer_leader(member).await;
        asked.map_err(|_| ChangeError::Stopped)?;
        let me = self.me();
        let mut view = self.view();
        let other_leads = view.wait_for(|view| view.leader.is_some_and(|leader| leader != me));
        let led = timeout(self.timing().election_max * 2, other_leads).await;
        // What is borrowed of the view must not live on beside what follows.
        match led.map(|led| led.map(drop)) {
            Ok(led) => led.map_err(|_| ChangeError::Stopped),
            Err(_) => {
                self.elect().await.map_err(|_| ChangeError::Stopped)?;
                impossible("it has not taken over")
            }
        }
    }
}

fn change_error(error: RaftError<Types, ClientWriteError<Types>>) -> ChangeError {
    let error = match error {
        RaftError::Fatal(_) => return ChangeError::Stopped,
        RaftError::APIError(error) => error,
    };
    match error {
        ClientWriteError::ForwardToLeader(forward) => {
            ChangeError::NotLeader { leader: forward.leader_id }
        }
        ClientWriteError::LogEntryDiscarded(_) => ChangeError::Discarded,
        ClientWriteError::ChangeMembershipError(
            ChangeMembershipError::InProgress(_) | ChangeMembershipError::UncommittedLeaderLog(_),
        )
        | ClientWriteError::PreconditionFailed(_) => ChangeError::Busy,
        ClientWriteError::ChangeMembershipError(error) => {
            ChangeError::Impossible(error.to_string())
        }
    }
}
