//! What operators ask for by hand.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::Worker;
use crate::groups::{
    autopilot::Preference,
    error::Error,
    group::{Asked, Operation},
    index::Index,
    member::MemberId,
    raft::{ChangeError, Node, Role},
    state::Control,
};

impl Worker {
    pub(super) async fn operate(&mut self, (operation, done): Asked) {
        if let Operation::Leave = operation {
            self.core.set_leaving();
            let heard = self.farewell().await;
            self.left = true;
            // Whoever asked may not wait any more.
            let _ = done.send(heard.then_some(()).ok_or(Error::Timeout));
            return;
        }
        let Some(node) = self.leading() else {
            let _ = done.send(Err(Error::NotLeader));
            return;
        };
        match operation {
            Operation::Leave => {}
            Operation::StepDown => {
                let me = self.core.local();
                let unsuitable = Error::Unsuitable(me, "no other voter can lead");
                self.hand_over(node, |_| true, unsuitable, done);
            }
            Operation::TransferTo(peer) => {
                let unsuitable = Error::Unsuitable(peer, "it is no voter that has answered lately");
                self.hand_over(node, |voter| voter.is_of(&peer), unsuitable, done);
            }
            Operation::Evict(peer) => self.evict(&node, peer, done).await,
            Operation::Skip(index) => self.skip(node, index, done).await,
        }
    }

    fn leading(&self) -> Option<Node> {
        let node = &self.running.as_ref()?.node;
        let leads = node.view().borrow().role == Role::Leader;
        leads.then(|| node.clone())
    }

    /// Hands leadership to one of these voters; who asked is told when it has been taken, by nobody
    /// else if there is no choice.
    fn hand_over(
        &self,
        node: Node,
        may: impl Fn(&MemberId) -> bool,
        unsuitable: Error,
        done: oneshot::Sender<Result<(), Error>>,
    ) {
        let (members, me) = (node.view().borrow().members.clone(), node.me());
        let voters = members.voters.into_iter().filter(|voter| *voter != me && may(voter));
        let is_willing = |voter: &MemberId| self.members.preference(voter) == Preference::Normal;
        let voters: BTreeMap<_, _> = voters.map(|voter| (voter, is_willing(&voter))).collect();
        self.core.tasks().spawn("groups.transfer", async move {
            let handed = match successor(&node, &voters).await {
                Some(to) => transfer(&node, to, voters.len() == 1).await,
                None if node.view().borrow().role != Role::Leader => Err(Error::NotLeader),
                None => Err(unsuitable),
            };
            // Whoever asked may not wait any more.
            let _ = done.send(handed);
        });
    }

    /// Only what has made this leader's machine panic: a command that was applied has been answered,
    /// and is in snapshots.
    async fn skip(&self, node: Node, index: Index, done: oneshot::Sender<Result<(), Error>>) {
        let poisoned = self.running.as_ref().and_then(|running| running.flags.borrow().poisoned);
        if poisoned != Some(index) {
            let (me, why) = (self.core.local(), "its state machine did not panic at this command");
            let _ = done.send(Err(Error::Unsuitable(me, why)));
            return;
        }
        let control = Control::Skip { index };
        let logged = self.logged(&node, &control).await;
        let limit: Duration = self.core.config().consensus().forward_timeout;
        self.core.tasks().spawn("groups.skip", async move {
            let committed = match logged {
                Ok(proposal) => timeout(limit, proposal.committed()).await,
                Err(_) => return drop(done.send(Err(Error::NotLeader))),
            };
            let _ = done.send(match committed {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(_)) | Err(_) => Err(Error::Timeout),
            });
        });
    }
}

/// The most suitable of these voters, of those that have answered lately. A leader that was elected a
/// moment ago waits for answers, at most for a lease.
async fn successor(node: &Node, voters: &BTreeMap<MemberId, bool>) -> Option<MemberId> {
    let timing = *node.timing();
    loop {
        let progress = node.progress().into_iter();
        let fit = progress.filter(|other| {
            let lately = other.acknowledged.is_some_and(|age| age <= timing.election_min);
            lately && voters.contains_key(&other.member)
        });
        let best = fit.max_by_key(|other| (voters.get(&other.member), other.matched));
        let led_since = node.view().borrow().led_since?;
        if best.is_some() || voters.is_empty() || led_since.elapsed() > timing.election_max {
            return best.map(|other| other.member);
        }
        sleep(timing.heartbeat / 4).await;
    }
}

async fn transfer(node: &Node, to: MemberId, must_be: bool) -> Result<(), Error> {
    node.transfer_to(to).await.map_err(|error| match error {
        ChangeError::NotLeader { .. } => Error::NotLeader,
        ChangeError::Stopped => Error::GroupTerminated,
        ChangeError::Busy | ChangeError::Impossible(_) | ChangeError::Discarded => Error::Timeout,
    })?;
    let other = must_be && node.view().borrow().leader != Some(to);
    if other { Err(Error::Timeout) } else { Ok(()) }
}
