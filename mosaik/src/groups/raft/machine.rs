//! The replicated state as openraft sees it: entries are applied to it, one after the other.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
};

use futures::{Stream, TryStreamExt};
use openraft::{
    EntryPayload, OptionalSend,
    storage::{ApplyResponder, EntryResponder, RaftStateMachine},
};
use tokio::sync::{mpsc, watch};

use super::{
    limits::Limits,
    log::MemoryLog,
    replicated::{Replicated, StateError},
    snapshot::{Body, Builder, Current, Draft, Snapshot},
    type_config::{EntryId, SnapshotMeta, StoredMembership, Types, term_of},
    view::Applied,
};
use crate::{
    groups::{
        index::Cursor,
        state::{Item, Step},
    },
    tasks::Tasks,
};

/// After so many commands others get a turn on this thread.
const COMMANDS_BETWEEN_YIELDS: u64 = 4096;

pub(super) struct Machine {
    /// Taken out only while a snapshot is read into it, on another thread.
    replicated: Option<Box<dyn Replicated>>,
    last: Option<EntryId>,
    membership: StoredMembership,
    log: MemoryLog,
    current: Current,
    /// Which snapshot openraft knows of.
    announced: Option<EntryId>,
    since: SinceSnapshot,
    limits: Limits,
    tasks: Tasks,
    outlets: Outlets,
}

/// Where the machine tells what it does.
#[derive(Clone)]
pub(super) struct Outlets {
    pub(super) applied: watch::Sender<Applied>,
    /// Of capacity 1: one snapshot is made at a time.
    pub(super) drafts: mpsc::Sender<Draft>,
    pub(super) failed: watch::Sender<Option<String>>,
}

/// What has been applied since a state was last frozen.
#[derive(Default)]
struct SinceSnapshot {
    commands: u64,
    bytes: usize,
}

impl Machine {
    pub(super) fn new(
        replicated: Box<dyn Replicated>,
        log: MemoryLog,
        current: Current,
        limits: Limits,
        tasks: Tasks,
        outlets: Outlets,
    ) -> Self {
        Self {
            replicated: Some(replicated),
            last: None,
            membership: StoredMembership::default(),
            log,
            current,
            announced: None,
            since: SinceSnapshot::default(),
            limits,
            tasks,
            outlets,
        }
    }

    fn replicated(&mut self) -> io::Result<&mut dyn Replicated> {
        match self.replicated.as_mut() {
            Some(replicated) => Ok(&mut **replicated),
            None => Err(io::Error::other("the state is gone")),
        }
    }

    fn apply_item(&mut self, id: EntryId, item: &Item) -> io::Result<()> {
        let term = term_of(&id);
        self.since.commands += u64::from(item.commands());
        self.since.bytes = self.since.bytes.saturating_add(item.0.len());
        let replicated = self.replicated()?;
        let step = catch_unwind(AssertUnwindSafe(|| replicated.apply(term, item)));
        match step {
            Ok(Step::Done) => Ok(()),
            Ok(Step::Rebuild) => self.rebuild(id),
            Err(_) => Err(self.fail("the replicated state panicked")),
        }
    }

    /// From the last snapshot and what the log has after it: a log is never purged beyond that.
    fn rebuild(&mut self, last: EntryId) -> io::Result<()> {
        let snapshot = self.current.get();
        let after = snapshot.as_ref().and_then(|kept| kept.meta.last_log_id).map(|id| id.index);
        let mut items = self.log.entries_between(after, last.index).filter_map(|entry| {
            let term = term_of(&entry.log_id);
            match entry.payload {
                EntryPayload::Normal(logged) => Some((term, logged.item)),
                EntryPayload::Blank | EntryPayload::Membership(_) => None,
            }
        });
        let bytes = snapshot.as_ref().map(|kept| &kept.snapshot.bytes[..]);
        let replicated = self.replicated()?;
        let rebuilt = catch_unwind(AssertUnwindSafe(|| replicated.rebuild(bytes, &mut items)));
        match rebuilt {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.fail(&error.0)),
            Err(_) => Err(self.fail("the replicated state panicked")),
        }
    }

    /// The node cannot go on; openraft stops at the error.
    fn fail(&self, why: &str) -> io::Error {
        self.outlets.failed.send_replace(Some(why.to_owned()));
        io::Error::other(why.to_owned())
    }

    fn publish(&self) {
        let (Some(last), Some(replicated)) = (self.last, &self.replicated) else { return };
        let cursor = Cursor(term_of(&last), replicated.index());
        self.outlets.applied.send_replace(Applied { entry: Some(last.index), cursor });
    }

    fn snapshot_if_due(&mut self) {
        let due = self.since.commands >= self.limits.snapshot_every
            || self.since.bytes >= self.limits.snapshot_bytes;
        if due {
            self.begin_snapshot();
        }
    }

    /// Freezes the state and has a snapshot made of it, unless one is being made.
    pub(super) fn begin_snapshot(&mut self) {
        let poisoned = self.replicated.as_ref().is_some_and(|state| state.poisoned());
        if poisoned || self.last.is_none() {
            return;
        }
        let Ok(place) = self.outlets.drafts.try_reserve() else { return };
        if let Some(draft) = self.draft() {
            place.send(draft);
            self.since = SinceSnapshot::default();
        }
    }

    fn draft(&self) -> Option<Draft> {
        let replicated = self.replicated.as_ref()?;
        let meta =
            SnapshotMeta { last_log_id: self.last, last_membership: self.membership.clone() };
        Some(Draft { meta, index: replicated.index(), state: Mutex::new(replicated.freeze()) })
    }

    async fn restore(&mut self, bytes: bytes::Bytes) -> io::Result<()> {
        let Some(mut replicated) = self.replicated.take() else {
            return Err(io::Error::other("the state is gone"));
        };
        let work = move || {
            let restored = catch_unwind(AssertUnwindSafe(|| replicated.restore(&bytes)))
                .unwrap_or_else(|_| Err(StateError("the replicated state panicked".into())));
            (replicated, restored)
        };
        match self.tasks.blocking("raft-restore", work).await {
            Some((replicated, restored)) => {
                self.replicated = Some(replicated);
                restored.map_err(|error| self.fail(&error.0))
            }
            None => Err(self.fail("the snapshot was not read")),
        }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Body;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<EntryId>, StoredMembership), io::Error> {
        Ok((self.last, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<Types>, io::Error>> + Unpin + OptionalSend,
    {
        let mut commands = 0;
        // Those who wait for these entries.
        let mut responders = Vec::new();
        while let Some((entry, responder)) = entries.try_next().await? {
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(logged) => {
                    commands += u64::from(logged.item.commands());
                    self.apply_item(entry.log_id, &logged.item)?;
                }
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
            }
            self.last = Some(entry.log_id);
            responders.extend(responder);
            if commands >= COMMANDS_BETWEEN_YIELDS {
                commands = 0;
                self.answer(&mut responders);
                tokio::task::yield_now().await;
            }
        }
        self.answer(&mut responders);
        self.snapshot_if_due();
        Ok(())
    }

    /// We say when a snapshot is made, and make it: openraft only hears of it. It forces one when a
    /// storage is opened that has lost its snapshot.
    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<Builder> {
        if force {
            return Some(self.get_snapshot_builder().await);
        }
        let snapshot = self.current.get()?;
        if snapshot.meta.last_log_id <= self.announced {
            return None;
        }
        self.announced = snapshot.meta.last_log_id;
        Some(Builder::Made(Box::new(snapshot)))
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let (current, tasks) = (self.current.clone(), self.tasks.clone());
        Builder::Draft { draft: self.draft(), current, tasks }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Body,
    ) -> Result<(), io::Error> {
        self.restore(snapshot.bytes.clone()).await?;
        self.last = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.since = SinceSnapshot::default();
        self.announced = self.announced.max(meta.last_log_id);
        self.current.offer(Snapshot { meta: meta.clone(), snapshot });
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(self.current.get())
    }
}

impl Machine {
    /// What waits for an entry hears of it when it is seen to be applied.
    fn answer(&self, responders: &mut Vec<ApplyResponder<Types>>) {
        self.publish();
        for responder in responders.drain(..) {
            responder.send(());
        }
    }
}
