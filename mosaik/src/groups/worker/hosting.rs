//! The replica at work: the log is applied to it, and its outcomes go to those who wait.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::{
    groups::{
        calls::{Calls, Settled, Told, Waiter},
        event::GroupEvent,
        group::Core,
        index::{Index, Term},
        member::IncarnationId,
        raft::{Frozen, Replicated, StateError},
        state::{self, Answer, Item, Outcome, OutcomeKind, Replica, SessionId, Step},
        worker::messages::Mark,
    },
    id::PeerId,
    random::Random,
};

/// What the log has said of the incarnation so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) open: bool,
    pub(super) dissolved: bool,
    pub(super) yielded_to: Option<IncarnationId>,
    pub(super) poisoned: Option<Index>,
}

/// A state that was reached at a checkpoint.
pub(super) type Checkpoint = (Mark, state::Frozen);

/// What a replica is applied to with, and tells.
pub(super) struct Hosting {
    replica: Replica,
    core: Arc<Core>,
    random: Random,
    /// In which this node's calls go.
    session: SessionId,
    outlets: Outlets,
    out: Vec<Outcome>,
}

/// Where a replica's worker hears of it.
pub(super) struct Outlets {
    pub(super) flags: watch::Sender<Flags>,
    pub(super) callers: watch::Sender<Callers>,
    pub(super) checkpoints: mpsc::Sender<Checkpoint>,
}

/// Which sessions are open, and whose they are.
pub(super) type Callers = BTreeMap<SessionId, PeerId>;

impl Hosting {
    /// `replica` has applied nothing yet.
    pub(super) fn new(
        mut replica: Replica,
        core: Arc<Core>,
        random: Random,
        outlets: Outlets,
    ) -> Self {
        let session = core.session();
        replica.listen_to(session);
        Self { replica, core, random, session, outlets, out: Vec::new() }
    }

    /// Tells what has changed. The state was published before: who is told may read it.
    fn tell(&mut self) {
        let applied = self.replica.applied();
        self.core.applied_watch().send_if_modified(|known| known.set(applied));
        self.tell_callers();
        let flags = Flags {
            open: self.replica.is_open(),
            dissolved: self.replica.is_dissolved(),
            yielded_to: self.replica.yielded_to(),
            poisoned: self.replica.poisoned().map(|panicked| panicked.index),
        };
        let poisoned_before = self.outlets.flags.borrow().poisoned;
        self.outlets.flags.send_if_modified(|known| std::mem::replace(known, flags) != flags);
        if let Some(panicked) = self.replica.poisoned()
            && poisoned_before != Some(panicked.index)
        {
            let index = panicked.index;
            let message = &panicked.message;
            tracing::error!(%index, %message, "a group's state machine panicked: it stops here");
            self.core.tell(GroupEvent::Poisoned { index });
        }
    }

    /// Sessions are opened and ended by items that are none of callers.
    fn tell_sessions(&self) {
        let callers: Callers =
            self.replica.sessions().map(|(id, session)| (id, session.peer)).collect();
        self.outlets.callers.send_if_modified(|known| {
            let changed = *known != callers;
            *known = callers;
            changed
        });
    }

    fn tell_callers(&mut self) {
        if self.out.is_empty() {
            return;
        }
        let session = self.session;
        let opened =
            |outcome: &Outcome| outcome.session == session && outcome.kind == OutcomeKind::Opened;
        if self.out.iter().any(opened) && self.core.queue().session() != Some(session) {
            self.core.queue().open(session);
        }
        let last = self.replica.index();
        let outcomes = self.out.drain(..).filter(|outcome| outcome.session == session);
        let lost = self.core.queue().settle(|calls, told| {
            let mut lost = None;
            for outcome in outcomes {
                if outcome.kind == OutcomeKind::UnknownSession {
                    lost = Some(lost.unwrap_or(0) + calls.lose(told));
                } else if lost.is_none() {
                    settle(calls, outcome, last, told);
                }
            }
            lost
        });
        if let Some(fed) = lost {
            self.begin_session(fed);
        }
    }

    /// The group has ended this node's session: from now on its calls go in another.
    fn begin_session(&mut self, fed: usize) {
        let group = self.core.config().group_id();
        if fed > 0 {
            tracing::error!(%group, fed, "the group has forgotten this node; fed commands are lost");
        } else {
            tracing::debug!(%group, "the group has forgotten this node");
        }
        self.session = SessionId(u64::from_le_bytes(self.random.bytes()));
        self.core.set_session(self.session);
        self.replica.listen_to(self.session);
        // The pump has to ask for it: calls that were never sent wait for that.
        self.core.queue().rewind();
    }
}

/// What an outcome means for the calls of this node. `last` is how far the group is.
fn settle(calls: &mut Calls<Waiter>, outcome: Outcome, last: Index, told: &mut Told<Waiter>) {
    let Outcome { sequence, index, kind, .. } = outcome;
    let answer = match kind {
        OutcomeKind::Answered(answer) | OutcomeKind::Repeated(answer) => answer,
        OutcomeKind::Gap { expected } => return calls.rewind_to(expected),
        OutcomeKind::Forgotten => {
            return calls.settle(sequence, Settled::Lagging { index: last }, told);
        }
        // The incarnation has ended, and the calls begin anew in another.
        OutcomeKind::Closed | OutcomeKind::Opened | OutcomeKind::UnknownSession => return,
    };
    let settled = match answer {
        Answer::Applied(reply) => Settled::Applied { index, reply },
        Answer::Unencodable => Settled::Undecodable { index },
        Answer::Undecodable => Settled::Rejected { index },
        Answer::Skipped => Settled::Skipped { index },
    };
    calls.settle(sequence, settled, told);
}

impl Replicated for Hosting {
    fn apply(&mut self, term: Term, item: &Item) -> Step {
        let step = self.replica.apply(term, item, &mut self.out);
        if let Some(frozen) = self.replica.take_checkpoint() {
            // Whoever compares is still busy with the last one: this one is passed over.
            let mark = Mark { index: self.replica.index(), term, time_us: item.time_us() };
            let _ = self.outlets.checkpoints.try_send((mark, frozen));
        }
        if item.is_control() {
            self.tell_sessions();
        }
        self.tell();
        step
    }

    fn freeze(&self) -> Box<dyn Frozen> {
        #[cfg(any(test, feature = "faults"))]
        if crate::faults::is_present(crate::faults::Fault::ForgetsSessions) {
            return Box::new(Encodes(self.replica.freeze().without_sessions()));
        }
        Box::new(Encodes(self.replica.freeze()))
    }

    fn restore(&mut self, bytes: &[u8]) -> Result<(), StateError> {
        let restored = self.replica.restore(bytes, &mut self.out);
        restored.map_err(|error| StateError(error.to_string()))?;
        self.tell_sessions();
        self.tell();
        Ok(())
    }

    fn rebuild(
        &mut self,
        snapshot: Option<&[u8]>,
        items: &mut dyn Iterator<Item = (Term, Item)>,
    ) -> Result<(), StateError> {
        let rebuilt = self.replica.rebuild(snapshot, items, &mut self.out);
        rebuilt.map_err(|error| StateError(error.to_string()))?;
        self.tell();
        if let Some(index) = self.replica.take_passed() {
            self.core.tell(GroupEvent::Skipped { index });
        }
        Ok(())
    }

    fn index(&self) -> Index {
        self.replica.index()
    }

    fn poisoned(&self) -> bool {
        self.replica.poisoned().is_some()
    }
}

struct Encodes(state::Frozen);

impl Frozen for Encodes {
    fn encode(self: Box<Self>) -> Result<Bytes, StateError> {
        self.0.encode().map_err(|error| StateError(error.to_string()))
    }
}
