//! The calls of one node, as a value: what is to be sent next, and what becomes of each.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use tokio::time::Instant;

use crate::groups::{
    index::Index,
    machine::Reply,
    state::{EncodedRun, RunBuilder, SessionId},
};

/// The commands of one call, each encoded: applied together, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Call {
    /// How many commands there are: so many indices it takes.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(commands) => commands.len() as u64,
        }
    }

    /// How long they are together.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::One(command) => command.len(),
            Self::Many(commands) => commands.iter().map(Bytes::len).sum(),
        }
    }
}

/// Calls on their way to a leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// The number of the first one.
    pub(crate) first: u64,
    /// How many there are.
    pub(crate) calls: u64,
    pub(crate) run: EncodedRun,
}

/// When the caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Once the commands were applied here.
    Execute,
    /// Once the leader has appended them.
    Feed,
}

/// What has become of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Applied here; the index of the first command, and the encoded replies.
    Applied { index: Index, reply: Reply },
    /// Applied here, but the answer could not be encoded, or the command not decoded.
    Undecodable { index: Index },
    /// Appended by the leader, the first command at this index.
    Appended { index: Index },
    /// Passed by.
    Skipped { index: Index },
    /// Given up before it was sent.
    Offline,
    /// Not answered in time; it is still under way.
    Timeout,
    /// Committed, but not applied here in time.
    Lagging { index: Index },
}

/// A call that has no number in the session yet.
#[derive(Debug)]
struct Unsent<W> {
    id: u64,
    call: Call,
    asked: Option<Asked<W>>,
}

/// A call that has a number: it was sent, at least once.
#[derive(Debug)]
struct Sent<W> {
    id: u64,
    call: Call,
    /// Who waits; nobody once it was told, or has given up.
    asked: Option<Asked<W>>,
    /// Somebody may come back for the outcome.
    kept: bool,
    /// The index of its first command in the log of the leader that has appended it last.
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
    unsent: VecDeque<Unsent<W>>,
    /// With contiguous numbers in the session.
    sent: VecDeque<Sent<W>>,
    /// The number of the first of `sent`; of the next call if there is none.
    lowest: u64,
    /// How many of `sent` the leader of the moment was given.
    given: usize,
    session: Option<SessionId>,
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
            settled: HashMap::new(),
        }
    }
}

impl<W> Calls<W> {
    /// A new call; the number by which it is asked for later.
    pub(crate) fn push(&mut self, call: Call, kind: Kind, waiter: W, until: Instant) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.unsent.push_back(Unsent { id, call, asked: Some(Asked { waiter, kind, until }) });
        id
    }

    /// How many calls are not answered.
    pub(crate) fn len(&self) -> usize {
        self.unsent.len() + self.sent.len()
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
        self.session = None;
        (self.lowest, self.given) = (1, 0);
        for Sent { id, call, asked, .. } in std::mem::take(&mut self.sent).into_iter().rev() {
            self.unsent.push_front(Unsent { id, call, asked });
        }
    }

    /// The group does not know the session any more, although its state is the same: whether the
    /// calls that were sent in it were applied cannot be known. Who waits for one is told that.
    pub(crate) fn lose(&mut self) -> Told<W> {
        let sent = std::mem::take(&mut self.sent);
        self.session = None;
        (self.lowest, self.given) = (1, 0);
        let asked = sent.into_iter().filter_map(|sent| sent.asked);
        asked.map(|asked| (asked.waiter, Settled::Timeout)).collect()
    }

    /// Whether there is something to be sent.
    pub(crate) fn has_work(&self) -> bool {
        self.session.is_some() && (self.given < self.sent.len() || !self.unsent.is_empty())
    }

    /// The next calls for the leader, at least one, then as many as fit into `max_bytes`.
    pub(crate) fn take(&mut self, max_calls: u64, max_bytes: usize) -> Option<Batch> {
        let first = self.lowest + self.given as u64;
        let mut run = RunBuilder::new(self.session?, first, self.lowest);
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
        (calls > 0).then(|| Batch { first, calls, run: run.finish() })
    }

    /// Gives the next unsent call a number.
    fn promote(&mut self) -> bool {
        let Some(Unsent { id, call, asked }) = self.unsent.pop_front() else { return false };
        self.sent.push_back(Sent { id, call, asked, kept: false, appended: None });
        true
    }

    /// Everything that is not answered goes again, to whoever leads now.
    pub(crate) fn rewind(&mut self) {
        self.given = 0;
    }

    /// The group has applied all before `expected` and not that one: it goes again.
    pub(crate) fn rewind_to(&mut self, expected: u64) {
        let given = usize::try_from(expected.saturating_sub(self.lowest)).unwrap_or(usize::MAX);
        self.given = self.given.min(given);
    }

    /// The leader has appended calls, from the one with number `first` on.
    pub(crate) fn appended(&mut self, first: u64, count: u64, mut index: Index) -> Told<W> {
        let mut told = Vec::new();
        for number in first..first.saturating_add(count) {
            let Some(position) = self.position(number) else { continue };
            let sent = &mut self.sent[position];
            sent.appended = Some(index);
            let is_feed = |asked: &mut Asked<W>| asked.kind == Kind::Feed;
            if let Some(asked) = sent.asked.take_if(is_feed) {
                told.push((asked.waiter, Settled::Appended { index }));
            }
            index = index + sent.call.count();
        }
        told
    }

    /// A call was answered. Who waits is told, once.
    pub(crate) fn settle(&mut self, number: u64, settled: Settled) -> Option<(W, Settled)> {
        let position = self.position(number)?;
        // In order: whatever stands before it was answered as well, or is answered by nobody.
        let mut answered = None;
        for _ in 0..=position {
            let Some(sent) = self.sent.pop_front() else { break };
            self.lowest += 1;
            self.given = self.given.saturating_sub(1);
            answered = Some(sent);
        }
        let Sent { id, asked, kept, .. } = answered?;
        if kept && asked.is_none() {
            self.settled.insert(id, settled);
            return None;
        }
        let Asked { waiter, kind, .. } = asked?;
        let told = match (kind, settled) {
            (Kind::Feed, Settled::Applied { index, .. } | Settled::Undecodable { index }) => {
                Settled::Appended { index }
            }
            (_, settled) => settled,
        };
        Some((waiter, told))
    }

    fn position(&self, number: u64) -> Option<usize> {
        let position = usize::try_from(number.checked_sub(self.lowest)?).ok()?;
        (position < self.sent.len()).then_some(position)
    }

    /// Whose time is over: what was never sent is taken back, the rest stays under way. `committed`
    /// is how far the group has come, as far as is known here.
    pub(crate) fn expire(&mut self, now: Instant, committed: Index) -> Told<W> {
        let mut told = Vec::new();
        let is_over = |asked: &mut Asked<W>| asked.until <= now;
        for sent in &mut self.sent {
            let Some(asked) = sent.asked.take_if(is_over) else { continue };
            let last = sent.appended.map(|first| first + (sent.call.count() - 1));
            let settled = match last {
                Some(index) if index <= committed => Settled::Lagging { index },
                _ => Settled::Timeout,
            };
            sent.kept = settled == Settled::Timeout;
            told.push((asked.waiter, settled));
        }
        self.unsent.retain_mut(|unsent| match &mut unsent.asked {
            Some(asked) if asked.until <= now => {
                let asked = unsent.asked.take();
                told.extend(asked.map(|asked| (asked.waiter, Settled::Offline)));
                false
            }
            // Whoever gave up on it earlier may come back for it.
            _ => true,
        });
        told
    }

    /// When the next call's time is over.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        let sent = self.sent.iter().filter_map(|sent| sent.asked.as_ref());
        let unsent = self.unsent.iter().filter_map(|unsent| unsent.asked.as_ref());
        // Nearly always in order: the first that waits is the first whose time is over.
        sent.chain(unsent).map(|asked| asked.until).next()
    }

    /// Somebody comes back for a call that was not answered in time: its outcome if there is one
    /// by now, else `waiter` is told. The waiter comes back if the call is not known any more.
    pub(crate) fn resume(&mut self, id: u64, waiter: W, until: Instant) -> Result<(), Resumed<W>> {
        if let Some(settled) = self.settled.remove(&id) {
            return Err(Resumed::Settled(waiter, settled));
        }
        let asked = Some(Asked { waiter, kind: Kind::Execute, until });
        if let Ok(at) = self.sent.binary_search_by_key(&id, |sent| sent.id) {
            self.sent[at].asked = asked;
            return Ok(());
        }
        if let Ok(at) = self.unsent.binary_search_by_key(&id, |unsent| unsent.id) {
            self.unsent[at].asked = asked;
            return Ok(());
        }
        // `asked` was made right here.
        match asked {
            Some(asked) => Err(Resumed::Unknown(asked.waiter)),
            None => Ok(()),
        }
    }

    /// Nobody will come back for this call.
    pub(crate) fn forget(&mut self, id: u64) {
        self.settled.remove(&id);
        if let Ok(at) = self.sent.binary_search_by_key(&id, |sent| sent.id) {
            self.sent[at].kept = false;
        }
    }

    /// All who wait, as the group ends here.
    pub(crate) fn drain(&mut self) -> Vec<W> {
        let sent = std::mem::take(&mut self.sent).into_iter().filter_map(|sent| sent.asked);
        let unsent = std::mem::take(&mut self.unsent).into_iter().filter_map(|it| it.asked);
        self.given = 0;
        sent.chain(unsent).map(|asked| asked.waiter).collect()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn call(commands: usize) -> Call {
        match commands {
            1 => Call::One(Bytes::from_static(b"command")),
            _ => Call::Many(vec![Bytes::from_static(b"command"); commands]),
        }
    }

    fn applied(index: u64) -> Settled {
        Settled::Applied { index: Index(index), reply: Reply::new(&[]) }
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    fn filled(calls: usize) -> Calls<u64> {
        let mut all = Calls::default();
        all.open(SessionId(7));
        (0..calls).for_each(|n| {
            all.push(call(1), Kind::Execute, n as u64, later());
        });
        all
    }

    #[test]
    fn calls_go_in_order_and_again_from_the_first_unanswered_one() {
        let mut calls = filled(5);
        let taken = |calls: &mut Calls<u64>, max| {
            let batch = calls.take(max, 1000).unwrap();
            (batch.first, batch.calls, batch.run.view().unwrap().lowest_unanswered)
        };
        assert_eq!(taken(&mut calls, 3), (1, 3, 1));
        assert_eq!(calls.settle(1, applied(1)), Some((0, applied(1))));
        calls.rewind();
        assert_eq!(taken(&mut calls, 10), (2, 4, 2));
        assert!(calls.take(10, 1000).is_none());
        calls.rewind_to(4);
        assert_eq!(calls.take(10, 1000).unwrap().first, 4);
    }

    #[test]
    fn a_batch_is_one_call_and_as_many_indices() {
        let mut calls = Calls::default();
        calls.open(SessionId(1));
        calls.push(call(3), Kind::Feed, 'a', later());
        calls.push(call(1), Kind::Feed, 'b', later());
        calls.push(call(1), Kind::Execute, 'c', later());
        assert_eq!(calls.take(9, 1).unwrap().calls, 1, "at least one, whatever its size");
        calls.take(9, 1000).unwrap();
        let told = calls.appended(1, 3, Index(5));
        let appended = |index| Settled::Appended { index: Index(index) };
        assert_eq!(told, [('a', appended(5)), ('b', appended(8))]);
        assert_eq!(calls.len(), 3, "they are kept until they are applied");
    }

    #[test]
    fn what_was_never_sent_is_taken_back_and_the_rest_stays_under_way() {
        let mut calls = filled(2);
        calls.take(1, 1000).unwrap();
        let told = calls.expire(later() + Duration::from_secs(1), Index(0));
        assert_eq!(told, [(0, Settled::Timeout), (1, Settled::Offline)]);
        assert_eq!(calls.len(), 1);
        assert_eq!(calls.settle(1, applied(1)), None, "nobody waits");
        assert_eq!(calls.resume(0, 9, later()), Err(Resumed::Settled(9, applied(1))));
        assert_eq!(calls.resume(0, 9, later()), Err(Resumed::Unknown(9)));
    }

    #[test]
    fn whoever_comes_back_early_is_told_later() {
        let mut calls = filled(1);
        calls.take(1, 1000).unwrap();
        calls.expire(later() + Duration::from_secs(1), Index(0));
        assert_eq!(calls.resume(0, 9, later()), Ok(()));
        assert_eq!(calls.settle(1, applied(1)), Some((9, applied(1))));
    }

    #[test]
    fn a_committed_call_that_is_not_applied_here_lags() {
        let mut calls = filled(2);
        calls.take(2, 1000).unwrap();
        calls.appended(1, 2, Index(4));
        let told = calls.expire(later() + Duration::from_secs(1), Index(4));
        assert_eq!(told, [(0, Settled::Lagging { index: Index(4) }), (1, Settled::Timeout)]);
    }

    #[test]
    fn with_a_lost_session_the_outcome_of_what_was_sent_is_unknown() {
        let mut calls = filled(2);
        calls.take(1, 1000).unwrap();
        assert_eq!(calls.lose(), [(0, Settled::Timeout)]);
        calls.open(SessionId(8));
        assert_eq!(calls.take(9, 1000).unwrap().first, 1);
        assert_eq!(calls.settle(1, applied(1)).unwrap().0, 1);
    }

    #[test]
    fn with_a_new_session_everything_unanswered_begins_anew() {
        let mut calls = filled(3);
        calls.take(2, 1000).unwrap();
        calls.settle(1, applied(1));
        calls.close();
        assert!(!calls.has_work() && calls.take(9, 1000).is_none());
        calls.open(SessionId(8));
        let batch = calls.take(9, 1000).unwrap();
        assert_eq!(batch.run.view().unwrap().session, SessionId(8));
        assert_eq!((batch.first, batch.calls), (1, 2));
        assert_eq!(calls.settle(1, applied(1)).unwrap().0, 1);
    }

    proptest! {
        /// A group that applies in order and once, behind a way that loses whole runs: every call
        /// is answered in order, with its own answer.
        #[test]
        fn every_call_is_answered_once_and_in_order(
            steps in prop::collection::vec((0u8..4, 1u64..5), 1..200),
        ) {
            let mut calls = Calls::default();
            calls.open(SessionId(1));
            let (mut pushed, mut expected, mut answers) = (0u64, 1u64, Vec::new());
            let mut deliver = |calls: &mut Calls<u64>, run: Batch| {
                if run.first > expected {
                    return calls.rewind_to(expected);
                }
                let end = run.first + run.calls;
                for number in run.first..end {
                    if number == expected {
                        expected += 1;
                        answers.extend(calls.settle(number, applied(number)).map(|(w, _)| w));
                    }
                }
            };
            for (what, size) in steps {
                match what {
                    0 => for _ in 0..size {
                        calls.push(call(1), Kind::Execute, pushed, later());
                        pushed += 1;
                    },
                    1 => drop(calls.take(size, 1000)),
                    2 => if let Some(run) = calls.take(size, 1000) { deliver(&mut calls, run) },
                    _ => calls.rewind(),
                }
            }
            calls.rewind();
            while let Some(run) = calls.take(3, 1000) {
                deliver(&mut calls, run);
            }
            prop_assert_eq!(answers, (0..pushed).collect::<Vec<_>>());
            prop_assert_eq!(calls.len(), 0);
        }
    }
}
