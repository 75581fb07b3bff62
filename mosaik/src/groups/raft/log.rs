//! The log in memory.

use std::{
    collections::VecDeque,
    fmt::Debug,
    io,
    ops::{Bound, RangeBounds},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use openraft::{
    EntryPayload, LogState, OptionalSend, RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
};

use tokio::sync::watch;

use super::type_config::{Entry, EntryId, Types, Vote, term_of};
use crate::groups::{
    index::{Cursor, Index, Term},
    watched::Watched,
};

/// What an entry takes beside its content.
const ENTRY_OVERHEAD: usize = size_of::<Slot>();

/// Of the snapshots that were received, so many may not be installed yet.
const MAX_TOLD: usize = 16;

/// A log, shared by whoever reads it. It knows for each of its entries the number of the last
/// command up to there, so that places in it can be told as applications count them.
#[derive(Clone)]
pub(super) struct MemoryLog {
    inner: Arc<Mutex<Inner>>,
    /// How many entries are committed, as far as is known here.
    committed: Arc<AtomicU64>,
    page_bytes: usize,
    /// How far it is, whenever that changes.
    watched: watch::Sender<Watched>,
}

#[derive(Default)]
struct Inner {
    entries: VecDeque<Slot>,
    /// The last entry that is gone.
    purged: Option<EntryId>,
    /// The number of the last command up to there.
    purged_commands: Index,
    vote: Option<Vote>,
    bytes: usize,
    /// Places that snapshots have told of: the log may be purged to there before it ever had the
    /// entries. In the order of their indices.
    told: VecDeque<(u64, Index)>,
    /// It takes no entries any more.
    sealed: bool,
}

struct Slot {
    entry: Entry,
    /// The number of the last command up to this entry.
    commands: Index,
}

impl Slot {
    fn size(&self) -> usize {
        ENTRY_OVERHEAD + content_len(&self.entry)
    }
}

pub(super) fn content_len(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(logged) => logged.item.0.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}

impl MemoryLog {
    /// An empty one.
    pub(super) fn new(page_bytes: usize, watched: watch::Sender<Watched>) -> Self {
        let log = Self { inner: Arc::default(), committed: Arc::default(), page_bytes, watched };
        log.publish(Cursor::zero());
        log
    }

    /// Only openraft's core writes, one after the other: what is told is in order.
    fn publish(&self, end: Cursor) {
        self.watched.send_if_modified(|watched| watched.set(end));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the log ends.
    pub(super) fn last(&self) -> Cursor {
        self.lock().last()
    }

    /// How far the log is committed, as far as is known here.
    pub(super) fn committed(&self) -> Cursor {
        let end = self.committed.load(Ordering::Relaxed);
        let last = end.checked_sub(1);
        last.and_then(|last| self.lock().position(last)).unwrap_or_default()
    }

    /// The index of the last entry; none before the first.
    pub(super) fn last_entry(&self) -> Option<u64> {
        self.lock().last_id().map(|id| id.index)
    }

    /// The place of an entry, if the log still has it (or has just purged it).
    #[cfg(test)]
    pub(super) fn position(&self, index: u64) -> Option<Cursor> {
        self.lock().position(index)
    }

    /// If the log ends here, it takes no entry from now on: none of those that would have followed
    /// is ever acknowledged. Says whether it does.
    pub(super) fn seal(&self, end: Option<u64>) -> bool {
        let mut inner = self.lock();
        inner.sealed |= inner.last_id().map(|id| id.index) == end;
        inner.sealed
    }

    /// What the entries take.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// A snapshot covers the log up to an entry, and so many commands.
    pub(super) fn tell(&self, entry: u64, commands: Index) {
        let mut inner = self.lock();
        if inner.told.back().is_some_and(|last| last.0 >= entry) {
            inner.told.retain(|told| told.0 < entry);
        }
        inner.told.push_back((entry, commands));
        if inner.told.len() > MAX_TOLD {
            inner.told.pop_front();
        }
    }

    /// Up to which entry (it included) the log may go so that what is left before `end`, which is
    /// left too, takes at most so many bytes; none if nothing need go.
    pub(super) fn surplus(&self, end: u64, keep_bytes: usize) -> Option<u64> {
        let inner = self.lock();
        let kept = inner.offset(end)?;
        let mut sum = 0;
        let first_kept = inner.entries.iter().take(kept + 1).rposition(|slot| {
            sum += slot.size();
            sum > keep_bytes
        })?;
        Some(inner.entries.get(first_kept)?.entry.log_id.index)
    }

    /// The entries after `after` up to `last`, read a few at a time.
    pub(super) fn entries_between(
        &self,
        after: Option<u64>,
        last: u64,
    ) -> impl Iterator<Item = Entry> + use<> {
        const PAGE: u64 = 256;
        let log = self.clone();
        let mut next = after.map_or(0, |index| index + 1);
        let mut page = Vec::new().into_iter();
        std::iter::from_fn(move || {
            if page.len() == 0 && next <= last {
                page = log.read(next, (next + PAGE).min(last + 1), usize::MAX).into_iter();
                next += PAGE;
            }
            page.next()
        })
    }

    /// The entries from `start` to before `end`: all that are there, or the first of them up to so
    /// many bytes, but at least one.
    fn read(&self, start: u64, end: u64, max_bytes: usize) -> Vec<Entry> {
        let inner = self.lock();
        let start = inner.clamped(start);
        let end = inner.clamped(end).max(start);
        let mut bytes = 0;
        let within = |slot: &&Slot| {
            let first = bytes == 0;
            bytes += slot.size();
            first || bytes <= max_bytes
        };
        inner.entries.range(start..end).take_while(within).map(|slot| slot.entry.clone()).collect()
    }
}

impl Inner {
    /// The index of the first entry that there is, or would be.
    fn first(&self) -> u64 {
        let next = self.purged.map_or(0, |id| id.index + 1);
        self.entries.front().map_or(next, |slot| slot.entry.log_id.index)
    }

    /// Where in the queue an entry is.
    fn offset(&self, index: u64) -> Option<usize> {
        let offset = usize::try_from(index.checked_sub(self.first())?).ok()?;
        (offset < self.entries.len()).then_some(offset)
    }

    /// The same for an end of a range, which may lie outside.
    fn clamped(&self, index: u64) -> usize {
        usize::try_from(index.saturating_sub(self.first()))
            .unwrap_or(usize::MAX)
            .min(self.entries.len())
    }

    fn last_id(&self) -> Option<EntryId> {
        self.entries.back().map(|slot| slot.entry.log_id).or(self.purged)
    }

    fn last(&self) -> Cursor {
        let term = self.last_id().map_or(Term(0), |id| term_of(&id));
        Cursor(term, self.commands())
    }

    fn commands(&self) -> Index {
        self.entries.back().map_or(self.purged_commands, |slot| slot.commands)
    }

    fn position(&self, index: u64) -> Option<Cursor> {
        if let Some(purged) = self.purged.filter(|purged| purged.index == index) {
            return Some(Cursor(term_of(&purged), self.purged_commands));
        }
        let slot = self.entries.get(self.offset(index)?)?;
        Some(Cursor(term_of(&slot.entry.log_id), slot.commands))
    }

    fn append(&mut self, mut entry: Entry) {
        let mut commands = self.commands();
        if let EntryPayload::Normal(logged) = &mut entry.payload {
            commands.0 = commands.0.saturating_add(u64::from(logged.item.commands()));
            if let Some(appended) = logged.appended.take() {
                // Whoever proposed it may not wait any more.
                let _ = appended.send(Cursor(term_of(&entry.log_id), commands));
            }
        }
        let slot = Slot { entry, commands };
        self.bytes += slot.size();
        self.entries.push_back(slot);
    }

    fn truncate_after(&mut self, last: Option<u64>) {
        let keep = last.map_or(0, |last| self.clamped(last.saturating_add(1)));
        for slot in self.entries.drain(keep..) {
            self.bytes -= slot.size();
        }
    }

    fn purge(&mut self, upto: EntryId) {
        if self.purged.is_some_and(|purged| purged.index >= upto.index) {
            return;
        }
        let gone = self.clamped(upto.index.saturating_add(1));
        let before = self.commands();
        let told = self.told.iter().find(|told| told.0 == upto.index).map(|told| told.1);
        let known = self.position(upto.index).map(|place| place.1);
        for slot in self.entries.drain(..gone) {
            self.bytes -= slot.size();
        }
        self.purged_commands = told.or(known).unwrap_or(before);
        self.purged = Some(upto);
        self.told.retain(|told| told.0 > upto.index);
        if self.entries.capacity() > 4 * self.entries.len().max(1024) {
            self.entries.shrink_to(2 * self.entries.len());
        }
    }
}

impl RaftLogReader<Types> for MemoryLog {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<Entry>, io::Error> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        Ok(self.read(start, end, usize::MAX))
    }

    /// What one append carries.
    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        Ok(self.read(start, end, self.page_bytes))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.lock().vote)
    }
}

impl RaftLogStorage<Types> for MemoryLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<Types>, io::Error> {
        let inner = self.lock();
        Ok(LogState { last_purged_log_id: inner.purged, last_log_id: inner.last_id() })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.lock().vote = Some(*vote);
        Ok(())
    }

    /// For who asks how far the group is; it is not read again, since the log does not outlive it.
    async fn save_committed(&mut self, committed: Option<EntryId>) -> Result<(), io::Error> {
        let end = committed.map_or(0, |id| id.index + 1);
        self.committed.store(end, Ordering::Relaxed);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let end = {
            let mut inner = self.lock();
            if inner.sealed {
                return Err(io::Error::other("the incarnation is being left"));
            }
            entries.into_iter().for_each(|entry| inner.append(entry));
            inner.last()
        };
        self.publish(end);
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last_log_id: Option<EntryId>) -> Result<(), io::Error> {
        let end = {
            let mut inner = self.lock();
            inner.truncate_after(last_log_id.map(|id| id.index));
            inner.last()
        };
        self.publish(end);
        Ok(())
    }

    async fn purge(&mut self, log_id: EntryId) -> Result<(), io::Error> {
        // Beyond its end, if it goes on from a snapshot.
        let end = {
            let mut inner = self.lock();
            inner.purge(log_id);
            inner.last()
        };
        self.publish(end);
        Ok(())
    }
}
