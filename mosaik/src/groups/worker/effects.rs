//! Carrying out what the formation wants.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    Running, Worker, checkpoints,
    hosting::{Callers, Flags, Hosting, Outlets},
    messages::{Word, encode},
    sessions::Strangers,
    spec,
};
use crate::groups::{
    event::GroupEvent,
    formation::{Discarded, Effect, FormationEvent, Input, Proposal, Stage},
    index::Cursor,
    member::{IncarnationId, MemberId},
    raft::{self, Begun, Node, NodeParts, Timing},
    state::{Control, Item, SessionId},
};

impl Worker {
    /// Does what the formation wants, in order, and what it wants because of that.
    pub(super) async fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut effects = VecDeque::from(effects);
        while let Some(effect) = effects.pop_front() {
            let input = match effect {
                Effect::Send { to, message } => {
                    if let Some(bond) = self.bonds.get(&to) {
                        // A peer that does not read hears it again, or loses its bond.
                        let _ = bond.send(encode(&Word::Formation(message)));
                    }
                    None
                }
                Effect::Tell(status) => {
                    self.bonds.tell(encode(&status));
                    None
                }
                Effect::Start { incarnation, timing, founding } => {
                    self.start(incarnation, timing, founding).await
                }
                Effect::Discard { reason, .. } => Some(self.discard(reason).await),
                Effect::Abandon { incarnation, log_end, reason } => {
                    Some(self.abandon(incarnation, log_end, reason).await)
                }
                Effect::Propose(proposal) => {
                    self.propose(proposal).await;
                    None
                }
                Effect::AddMember(member) => {
                    self.members.joining.insert(member);
                    self.tick_soon();
                    None
                }
                Effect::Event(event) => {
                    self.tell_event(event);
                    None
                }
            };
            if let Some(input) = input {
                effects.extend(self.formation.on(input, Instant::now()));
            }
        }
    }

    /// Starts a Raft node with an empty log.
    async fn start(
        &mut self,
        incarnation: IncarnationId,
        timing: Timing,
        founding: Option<BTreeSet<MemberId>>,
    ) -> Option<Input> {
        self.begin_session(incarnation);
        let (flags_told, flags) = watch::channel(Flags::default());
        let (checkpoints_told, checkpoints) = mpsc::channel(1);
        let (callers_told, callers) = watch::channel(Callers::default());
        let outlets =
            Outlets { flags: flags_told, callers: callers_told, checkpoints: checkpoints_told };
        let hosting =
            Hosting::new((self.make_replica)(), self.core.clone(), self.random.clone(), outlets);
        // The state has begun anew with the replica.
        self.core.applied_watch().send_if_modified(|known| known.set(Cursor::zero()));
        let config = self.core.config();
        let started = Node::start(NodeParts {
            me: self.formation.me(),
            incarnation,
            timing,
            patience: spec::patience(config),
            limits: spec::limits(config),
            replicated: Box::new(hosting),
            wire: Arc::new(self.bonds.wire()),
            seed: u64::from_le_bytes(self.random.bytes()),
            logged: self.core.logged_watch().clone(),
            tasks: self.core.tasks().child(),
        });
        let Ok(node) = started.await else { return Some(self.discard(Discarded::NoLeader).await) };
        self.core.set_node(Some(Arc::new(node.clone())));
        self.bonds.serve(Some(Arc::new(node.clone())));
        if let Some(voters) = founding {
            match node.initialize(voters).await {
                Ok(Begun::Now) => {}
                Ok(Begun::Before) => {
                    tracing::warn!("a group was founded before its founder did it")
                }
                Err(error) => tracing::warn!(%error, "a group was not founded"),
            }
            // If the node has stopped, it is noticed like any other failure.
            let _ = node.elect().await;
        }
        self.autopilot.set_fresh(spec::fresh(&timing));
        let (view, failed) = (node.view(), node.failed());
        let digests = checkpoints::digest(
            incarnation,
            checkpoints,
            self.core.tasks().clone(),
            self.inner.clone(),
        );
        self.core.tasks().spawn("groups.checkpoints", digests);
        self.running = Some(Running { node, view, flags, callers, failed });
        self.tick_soon();
        self.forget_members();
        self.forget_digests();
        self.strangers = Strangers::default();
        None
    }

    /// Calls go in another session, unless some are under way in this incarnation: they must not be
    /// applied twice if this member comes back to it.
    fn begin_session(&mut self, incarnation: IncarnationId) {
        let is_another = self.session_of.replace(incarnation) != Some(incarnation);
        if is_another || !self.core.queue().is_under_way() {
            self.core.queue().close_session();
            self.core.set_session(SessionId(u64::from_le_bytes(self.random.bytes())));
        }
    }

    /// Ends the Raft node; this node is another member from now on.
    pub(super) async fn discard(&mut self, reason: Discarded) -> Input {
        tracing::debug!(group = %self.core.config().group_id(), ?reason, "leaving an incarnation");
        self.bonds.serve(None);
        self.core.set_node(None);
        if let Some(running) = self.running.take() {
            running.node.shutdown().await;
        }
        self.forget_members();
        self.update_seen();
        let session = u64::from_le_bytes(self.random.bytes());
        let observer = spec::is_observer(self.core.config());
        // The status names the old member until the formation has heard of the new one.
        let member = MemberId::new(&self.core.local(), session);
        let mut status = self.formation.status();
        status.member = member;
        status.stage = Stage::Idle;
        status.incarnation = None;
        self.bonds.renew(session, observer, encode(&status));
        Input::Renewed(member)
    }

    /// The same, unless the log has grown.
    async fn abandon(
        &mut self,
        incarnation: IncarnationId,
        log_end: Option<u64>,
        reason: Discarded,
    ) -> Input {
        let sealed = self.running.as_ref().is_none_or(|running| running.node.seal(log_end));
        if sealed { self.discard(reason).await } else { Input::Kept(incarnation) }
    }

    async fn propose(&self, proposal: Proposal) {
        let Some(running) = &self.running else { return };
        let control = match proposal {
            Proposal::Open => Control::Open,
            Proposal::Dissolve => Control::Dissolve,
            Proposal::Yield { winner } if winner == running.node.incarnation() => Control::Resume,
            Proposal::Yield { winner } => Control::Yield { winner },
        };
        self.log(&running.node, &control).await;
    }

    /// Logs something, if this node leads; whoever wants it asks again if it does not come.
    pub(super) async fn log(&self, node: &Node, control: &Control) {
        drop(self.logged(node, control).await);
    }

    pub(super) async fn logged(
        &self,
        node: &Node,
        control: &Control,
    ) -> Result<raft::Proposal, raft::Refusal> {
        let now_us = u64::try_from(self.clock.now().timestamp_micros()).unwrap_or(0);
        node.propose(Item::control(now_us, control)).await
    }

    fn tell_event(&self, event: FormationEvent) {
        let group = self.core.config().group_id();
        match event {
            FormationEvent::TooManyFounders { seen, limit } => {
                tracing::warn!(%group, seen, limit, "too many nodes would found a strict group");
                self.core.tell(GroupEvent::TooManyFounders { founders: seen, limit });
            }
            FormationEvent::QuorumUnrecoverable { dead, voters, .. } => {
                tracing::error!(%group, dead, voters, "the group has lost its quorum for good");
                self.core.tell(GroupEvent::QuorumUnrecoverable { dead, voters });
            }
            FormationEvent::Merged { kept, dropped, .. } => {
                if dropped > 0 {
                    tracing::error!(%group, dropped, "commands are lost: a rival group stays");
                }
                let kept = self.members.commands_of(kept);
                self.core.tell(GroupEvent::Merged { kept, merged: 0, dropped, repeated: 0 });
            }
            FormationEvent::Entered { incarnation } => {
                tracing::debug!(%group, %incarnation, "a member");
                self.core.tell(GroupEvent::Entered);
            }
            FormationEvent::Founding { voters, .. } => {
                self.core.tell(GroupEvent::Founding { voters });
            }
            other => tracing::debug!(%group, event = ?other, "formation"),
        }
    }
}
