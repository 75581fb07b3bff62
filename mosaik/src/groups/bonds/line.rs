//! What all handles of a bond share: its way out, and the questions that wait for an answer.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    bond::SendError,
    protocol::{Frame, Head, Outcome},
    registry::Number,
    traffic::Traffic,
};
use crate::{
    groups::raft::WireError,
    id::{PeerId, UniqueId},
    transport::{CloseReason, Link},
};

/// Frames that wait to be written; the peer is too slow when there are more.
pub(super) const QUEUE: usize = 256;
/// Questions to one member that wait for an answer.
const MAX_WAITING: usize = 1024;

/// An answer that is waited for.
pub(super) type Answer = (Outcome, Bytes);

pub(super) struct Line {
    /// The same on both ends.
    pub(super) id: UniqueId,
    pub(super) link: Link,
    pub(super) traffic: Arc<Traffic>,
    pub(super) opener: PeerId,
    /// What the peer names this bond by in heartbeats, and what it is named by there.
    _number: Number,
    pub(super) their_number: u64,
    /// Where the peer expects appends.
    pub(super) their_log_slot: u64,
    queue: mpsc::Sender<Frame>,
    waiting: Mutex<Waiting>,
    next_question: AtomicU64,
    ended: CancellationToken,
    reason: OnceLock<CloseReason>,
}

/// Who waits for what, by the number of the question; nobody any more after the end.
#[derive(Debug, Default)]
struct Waiting {
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    slots: HashMap<u64, oneshot::Sender<u64>>,
    over: bool,
}

/// What a line is made of.
pub(super) struct LineParts {
    pub(super) id: UniqueId,
    pub(super) link: Link,
    pub(super) traffic: Arc<Traffic>,
    pub(super) opener: PeerId,
    pub(super) number: Number,
    pub(super) their_number: u64,
    pub(super) their_log_slot: u64,
}

impl Line {
    pub(super) fn new(parts: LineParts) -> (Arc<Self>, mpsc::Receiver<Frame>) {
        let (queue, frames) = mpsc::channel(QUEUE);
        let line = Self {
            id: parts.id,
            link: parts.link,
            traffic: parts.traffic,
            opener: parts.opener,
            _number: parts.number,
            their_number: parts.their_number,
            their_log_slot: parts.their_log_slot,
            queue,
            waiting: Mutex::default(),
            next_question: AtomicU64::new(0),
            ended: CancellationToken::new(),
            reason: OnceLock::new(),
        };
        (Arc::new(line), frames)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn peer(&self) -> PeerId {
        self.link.peer()
    }

    /// Ends the bond; the first reason counts. Whoever waits for an answer learns of it.
    pub(super) fn end(&self, reason: CloseReason) {
        let _ = self.reason.set(reason);
        self.ended.cancel();
        let mut waiting = self.waiting();
        waiting.over = true;
        let gone = (std::mem::take(&mut waiting.answers), std::mem::take(&mut waiting.slots));
        drop(waiting);
        // Outside of the lock: it wakes them.
        drop(gone);
    }

    pub(super) fn is_over(&self) -> bool {
        self.ended.is_cancelled() || self.link.is_closed()
    }

    /// Waits until the bond is told to end.
    pub(super) async fn ended(&self) -> CloseReason {
        self.ended.cancelled().await;
        self.reason()
    }

    pub(super) fn reason(&self) -> CloseReason {
        self.reason.get().copied().unwrap_or(CloseReason::UnexpectedClose)
    }

    /// Puts a frame into the queue, if there is room.
    pub(super) fn send(&self, head: &Head, body: Bytes) -> Result<(), SendError> {
        let frame = Frame::new(head, body).ok_or(SendError::TooLarge)?;
        if self.is_over() {
            return Err(SendError::Closed);
        }
        let length = frame.len();
        self.queue.try_send(frame).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendError::Full,
            mpsc::error::TrySendError::Closed(_) => SendError::Closed,
        })?;
        self.traffic.sent.add(length);
        Ok(())
    }

    /// Waits for room, too. Not for whoever reads from the peer: two that wait for each other to
    /// read would wait for ever.
    pub(super) async fn send_patiently(&self, head: &Head, body: Bytes) -> Result<(), SendError> {
        let frame = Frame::new(head, body).ok_or(SendError::TooLarge)?;
        let length = frame.len();
        tokio::select! {
            sent = self.queue.send(frame) => sent.map_err(|_| SendError::Closed)?,
            _ = self.ended() => return Err(SendError::Closed),
        }
        self.traffic.sent.add(length);
        Ok(())
    }

    /// Answers a question, if need be by saying that there is no answer that can be sent.
    pub(super) async fn answer(&self, id: u64, (outcome, body): Answer) {
        let sent = self.send_patiently(&Head::Answer { id, outcome }, body).await;
        if sent == Err(SendError::TooLarge) {
            tracing::warn!(peer = %self.peer(), "an answer to a member is too large");
            let head = Head::Answer { id, outcome: Outcome::Gone };
            // The bond may have ended meanwhile.
            let _ = self.send_patiently(&head, Bytes::new()).await;
        }
    }

    /// A question, and the way for its answer.
    pub(super) fn question(self: &Arc<Self>) -> Result<Question, WireError> {
        let id = self.next_question.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = oneshot::channel();
        let (taken, slot) = oneshot::channel();
        let mut waiting = self.waiting();
        if waiting.over {
            return Err(WireError::Unreachable(SendError::Closed.to_string()));
        }
        if waiting.answers.len() >= MAX_WAITING {
            return Err(WireError::Unreachable("too many questions are open".into()));
        }
        waiting.answers.insert(id, answered);
        waiting.slots.insert(id, taken);
        drop(waiting);
        Ok(Question { line: self.clone(), id, answer, slot })
    }

    /// An answer has come; nobody may wait for it any more.
    pub(super) fn answered(&self, id: u64, answer: Answer) {
        let asker = self.waiting().answers.remove(&id);
        if let Some(asker) = asker {
            let _ = asker.send(answer);
        }
    }

    /// The peer is ready to take what was offered.
    pub(super) fn taken(&self, id: u64, slot: u64) {
        let offerer = self.waiting().slots.remove(&id);
        if let Some(offerer) = offerer {
            let _ = offerer.send(slot);
        }
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("id", &self.id)
            .field("link", &self.link)
            .finish_non_exhaustive()
    }
}

/// A question that was asked, or is about to be. Dropped, its answer is not waited for any more.
#[derive(Debug)]
pub(super) struct Question {
    line: Arc<Line>,
    pub(super) id: u64,
    answer: oneshot::Receiver<Answer>,
    slot: oneshot::Receiver<u64>,
}

impl Question {
    /// Waits for the answer.
    pub(super) async fn answer(&mut self, limit: Duration) -> Result<Bytes, WireError> {
        match timeout(limit, &mut self.answer).await {
            Ok(answer) => read_answer(answer),
            Err(_) => Err(WireError::Timeout),
        }
    }

    /// Waits until what was offered can be sent; an answer instead is a refusal.
    pub(super) async fn slot(&mut self, limit: Duration) -> Result<u64, WireError> {
        let slot = async {
            tokio::select! {
                biased;
                slot = &mut self.slot => slot.map_err(|_| broken()),
                answer = &mut self.answer => {
                    read_answer(answer)?;
                    Err(WireError::Broken("an offer was answered before it was taken".into()))
                }
            }
        };
        timeout(limit, slot).await.unwrap_or(Err(WireError::Timeout))
    }
}

fn broken() -> WireError {
    WireError::Broken("the bond has ended".into())
}

pub(super) fn read_answer(
    answer: Result<Answer, oneshot::error::RecvError>,
) -> Result<Bytes, WireError> {
    match answer {
        Ok((Outcome::Answered, body)) => Ok(body),
        Ok((Outcome::Gone, _)) => Err(WireError::Unreachable("the member is gone".into())),
        Ok((Outcome::Failed, _)) => Err(WireError::Broken("it did not arrive whole".into())),
        Err(_) => Err(broken()),
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        let mut waiting = self.line.waiting();
        waiting.answers.remove(&self.id);
        waiting.slots.remove(&self.id);
    }
}
