//! Snapshots: what is kept of the last one, and how one is made.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use openraft::RaftSnapshotBuilder;

use super::{
    replicated::{Frozen, StateError},
    type_config::{CommittedLeader, SnapshotMeta, Types},
};
use crate::{
    groups::{index::Index, member::MemberId},
    tasks::Tasks,
};

/// The content of a snapshot. It is kept encoded, for members that need it.
#[derive(Clone, Debug)]
pub(super) struct Body {
    pub(super) bytes: Bytes,
    /// The blake3 hash of the bytes.
    pub(super) hash: [u8; 32],
    /// The number of the last command in it.
    pub(super) index: Index,
}

pub(super) type Snapshot = openraft::Snapshot<CommittedLeader, MemberId, (), Body>;

/// The last snapshot, made here or received.
#[derive(Clone, Default)]
pub(super) struct Current(Arc<Mutex<Option<Snapshot>>>);

impl Current {
    pub(super) fn get(&self) -> Option<Snapshot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps a snapshot, unless there is a later one.
    pub(super) fn offer(&self, snapshot: Snapshot) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_none_or(|kept| kept.meta.last_log_id <= snapshot.meta.last_log_id) {
            *current = Some(snapshot);
        }
    }
}

/// A state that is to become a snapshot.
pub(super) struct Draft {
    pub(super) meta: SnapshotMeta,
    pub(super) index: Index,
    /// Behind a lock only to be `Sync`, which openraft wants.
    pub(super) state: Mutex<Box<dyn Frozen>>,
}

impl Draft {
    /// On a thread where it may take its time.
    pub(super) fn encode(self) -> Result<Snapshot, StateError> {
        let bytes = self.state.into_inner().unwrap_or_else(PoisonError::into_inner).encode()?;
        let hash = *blake3::hash(&bytes).as_bytes();
        let snapshot = Body { bytes, hash, index: self.index };
        Ok(Snapshot { meta: self.meta, snapshot })
    }
}

/// Hands openraft a snapshot that has been made already, or makes one if there must be one.
pub(super) enum Builder {
    Made(Box<Snapshot>),
    Draft { draft: Option<Draft>, current: Current, tasks: Tasks },
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Body;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        match self {
            Self::Made(snapshot) => Ok((**snapshot).clone()),
            Self::Draft { draft, current, tasks } => {
                let draft = draft.take().ok_or_else(|| io::Error::other("made already"))?;
                let made = tasks.blocking("raft-snapshot", || draft.encode()).await;
                let snapshot = made
                    .unwrap_or_else(|| Err(StateError("the state panicked".into())))
                    .map_err(io::Error::other)?;
                current.offer(snapshot.clone());
                Ok(snapshot)
            }
        }
    }
}
