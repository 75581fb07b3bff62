//! The calls of one node, as a value: what is to be sent next, and what becomes of each.

use std::collections::{HashMap, VecDeque};

use tokio::time::Instant;

use super::call::{Batch, Call, Kind, Settled};
use crate::groups::{
    index::Index,
    state::{RunBuilder, SessionId},
};

/// A call that is not answered.
#[derive(Debug)]
struct Held<W> {
    id: u64,
    call: Call,
    /// Who waits; nobody once it was told, or has given up.
    asked: Option<Asked<W>>,
    /// Somebody may come back for the outcome.
    kept: bool,
    /// Whoever asked does not wait, nor will come back.
    is_forgotten: bool,
    /// It was sent at least once, be it in an earlier session.
    was_sent: bool,
    /// The caller was told that it will be applied.
    was_fed: bool,
    /// The index of its first command in the log of the present leader, which has appended it.
    appended: Option<Index>,
}

#[derive(Debug)]
struct Asked<W> {
    waiter: W,
    kind: Kind,
    until: Instant,
}

/// Who is to be told what.
pub(crate) type Told<W> = Vec<(W, Settled)>;

/// The calls of one node. `W` is whoever waits for an outcome.
#[derive(Debug)]
pub(crate) struct Calls<W> {
    next_id: u64,
    /// Those that have no number in the session yet.
    unsent: VecDeque<Held<W>>,
    /// Those that were sent, with contiguous numbers in the session.
    sent: VecDeque<Held<W>>,
    /// The number of the first of `sent`; of the next call if there is none.
    lowest: u64,
    /// How many of `sent` the leader of the moment was given.
    given: usize,
    session: Option<SessionId>,
    /// What all of them take.
    bytes: usize,
    /// Until when somebody waits for which call, in this order. Some are answered already.
    deadlines: VecDeque<(Instant, u64)>,
    /// Outcomes that somebody may come back for.
    settled: HashMap<u64, Settled>,
}

impl<W> Default for Calls<W> {
    fn default() -> Self {
        Self {
            next_id: 0,
            unsent: VecDeque::new(),
            sent: VecDeque::new(),
            lowest: 1,
            given: 0,
            session: None,
            bytes: 0,
            deadlines: VecDeque::new(),
            settled: HashMap::new(),
        }
    }
}

impl<W> Held<W> {
    /// At most at this index the call is in the log, if everything up to `limit` is committed.
    fn committed(&self, limit: Index) -> Option<Index> {
        let last = self.appended? + (self.call.count() - 1);
        (last <= limit).then_some(last)
    }

    /// Tells whoever waits, or keeps the outcome for who may come back.
    fn settle(self, settled: Settled, told: &mut Told<W>, kept: &mut HashMap<u64, Settled>) {
        let Some(Asked { waiter, kind, .. }) = self.asked else {
            if self.kept {
                kept.insert(self.id, settled);
            }
            return;
        };
        let settled = match (kind, settled) {
            (
                Kind::Feed,
                Settled::Applied { index, .. }
                | Settled::Undecodable { index }
                | Settled::Lagging { index },
            ) => Settled::Appended { index },
            (_, settled) => settled,
        };
        told.push((waiter, settled));
    }
}

impl<W> Calls<W> {
    /// A new call; the number by which it is asked for later.
    pub(crate) fn push(&mut self, call: Call, kind: Kind, waiter: W, until: Instant) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.bytes += call.bytes();
        self.deadlines.push_back((until, id));
        self.unsent.push_back(Held {
            id,
            call,
            asked: Some(Asked { waiter, kind, until }),
            kept: false,
            is_forgotten: false,
            was_sent: false,
            was_fed: false,
            appended: None,
        });
        id
    }

    /// How many calls are not answered.
    pub(crate) fn len(&self) -> usize {
        self.unsent.len() + self.sent.len()
    }

    /// What the commands of all calls take that are not answered.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn session(&self) -> Option<SessionId> {
        self.session
    }

    /// The group knows this session from now on. All that was under way in another one begins
    /// anew: that one's state is gone.
    pub(crate) fn open(&mut self, session: SessionId) {
        self.close();
        self.session = Some(session);
    }

    /// The state that knew the session is gone, and with it all that was not answered.
    pub(crate) fn close(&mut self) {
        self.begin_numbers();
        for held in std::mem::take(&mut self.sent).into_iter().rev() {
            self.unsent.push_front(Held { appended: None, ..held });
        }
    }

    fn begin_numbers(&mut self) {
        self.session = None;
        (self.lowest, self.given) = (1, 0);
    }

    /// The group does not know the session any more, although its state is the same: whether the
    /// calls that were sent in it were applied cannot be known, and sending them again could apply
    /// them twice. Returns how many of them it were whose callers believe that they will be.
    pub(crate) fn lose(&mut self, told: &mut Told<W>) -> usize {
        self.begin_numbers();
        let mut fed = 0;
        for held in std::mem::take(&mut self.sent) {
            self.bytes -= held.call.bytes();
            fed += usize::from(held.was_fed);
            held.settle(Settled::Lost, told, &mut self.settled);
        }
        fed
    }

    /// Whether calls were sent in the session that are not answered.
    pub(crate) fn is_under_way(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Whether there is something to be sent.
    pub(crate) fn has_work(&self) -> bool {
        self.session.is_some() && (self.given < self.sent.len() || !self.unsent.is_empty())
    }

    /// The next calls for the leader, at least one, then as many as fit into `max_bytes`.
    pub(crate) fn take(&mut self, max_calls: u64, max_bytes: usize) -> Option<Batch> {
        let first = self.lowest + self.given as u64;
        let session = self.session?;
        let mut run = RunBuilder::new(session, first, self.lowest);
        let (mut calls, mut bytes) = (0, 0);
        while calls < max_calls {
            if self.given == self.sent.len() && !self.promote() {
                break;
            }
            let call = &self.sent[self.given].call;
            bytes += call.bytes();
            if bytes > max_bytes && calls > 0 {
                break;
            }
            match call {
                Call::One(command) => run.push(command),
                Call::Many(commands) => run.push_many(commands),
            }
            calls += 1;
            self.given += 1;
        }
        (calls > 0).then(|| Batch { session, first, calls, run: run.finish() })
    }

    /// Gives the next unsent call a number.
    fn promote(&mut self) -> bool {
        let Some(held) = self.unsent.pop_front() else { return false };
        self.sent.push_back(Held { was_sent: true, ..held });
        true
    }

    /// Everything that is not answered goes again, to whoever leads now.
    pub(crate) fn rewind(&mut self) {
        self.given = 0;
        // What an earlier leader had appended may be gone.
        self.sent.iter_mut().for_each(|held| held.appended = None);
    }

    /// The group has applied all before `expected` and not that one: it goes again.
    pub(crate) fn rewind_to(&mut self, expected: u64) {
        let given = usize::try_from(expected.saturating_sub(self.lowest)).unwrap_or(usize::MAX);
        self.given = self.given.min(given);
    }

    /// The leader has appended calls, the first command of them at `index`.
    pub(crate) fn appended(&mut self, batch: &Batch, mut index: Index, told: &mut Told<W>) {
        if self.session != Some(batch.session) {
            return;
        }
        for number in batch.first..batch.first.saturating_add(batch.calls) {
            let Some(position) = self.position(number) else { continue };
            let held = &mut self.sent[position];
            held.appended = Some(index);
            let is_feed = |asked: &mut Asked<W>| asked.kind == Kind::Feed;
            if let Some(asked) = held.asked.take_if(is_feed) {
                held.was_fed = true;
                told.push((asked.waiter, Settled::Appended { index }));
            }
            index = index + held.call.count();
        }
    }

    /// A call was answered, and so were those before it: numbers have their turn in order. Of one
    /// whose answer has not come it is known that it was applied no later than this one.
    pub(crate) fn settle(&mut self, number: u64, settled: Settled, told: &mut Told<W>) {
        let Some(position) = self.position(number) else { return };
        let passed = match &settled {
            Settled::Applied { index, .. }
            | Settled::Undecodable { index }
            | Settled::Rejected { index }
            | Settled::Appended { index }
            | Settled::Skipped { index }
            | Settled::Lagging { index } => *index,
            Settled::Offline | Settled::Timeout | Settled::Lost => Index::zero(),
        };
        self.lowest += position as u64;
        self.given = self.given.saturating_sub(position);
        for held in self.sent.drain(..position) {
            self.bytes -= held.call.bytes();
            held.settle(Settled::Lagging { index: passed }, told, &mut self.settled);
        }
        let Some(held) = self.sent.pop_front() else { return };
        self.lowest += 1;
        self.given = self.given.saturating_sub(1);
        self.bytes -= held.call.bytes();
        // Nobody waits for what is answered.
        while self.deadlines.front().is_some_and(|(_, id)| *id <= held.id) {
            self.deadlines.pop_front();
        }
        held.settle(settled, told, &mut self.settled);
    }

    fn position(&self, number: u64) -> Option<usize> {
        let position = usize::try_from(number.checked_sub(self.lowest)?).ok()?;
        (position < self.sent.len()).then_some(position)
    }

    /// Whose time is over: what was never sent is taken back, the rest stays under way. `committed`
    /// is how far the group has come, as far as is known here.
    pub(crate) fn expire(&mut self, now: Instant, committed: Index, told: &mut Told<W>) {
        while let Some((_, id)) = self.deadlines.front().copied().filter(|(until, _)| *until <= now)
        {
            self.deadlines.pop_front();
            let is_over = |asked: &mut Asked<W>| asked.until <= now;
            if let Ok(at) = self.sent.binary_search_by_key(&id, |held| held.id) {
                let held = &mut self.sent[at];
                let Some(asked) = held.asked.take_if(is_over) else { continue };
                let lagging = held.committed(committed).map(|index| Settled::Lagging { index });
                held.kept = lagging.is_none() && !held.is_forgotten;
                told.push((asked.waiter, lagging.unwrap_or(Settled::Timeout)));
            } else if let Ok(at) = self.unsent.binary_search_by_key(&id, |held| held.id) {
                let held = &mut self.unsent[at];
                let Some(asked) = held.asked.take_if(is_over) else { continue };
                if held.was_sent {
                    held.kept = !held.is_forgotten;
                    told.push((asked.waiter, Settled::Timeout));
                } else {
                    self.bytes -= held.call.bytes();
                    self.unsent.remove(at);
                    told.push((asked.waiter, Settled::Offline));
                }
            }
        }
    }

    /// When the next call's time is over, if it is not answered before.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.deadlines.front().map(|(until, _)| *until)
    }

    /// Somebody comes back for a call that was not answered in time: its outcome if there is one
    /// by now, else `waiter` is told. The waiter comes back if the call is not known any more.
    pub(crate) fn resume(&mut self, id: u64, waiter: W, until: Instant) -> Result<(), Resumed<W>> {
        if let Some(settled) = self.settled.remove(&id) {
            return Err(Resumed::Settled(waiter, settled));
        }
        let Some(held) = self.find(id) else { return Err(Resumed::Unknown(waiter)) };
        held.asked = Some(Asked { waiter, kind: Kind::Execute, until });
        held.kept = false;
        held.is_forgotten = false;
        self.deadlines.push_back((until, id));
        Ok(())
    }

    /// Nobody will come back for this call. What was sent stays under way; the rest may still be
    /// sent in its time.
    pub(crate) fn forget(&mut self, id: u64) {
        self.settled.remove(&id);
        if let Some(held) = self.find(id) {
            held.is_forgotten = true;
            held.kept = false;
        }
    }

    fn find(&mut self, id: u64) -> Option<&mut Held<W>> {
        if let Ok(at) = self.sent.binary_search_by_key(&id, |held| held.id) {
            return self.sent.get_mut(at);
        }
        let at = self.unsent.binary_search_by_key(&id, |held| held.id).ok()?;
        self.unsent.get_mut(at)
    }

    /// All who wait, as the group ends here.
    pub(crate) fn drain(&mut self) -> Vec<W> {
        let ended = std::mem::take(self);
        let all = ended.sent.into_iter().chain(ended.unsent).filter_map(|held| held.asked);
        all.map(|asked| asked.waiter).collect()
    }
}

/// Why nobody waits for a call that was asked for again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resumed<W> {
    /// It is settled.
    Settled(W, Settled),
    /// It is not known.
    Unknown(W),
}
