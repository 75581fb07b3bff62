//! A bond as the group's worker holds it, and what it hears.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    handshake::Mismatch,
    line::Line,
    protocol::{BODY_LIMIT, Head, Kind, Outcome},
    transfer,
};
use crate::{
    groups::{member::MemberId, raft::WireError},
    id::{PeerId, UniqueId},
    transport::{CloseReason, Link},
};

/// What a group's worker hears of its bonds.
#[derive(Debug)]
pub(crate) enum BondEvent {
    /// A member is bonded. If the peer was bonded as somebody else, that has gone down before.
    Up(Bond),
    /// The bond has ended, or the peer is another member from now on.
    Down { bond: Bond, reason: CloseReason },
    /// A member says something new of itself.
    Status { from: MemberId, status: Bytes },
    /// A member says something else.
    Message { from: MemberId, message: Bytes },
    /// A member asks something.
    Asked { from: MemberId, question: Bytes, reply: Reply },
    /// A peer has proved the group's key, but has configured it differently. Told once until the
    /// difference is another one.
    Mismatch { peer: PeerId, mismatch: Mismatch },
}

/// Something could not be said; the peer has not heard it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the bond has ended")]
    Closed,
    #[error("the peer does not read fast enough")]
    Full,
    #[error("too large for the control lane")]
    TooLarge,
}

impl From<SendError> for WireError {
    fn from(error: SendError) -> Self {
        Self::Unreachable(error.to_string())
    }
}

/// The link with another member. Clones share it.
#[derive(Clone)]
pub(crate) struct Bond {
    member: MemberId,
    observer: bool,
    status: Bytes,
    line: Arc<Line>,
}

impl Bond {
    /// The largest message for [`Bond::send`]; what is larger needs [`Bond::deliver`].
    pub(crate) const SMALL: usize = BODY_LIMIT;

    pub(super) fn new(member: MemberId, observer: bool, status: Bytes, line: Arc<Line>) -> Self {
        Self { member, observer, status, line }
    }

    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Whether it is the same one, with the same member.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.line, &other.line) && self.member == other.member
    }

    /// The same on both ends.
    pub(crate) fn id(&self) -> UniqueId {
        self.line.id
    }

    pub(crate) fn member(&self) -> MemberId {
        self.member
    }

    pub(crate) fn peer(&self) -> PeerId {
        self.line.peer()
    }

    #[cfg(test)]
    pub(crate) fn is_observer(&self) -> bool {
        self.observer
    }

    /// What the member said of itself when the bond was made; later words are events.
    pub(crate) fn status(&self) -> &Bytes {
        &self.status
    }

    pub(crate) fn link(&self) -> &Link {
        &self.line.link
    }

    pub(crate) fn is_over(&self) -> bool {
        self.line.is_over()
    }

    /// Says something small to the member's worker. It does not wait: a member that does not read
    /// loses it. Messages arrive in order.
    pub(crate) fn send(&self, message: Bytes) -> Result<(), SendError> {
        self.line.send(&Head::Message, message)
    }

    /// Says something of up to 16 MiB to the member's worker. What is larger than [`Bond::SMALL`]
    /// goes over the bulk lane, where smaller messages may overtake it; this then waits until the
    /// worker has taken it. The limit is for each part of the way.
    ///
    /// Dropped early, it may have arrived or not.
    pub(crate) fn deliver(
        &self,
        message: Bytes,
        limit: Duration,
    ) -> impl Future<Output = Result<(), WireError>> + Send + 'static {
        let line = self.line.clone();
        async move {
            if message.len() <= BODY_LIMIT {
                return Ok(line.send(&Head::Message, message)?);
            }
            transfer::give(line, Kind::Message, Bytes::new(), message, limit).await.map(drop)
        }
    }

    /// Asks the member's worker something of up to 16 MiB. A worker must not wait for the answer
    /// before it hears its next event: that may be what the answer stands behind.
    pub(crate) fn ask(
        &self,
        question: Bytes,
        limit: Duration,
    ) -> impl Future<Output = Result<Bytes, WireError>> + Send + 'static {
        let line = self.line.clone();
        async move {
            if question.len() <= BODY_LIMIT {
                return put(line, |id| Head::Question { id }, question, limit).await;
            }
            transfer::give(line, Kind::Question, Bytes::new(), question, limit).await
        }
    }

    /// Waits for the end of the bond.
    pub(crate) async fn ended(&self) -> CloseReason {
        self.line.ended().await
    }

    /// Ends the bond. As long as the peer is sought here or there, there will be another one.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.line.end(reason);
    }
}

/// Puts a small question and waits for the answer.
pub(super) async fn put(
    line: Arc<Line>,
    head: impl FnOnce(u64) -> Head + Send,
    question: Bytes,
    limit: Duration,
) -> Result<Bytes, WireError> {
    let mut asked = line.question()?;
    line.send(&head(asked.id), question)?;
    asked.answer(limit).await
}

impl fmt::Debug for Bond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bond")
            .field("member", &self.member)
            .field("observer", &self.observer)
            .finish_non_exhaustive()
    }
}

/// Where the answer to a question goes. Dropped unused, it tells that there will be none.
#[derive(Debug)]
pub(crate) struct Reply {
    line: Arc<Line>,
    id: u64,
    open: bool,
}

impl Reply {
    pub(super) fn new(line: Arc<Line>, id: u64) -> Self {
        Self { line, id, open: true }
    }

    /// Answers, with at most [`Bond::SMALL`] bytes. It does not wait.
    pub(crate) fn send(mut self, answer: Bytes) -> Result<(), SendError> {
        let head = Head::Answer { id: self.id, outcome: Outcome::Answered };
        self.line.send(&head, answer)?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if self.open {
            let head = Head::Answer { id: self.id, outcome: Outcome::Gone };
            // If the peer does not read, it learns of it by the time-out.
            let _ = self.line.send(&head, Bytes::new());
        }
    }
}
