//! What is too large for the control lane: it is offered over the bond, and sent on the bulk lane
//! once the receiver has reserved a slot for it.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use tokio::time::timeout;

use super::{
    bond::{Bond, BondEvent, Reply},
    group::Group,
    line::Line,
    protocol::{Head, Kind, Outcome},
    served::Gone,
};
use crate::{
    groups::raft::WireError,
    transport::{CloseReason, OpenError, RecvStream},
};

/// The largest message or question.
pub(super) const LARGE_LIMIT: u64 = 16 * 1024 * 1024;
/// The largest snapshot.
const SNAPSHOT_LIMIT: u64 = 4 * 1024 * 1024 * 1024;
/// What is written at once; each of these parts must get on its way in time.
const PART: usize = 64 * 1024;
/// How long the sender may take to begin, or may stop in between.
const STALL: Duration = Duration::from_secs(10);
/// How long it may take to make use of what has arrived.
const USE: Duration = Duration::from_secs(60);
/// As much is set aside on the word of the sender.
const TRUSTED_BYTES: u64 = 1024 * 1024;

/// Sends a body, and waits for what the receiver answers. `progress` is for each part of the way.
///
/// Dropped early, the receiver throws away what it has got so far.
pub(super) async fn give(
    line: Arc<Line>,
    kind: Kind,
    head: Bytes,
    mut body: Bytes,
    progress: Duration,
) -> Result<Bytes, WireError> {
    let length = body.len() as u64;
    if length > limit(kind) {
        return Err(WireError::Unreachable("too large for any lane".into()));
    }
    let mut offer = line.question()?;
    line.send(&Head::Offer { id: offer.id, length, kind }, head)?;
    let slot = offer.slot(progress).await?;
    let opened = timeout(progress, line.link.open_bulk(slot)).await;
    let mut stream = opened.map_err(|_| WireError::Timeout)?.map_err(not_opened)?;
    line.traffic.sent.add(body.len());
    while !body.is_empty() {
        let part = body.split_to(body.len().min(PART));
        let written = timeout(progress, stream.write_all_chunks(&mut [part])).await;
        let written = written.map_err(|_| WireError::Timeout)?;
        written.map_err(|error| WireError::Broken(error.to_string()))?;
    }
    stream.finish();
    offer.answer(progress.max(USE)).await
}

fn limit(kind: Kind) -> u64 {
    match kind {
        Kind::Message | Kind::Question => LARGE_LIMIT,
        Kind::Snapshot => SNAPSHOT_LIMIT,
    }
}

fn not_opened(error: OpenError) -> WireError {
    match error {
        OpenError::Lost(_) => WireError::Unreachable(error.to_string()),
        error => WireError::Broken(error.to_string()),
    }
}

/// A body that a member has offered.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) id: u64,
    pub(super) length: u64,
    pub(super) kind: Kind,
    pub(super) head: Bytes,
}

impl Offered {
    pub(super) fn is_too_large(&self) -> bool {
        self.length > limit(self.kind)
    }

    /// Takes it, and gives it to whom it is for.
    pub(super) async fn take(self, group: Arc<Group>, from: Bond) {
        let line = from.line().clone();
        let id = self.id;
        let answer = match self.receive(&line).await {
            Some(body) => self.hand_over(&group, &from, body).await,
            None => Some((Outcome::Failed, Bytes::new())),
        };
        if let Some(answer) = answer {
            line.answer(id, answer).await;
        }
    }

    async fn receive(&self, line: &Line) -> Option<Bytes> {
        let mut slot = line.link.reserve_bulk();
        let take = Head::Take { id: self.id, slot: slot.id() };
        line.send_patiently(&take, Bytes::new()).await.ok()?;
        let stream = timeout(STALL, slot.stream()).await.ok()?.ok()?;
        let body = read(stream, self.length).await?;
        line.traffic.received.add(body.len());
        Some(body)
    }

    /// `None`: somebody else answers.
    async fn hand_over(self, group: &Group, from: &Bond, body: Bytes) -> Option<(Outcome, Bytes)> {
        let event = match self.kind {
            Kind::Snapshot => {
                let installed = match group.served() {
                    Some(served) => served.install(self.head, body).await,
                    None => Err(Gone),
                };
                return Some(outcome_of(installed));
            }
            Kind::Message => BondEvent::Message { from: from.member(), message: body },
            Kind::Question => {
                let reply = Reply::new(from.line().clone(), self.id);
                BondEvent::Asked { from: from.member(), question: body, reply }
            }
        };
        // An event that nobody takes is a question that is answered by being dropped.
        let told = group.events.send(event).await.map_err(|_| Gone);
        let is_message = self.kind == Kind::Message;
        is_message.then(|| outcome_of(told.map(|()| Bytes::new())))
    }
}

/// An answer as it is sent.
pub(super) fn outcome_of(answer: Result<Bytes, Gone>) -> (Outcome, Bytes) {
    match answer {
        Ok(answer) => (Outcome::Answered, answer),
        Err(Gone) => (Outcome::Gone, Bytes::new()),
    }
}

/// Reads the whole stream, which must be of this length.
async fn read(mut stream: RecvStream, length: u64) -> Option<Bytes> {
    let length = usize::try_from(length).ok()?;
    let mut body = BytesMut::with_capacity(length.min(TRUSTED_BYTES as usize));
    while let Some(chunk) = timeout(STALL, stream.read_chunk()).await.ok()?.ok()? {
        if chunk.len() > length - body.len() {
            stream.stop(CloseReason::ProtocolViolation);
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    (body.len() == length).then(|| body.freeze())
}
