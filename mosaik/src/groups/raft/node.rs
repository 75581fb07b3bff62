//! The node: one member in one incarnation of a group.

use std::{fmt, sync::Arc};

use openraft::{Instant, async_runtime::WatchReceiver};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    contact::Heard,
    errors::Stopped,
    limits::{Limits, Timing, config},
    log::MemoryLog,
    machine::{Machine, Outlets},
    messages::Address,
    network::Network,
    reads::Rounds,
    replicated::Replicated,
    reserve::Reserve,
    runtime::Runtime,
    snapshot::Current,
    supervise::{SHUTDOWN, Supervisor},
    type_config::Types,
    view::{Applied, MemberProgress, RaftView},
    wire::Wire,
};
use crate::{
    groups::{
        index::Cursor,
        member::{IncarnationId, MemberId},
        watched::Watched,
    },
    tasks::Tasks,
};

pub(super) type Raft = openraft::Raft<Types, Machine>;

/// What a node is made of.
pub(crate) struct NodeParts {
    /// Never used before: its log is empty.
    pub(crate) me: MemberId,
    pub(crate) incarnation: IncarnationId,
    pub(crate) timing: Timing,
    /// How many election times it lets pass before it stands for election; 1 for most.
    pub(crate) patience: u32,
    pub(crate) limits: Limits,
    pub(crate) replicated: Box<dyn Replicated>,
    pub(crate) wire: Arc<dyn Wire>,
    /// Election times are made of it.
    pub(crate) seed: u64,
    /// Where the log tells how far it is.
    pub(crate) logged: watch::Sender<Watched>,
    /// The node ends with them.
    pub(crate) tasks: Tasks,
}

/// A handle; clones share the node. It ends with [`Node::shutdown`] or with its tasks.
#[derive(Clone)]
pub(crate) struct Node(Arc<Inner>);

struct Inner {
    address: Address,
    timing: Timing,
    raft: Raft,
    log: MemoryLog,
    rounds: Rounds,
    heard: Arc<Heard>,
    view: watch::Receiver<RaftView>,
    applied: watch::Receiver<Applied>,
    failed: watch::Receiver<Option<String>>,
    tasks: Tasks,
}

impl Node {
    /// Starts with an empty log, as a learner of nothing: it waits for a leader, or for
    /// [`Node::initialize`].
    pub(crate) async fn start(parts: NodeParts) -> Result<Self, Stopped> {
        let NodeParts { me, incarnation, timing, patience, limits, .. } = parts;
        let NodeParts { replicated, wire, seed, tasks, logged, .. } = parts;
        let tasks = tasks.child();
        let log = MemoryLog::new(limits.page_bytes, logged);
        let current = Current::default();
        let (applied_tx, applied) = watch::channel(Applied::default());
        let (failed_tx, failed) = watch::channel(None);
        let (drafts_tx, drafts) = mpsc::channel(1);
        let outlets = Outlets { applied: applied_tx, drafts: drafts_tx, failed: failed_tx.clone() };
        let machine =
            Machine::new(replicated, log.clone(), current.clone(), limits, tasks.clone(), outlets);
        let network = Network { me, incarnation, timing, limits, wire };
        let config = config(&timing, &limits).validate().map_err(|error| {
            tracing::error!(%error, "the timing of a group is not possible");
            Stopped
        })?;
        let started = Raft::new(me, Arc::new(config), network, log.clone(), machine);
        let raft = Runtime::seeded(seed, started).await.map_err(|error| {
            tracing::error!(%error, "a group's node did not start");
            Stopped
        })?;
        let (view_tx, view) = watch::channel(RaftView::default());
        let heard = Arc::new(Heard::new());
        let supervisor = Supervisor {
            me,
            raft: raft.clone(),
            log: log.clone(),
            current,
            limits,
            timing,
            reserve: Reserve::new(patience, &timing, heard.clone(), seed),
            view: view_tx,
            applied: applied.clone(),
            failed: failed_tx,
            tasks: tasks.clone(),
        };
        supervisor.publish();
        tasks.spawn_uncancelled("raft", supervisor.run(drafts));
        let address = Address { incarnation, to: me };
        let rounds = Rounds::default();
        let inner =
            Inner { address, timing, raft, log, rounds, heard, view, applied, failed, tasks };
        Ok(Self(Arc::new(inner)))
    }

    pub(crate) fn me(&self) -> MemberId {
        self.0.address.to
    }

    pub(crate) fn incarnation(&self) -> IncarnationId {
        self.0.address.incarnation
    }

    pub(super) fn address(&self) -> Address {
        self.0.address
    }

    pub(super) fn raft(&self) -> &Raft {
        &self.0.raft
    }

    pub(super) fn log(&self) -> &MemoryLog {
        &self.0.log
    }

    pub(super) fn rounds(&self) -> &Rounds {
        &self.0.rounds
    }

    pub(super) fn heard(&self) -> &Arc<Heard> {
        &self.0.heard
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    pub(crate) fn timing(&self) -> &Timing {
        &self.0.timing
    }

    /// The role, the leader, the term and the members, whenever they change.
    pub(crate) fn view(&self) -> watch::Receiver<RaftView> {
        self.0.view.clone()
    }

    /// How far the log is applied, now.
    pub(crate) fn applied(&self) -> Applied {
        *self.0.applied.borrow()
    }

    /// The same, whenever it changes. On a busy node that is very often.
    pub(crate) fn applied_watch(&self) -> watch::Receiver<Applied> {
        self.0.applied.clone()
    }

    /// The end of the log, now.
    pub(crate) fn last(&self) -> Cursor {
        self.0.log.last()
    }

    /// How far the log is committed, as far as is known here: it is applied soon.
    pub(crate) fn committed(&self) -> Cursor {
        self.0.log.committed()
    }

    /// The last entry of the log, as Raft counts; none before the first.
    pub(crate) fn log_end(&self) -> Option<u64> {
        self.0.log.last_entry()
    }

    /// If the log ends here, it takes no entry from now on, and none that would have followed is
    /// ever acknowledged; the node is to be shut down then. Says whether it does.
    pub(crate) fn seal(&self, end: Option<u64>) -> bool {
        self.0.log.seal(end)
    }

    /// The place of an entry that Raft counts as `entry`, if the log still has it.
    #[cfg(test)]
    pub(crate) fn position(&self, entry: u64) -> Option<Cursor> {
        self.0.log.position(entry)
    }

    /// What the log takes in memory.
    #[cfg(test)]
    pub(crate) fn log_bytes(&self) -> usize {
        self.0.log.bytes()
    }

    /// Why the node has stopped, if it did so by itself: it must be replaced by one with another
    /// id.
    pub(crate) fn failed(&self) -> watch::Receiver<Option<String>> {
        self.0.failed.clone()
    }

    /// At the leader: how far the other members are; empty elsewhere.
    pub(crate) fn progress(&self) -> Vec<MemberProgress> {
        let metrics = self.0.raft.metrics();
        let (replication, heartbeat) = {
            let metrics = metrics.borrow_watched();
            (metrics.replication.clone(), metrics.heartbeat.clone())
        };
        let (Some(replication), Some(heartbeat)) = (replication, heartbeat) else {
            return Vec::new();
        };
        let end = self.0.log.last_entry().map_or(0, |last| last + 1);
        let others = replication.into_iter().filter(|(member, _)| *member != self.me());
        let progress = others.map(|(member, matched)| {
            let matched = matched.map(|id| id.index);
            let behind = end.saturating_sub(matched.map_or(0, |index| index + 1));
            let sent = heartbeat.get(&member).copied().flatten();
            let acknowledged = sent.map(|sent| sent.into_inner().elapsed());
            MemberProgress { member, matched, behind, acknowledged }
        });
        progress.collect()
    }

    /// Stands for election at once, without asking whether it would win.
    pub(crate) async fn elect(&self) -> Result<(), Stopped> {
        self.0.raft.trigger().elect(false).await.map_err(|_| Stopped)
    }

    /// Tries a member again at once that was unreachable until now.
    pub(crate) async fn reachable(&self, member: MemberId) -> Result<(), Stopped> {
        self.0.raft.trigger().reset_backoff([member]).await.map_err(|_| Stopped)
    }

    /// Makes a snapshot now, unless one is being made.
    #[cfg(test)]
    pub(crate) async fn snapshot(&self) -> Result<(), Stopped> {
        let begun = self.0.raft.with_state_machine(|machine| {
            machine.begin_snapshot();
            Box::pin(std::future::ready(()))
        });
        begun.await.map_err(|_| Stopped)
    }

    /// Forgets the log up to an entry, as far as a snapshot covers it.
    #[cfg(test)]
    pub(crate) async fn purge(&self, entry: u64) -> Result<(), Stopped> {
        self.0.raft.trigger().purge_log(entry).await.map_err(|_| Stopped)
    }

    /// Ends the node; returns when openraft has stopped. Its log is gone then.
    pub(crate) async fn shutdown(&self) {
        self.0.tasks.cancel();
        timeout(SHUTDOWN, self.0.raft.shutdown()).await.ok();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.0.address).finish()
    }
}
