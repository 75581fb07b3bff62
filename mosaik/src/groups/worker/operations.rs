//! What operators ask for by hand.

use std::time::Duration;

use tokio::{sync::oneshot, time::timeout};

use super::Worker;
use crate::{
    groups::{
        error::Error,
        group::{Asked, Operation},
        index::Index,
        member::MemberId,
        raft::{ChangeError, Node, Role},
        state::Control,
    },
    id::PeerId,
};

impl Worker {
    pub(super) async fn operate(&mut self, (operation, done): Asked) {
        if let Operation::Leave = operation {
            self.farewell().await;
            self.left = true;
            // Whoever asked may not wait any more.
            let _ = done.send(Ok(()));
            return;
        }
        let Some(node) = self.leading() else {
            let _ = done.send(Err(Error::NotLeader));
            return;
        };
        match operation {
            Operation::Leave => {}
            Operation::StepDown => match self.members.successor(&node, &node.me()) {
                Some(to) => self.transfer(node, to, false, done),
                None => {
                    let me = self.core.local();
                    let _ = done.send(Err(Error::Unsuitable(me, "no other voter can lead")));
                }
            },
            Operation::TransferTo(peer) => match self.members.fit_voter(&node, &peer) {
                Some(to) => self.transfer(node, to, true, done),
                None => {
                    let why = "it is no voter that is up to date";
                    let _ = done.send(Err(Error::Unsuitable(peer, why)));
                }
            },
            Operation::Evict(peer) => self.evict(&node, peer, done).await,
            Operation::Skip(index) => self.skip(node, index, done).await,
        }
    }

    fn leading(&self) -> Option<Node> {
        let node = &self.running.as_ref()?.node;
        let leads = node.view().borrow().role == Role::Leader;
        leads.then(|| node.clone())
    }

    /// Hands leadership on; who asked is told when it has been taken, by nobody else if it must be
    /// this one.
    fn transfer(
        &self,
        node: Node,
        to: MemberId,
        must_be: bool,
        done: oneshot::Sender<Result<(), Error>>,
    ) {
        self.core.tasks().spawn("groups.transfer", async move {
            let taken = node.transfer_to(to).await.map_err(|error| match error {
                ChangeError::NotLeader { .. } => Error::NotLeader,
                ChangeError::Stopped => Error::GroupTerminated,
                ChangeError::Busy | ChangeError::Impossible(_) | ChangeError::Discarded => {
                    Error::Timeout
                }
            });
            let other = must_be && node.view().borrow().leader != Some(to);
            let taken = if other { taken.and(Err(Error::Timeout)) } else { taken };
            // Whoever asked may not wait any more.
            let _ = done.send(taken);
        });
    }

    async fn evict(&mut self, node: &Node, peer: PeerId, done: oneshot::Sender<Result<(), Error>>) {
        let members = node.view().borrow().members.clone();
        let mut all = members.voters.iter().chain(&members.learners);
        let outcome = match all.find(|member| member.is_of(&peer)) {
            Some(member) => {
                self.members.evict.insert(*member);
                Ok(())
            }
            None => Err(Error::Unsuitable(peer, "it is no member")),
        };
        let _ = done.send(outcome);
        self.look_after_members().await;
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
