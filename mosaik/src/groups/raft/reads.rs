//! Linearizable reads: a point in the log that is not before anything that was answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use openraft::{
    ReadPolicy,
    errors::{LinearizableReadError, RaftError},
};
use serde::{Deserialize, Serialize};

use super::{
    errors::{ReadError, Stopped},
    node::{Node, Raft},
    type_config::{Types, term_of},
};
use crate::groups::index::{Cursor, Term};

/// Where a state must have been applied to, to be read. Made by a leader, good at any member of the
/// same incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadPoint {
    pub(crate) term: Term,
    /// The entry, as Raft counts.
    pub(crate) entry: u64,
}

type Round = Shared<BoxFuture<'static, Result<ReadPoint, ReadError>>>;

/// Reads share rounds: those that come while a round is under way have the next one together, since
/// a round is good only for what came before it.
#[derive(Clone, Default)]
pub(super) struct Rounds {
    next: Arc<Mutex<Option<Round>>>,
    running: Arc<tokio::sync::Mutex<()>>,
}

impl Rounds {
    fn lock(&self) -> MutexGuard<'_, Option<Round>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The round that has not begun yet.
    fn join(&self, raft: &Raft) -> Round {
        let mut next = self.lock();
        next.get_or_insert_with(|| {
            let (rounds, raft) = (self.clone(), raft.clone());
            async move {
                let _running = rounds.running.lock().await;
                // From here on others must have another one.
                rounds.lock().take();
                ask(&raft).await
            }
            .boxed()
            .shared()
        })
        .clone()
    }
}

async fn ask(raft: &Raft) -> Result<ReadPoint, ReadError> {
    #[cfg(any(test, feature = "faults"))]
    if crate::faults::is_present(crate::faults::Fault::ReadsUnchecked) {
        return unchecked(raft);
    }
    match raft.get_read_log_id(ReadPolicy::ReadIndex).await {
        Ok((point, _)) => {
            let id = point.log_id();
            Ok(ReadPoint { term: term_of(id), entry: id.index })
        }
        Err(RaftError::APIError(error)) => Err(refused(error)),
        Err(RaftError::Fatal(_)) => Err(ReadError::Stopped),
    }
}

/// A deliberate fault: as far as this node is, whether it leads or not.
#[cfg(any(test, feature = "faults"))]
fn unchecked(raft: &Raft) -> Result<ReadPoint, ReadError> {
    use openraft::async_runtime::WatchReceiver;

    let applied = raft.metrics().borrow_watched().last_applied;
    let id = applied.ok_or(ReadError::NoQuorum)?;
    Ok(ReadPoint { term: term_of(&id), entry: id.index })
}

fn refused(error: LinearizableReadError<Types>) -> ReadError {
    match error {
        LinearizableReadError::ForwardToLeader(forward) => {
            ReadError::NotLeader { leader: forward.leader_id }
        }
        LinearizableReadError::QuorumNotEnough(_) => ReadError::NoQuorum,
    }
}

impl Node {
    /// At the leader: a point that is not before anything that was answered before this call. It
    /// takes a round trip to a quorum, at most two with others waiting, and gives up within a
    /// lease.
    pub(crate) async fn read_index(&self) -> Result<ReadPoint, ReadError> {
        self.rounds().join(self.raft()).await
    }

    /// At any member: waits until a read point is applied here. It ends with the node; how long to
    /// wait is the caller's to say.
    pub(crate) async fn wait_applied(&self, point: ReadPoint) -> Result<Cursor, Stopped> {
        let mut applied = self.applied_watch();
        let reached = applied.wait_for(|applied| applied.entry >= Some(point.entry)).await;
        reached.map(|applied| applied.cursor).map_err(|_| Stopped)
    }
}
