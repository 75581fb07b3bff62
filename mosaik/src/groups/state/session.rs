//! Callers' sessions: what makes a command be applied once, however often it is sent.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::outcome::{Answer, OutcomeKind};
use crate::{groups::index::Index, id::PeerId};

/// The most answers that are kept of one session.
pub(super) const MAX_ANSWERS: usize = 4096;
/// The most that they take together.
pub(super) const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;
/// The most sessions of a group. Beyond it, the one that has been silent for longest ends.
pub(super) const MAX_SESSIONS: usize = 256;
/// So many sessions that have ended are remembered: they are not opened a second time, by an item
/// that the leader proposed twice.
pub(super) const MAX_ENDED: usize = 1024;

/// Names the calls of one life of one process.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) struct SessionId(pub(crate) u64);

/// One session. The numbers of its calls begin at 1, and have their turn one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) peer: PeerId,
    /// The number of the first answer that is kept.
    pub(super) lowest: u64,
    pub(super) kept: VecDeque<Kept>,
    /// What the answers take.
    bytes: usize,
    /// The index up to which the session was heard of last.
    pub(super) used: Index,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) index: Index,
    pub(super) answer: Answer,
}

impl Kept {
    fn len(&self) -> usize {
        match &self.answer {
            Answer::Applied(reply) => reply.as_bytes().len(),
            _ => 0,
        }
    }
}

impl Session {
    pub(super) fn new(peer: PeerId, lowest: u64, used: Index) -> Self {
        Self { peer, lowest, kept: VecDeque::new(), bytes: 0, used }
    }

    /// The number whose turn it is.
    pub(super) fn next(&self) -> u64 {
        self.lowest + self.kept.len() as u64
    }

    /// Keeps the answer to the call whose turn it was. A session that holds its lowest number back
    /// for too long loses its oldest answers.
    pub(super) fn keep(&mut self, index: Index, answer: Answer) {
        let kept = Kept { index, answer };
        self.bytes += kept.len();
        self.kept.push_back(kept);
        while self.kept.len() > MAX_ANSWERS || self.bytes > MAX_ANSWER_BYTES {
            self.drop_first();
        }
    }

    /// Drops the answers to numbers below this one: the caller has them.
    pub(super) fn release(&mut self, lowest_unanswered: u64) {
        while self.lowest < lowest_unanswered && !self.kept.is_empty() {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            self.bytes -= kept.len();
            self.lowest += 1;
        }
    }

    /// What a call is told that has had its turn before.
    pub(super) fn repeat(&self, sequence: u64) -> (Index, OutcomeKind) {
        let kept = sequence.checked_sub(self.lowest);
        match kept.and_then(|place| self.kept.get(usize::try_from(place).ok()?)) {
            Some(kept) => (kept.index, OutcomeKind::Repeated(kept.answer.clone())),
            None => (Index::zero(), OutcomeKind::Forgotten),
        }
    }
}

/// All sessions of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sessions {
    pub(super) open: BTreeMap<SessionId, Session>,
    /// The last ones that have ended.
    pub(super) ended: VecDeque<SessionId>,
}

impl Sessions {
    /// Opens a session. It takes the place of the peer's others: their processes are gone.
    pub(super) fn open(&mut self, id: SessionId, peer: PeerId, now: Index) -> Opening {
        if let Some(session) = self.open.get_mut(&id) {
            if session.peer != peer {
                return Opening::Foreign;
            }
            session.used = now;
            return Opening::Open { ended: Vec::new() };
        }
        if self.ended.contains(&id) {
            return Opening::Ended;
        }
        let mut ended = self.end_all(peer);
        if self.open.len() >= MAX_SESSIONS {
            let silent = self.open.iter().min_by_key(|(id, session)| (session.used, **id));
            if let Some(id) = silent.map(|(id, _)| *id) {
                self.end(id);
                ended.push(id);
            }
        }
        self.open.insert(id, Session::new(peer, 1, now));
        Opening::Open { ended }
    }

    /// Ends the sessions of a peer; says which.
    pub(super) fn end_all(&mut self, peer: PeerId) -> Vec<SessionId> {
        let of_peer = |(_, session): &(&SessionId, &Session)| session.peer == peer;
        let ending: Vec<SessionId> = self.open.iter().filter(of_peer).map(|(id, _)| *id).collect();
        ending.iter().for_each(|id| self.end(*id));
        ending
    }

    fn end(&mut self, id: SessionId) {
        if self.open.remove(&id).is_some() {
            self.ended.push_back(id);
            if self.ended.len() > MAX_ENDED {
                self.ended.pop_front();
            }
        }
    }
}

/// What came of opening a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// It is open, and these have ended because of it.
    Open { ended: Vec<SessionId> },
    /// It was open once, and is not opened again.
    Ended,
    /// It is another peer's.
    Foreign,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::machine::Reply;

    fn peer(seed: u8) -> PeerId {
        iroh::SecretKey::from_bytes(&[seed; 32]).public()
    }

    fn reply(bytes: usize) -> Answer {
        Answer::Applied(Reply::new(&vec![0; bytes]))
    }

    #[test]
    fn answers_are_kept_until_the_caller_has_them() {
        let mut session = Session::new(peer(1), 1, Index::zero());
        (1..=5_u64).for_each(|n| session.keep(Index(n * 10), reply(n as usize)));
        session.release(3);
        assert_eq!((session.lowest, session.next(), session.bytes), (3, 6, 12));
        assert_eq!(session.repeat(3), (Index(30), OutcomeKind::Repeated(reply(3))));
        assert_eq!(session.repeat(2), (Index::zero(), OutcomeKind::Forgotten));
        // More than there is to release.
        session.release(u64::MAX);
        assert_eq!((session.lowest, session.next(), session.bytes), (6, 6, 0));
    }

    #[test]
    fn a_session_that_holds_its_lowest_back_loses_its_oldest_answers() {
        let mut session = Session::new(peer(1), 1, Index::zero());
        (0..MAX_ANSWERS as u64 + 10).for_each(|n| session.keep(Index(n), reply(1)));
        assert_eq!((session.lowest, session.kept.len()), (11, MAX_ANSWERS));
        session.keep(Index(1), reply(MAX_ANSWER_BYTES - 10));
        assert_eq!((session.kept.len(), session.bytes), (11, MAX_ANSWER_BYTES));
        let next = session.next();
        session.keep(Index(1), reply(MAX_ANSWER_BYTES + 1));
        assert_eq!((session.kept.len(), session.bytes, session.next()), (0, 0, next + 1));
    }

    fn ended(ids: &[u64]) -> Opening {
        Opening::Open { ended: ids.iter().copied().map(SessionId).collect() }
    }

    #[test]
    fn a_session_that_has_ended_is_not_opened_again() {
        let mut sessions = Sessions::default();
        let [a, b, c] = [SessionId(1), SessionId(2), SessionId(3)];
        assert_eq!(sessions.open(a, peer(1), Index(1)), ended(&[]));
        assert_eq!(sessions.open(c, peer(2), Index(1)), ended(&[]));
        assert_eq!(sessions.open(c, peer(1), Index(1)), Opening::Foreign);
        assert_eq!(sessions.open(b, peer(1), Index(1)), ended(&[1]));
        // One that comes late, of a process that is gone, ends nothing.
        assert_eq!(sessions.open(a, peer(1), Index(2)), Opening::Ended);
        assert_eq!(sessions.open(b, peer(1), Index(2)), ended(&[]));
        assert_eq!(sessions.open.keys().copied().collect::<Vec<_>>(), [b, c]);
        assert_eq!(sessions.end_all(peer(1)), [b]);
        assert_eq!(sessions.open(b, peer(1), Index(3)), Opening::Ended);
    }

    #[test]
    fn of_too_many_sessions_the_silent_one_ends() {
        let mut sessions = Sessions::default();
        let owner = |n: u64| peer(n.to_le_bytes()[0]);
        for n in 0..MAX_SESSIONS as u64 {
            assert_eq!(sessions.open(SessionId(n), owner(n), Index(n + 1)), ended(&[]));
        }
        assert_eq!(sessions.open(SessionId(0), owner(0), Index(5000)), ended(&[]));
        let mut another = [7; 32];
        another[31] = 8;
        let another = iroh::SecretKey::from_bytes(&another).public();
        assert_eq!(sessions.open(SessionId(9999), another, Index(5000)), ended(&[1]));
        assert_eq!((sessions.open.len(), &sessions.ended), (MAX_SESSIONS, &[SessionId(1)].into()));
    }
}
