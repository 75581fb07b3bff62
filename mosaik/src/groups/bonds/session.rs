//! The life of a bond, from the end of the handshake on.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::{
    append,
    bond::{Bond, BondEvent, Reply},
    frames::{FrameReader, FrameWriter},
    group::Group,
    protocol::{Frame, Head, Kind, Outcome, read_frame},
    served::{Gone, Served},
    transfer::{Offered, outcome_of},
};
use crate::{
    tasks::Tasks,
    transport::{CloseReason, LogSlot, MessageError},
};

/// Questions of one member to the Raft node that are answered at once.
const MAX_ANSWERING: usize = 64;
/// Bodies that one member sends at once on the bulk lane.
const MAX_TRANSFERS: usize = 4;
/// Frames that are written at once.
const BATCH: usize = 32;
/// How long the last words may take when this side leaves.
const GOODBYE: Duration = Duration::from_millis(200);

/// A bond that was just made, and both directions of its stream.
pub(super) struct Session {
    pub(super) group: Arc<Group>,
    pub(super) bond: Bond,
    pub(super) reader: FrameReader,
    pub(super) writer: FrameWriter,
    pub(super) frames: mpsc::Receiver<Frame>,
    pub(super) log_slot: LogSlot,
}

impl Session {
    /// Serves the bond until it ends, and tells the group.
    pub(super) async fn run(self) -> CloseReason {
        let Self { group, bond, reader, writer, frames, log_slot } = self;
        let line = bond.line().clone();
        // Whatever serves this bond ends with it.
        let tasks = group.tasks.child();
        let _ending = tasks.cancel_on_drop();
        let mut incoming = Incoming {
            group: group.clone(),
            bond,
            reader,
            tasks: tasks.clone(),
            answering: Arc::new(Semaphore::new(MAX_ANSWERING)),
            transfers: Arc::new(Semaphore::new(MAX_TRANSFERS)),
            snapshot: tasks.child(),
        };
        let mut outgoing = Outgoing { writer, frames, chunks: Vec::new() };
        let leaving = group.tasks.token().cancelled();
        let reason = tokio::select! {
            reason = incoming.run() => Some(reason),
            reason = outgoing.run() => Some(reason),
            reason = take_appends(&group, log_slot, &tasks) => Some(reason),
            reason = line.ended() => Some(reason),
            () = leaving => None,
        };
        line.end(reason.unwrap_or(CloseReason::GracefulShutdown));
        match reason {
            Some(reason) => {
                outgoing.writer.reset(reason);
                incoming.reader.stop(reason);
            }
            None => outgoing.finish().await,
        }
        group.part(&line).await;
        line.reason()
    }
}

/// The way out. What is not written yet stays here when the future is dropped.
struct Outgoing {
    writer: FrameWriter,
    frames: mpsc::Receiver<Frame>,
    chunks: Vec<Bytes>,
}

impl Outgoing {
    async fn run(&mut self) -> CloseReason {
        loop {
            if self.chunks.is_empty() {
                // The sender lives in the line, which lives in the bond.
                let Some(frame) = self.frames.recv().await else {
                    return CloseReason::UnexpectedClose;
                };
                self.chunks.extend(frame.into_chunks());
                self.gather(BATCH);
            }
            if let Err(error) = self.write().await {
                return reason_of(&error);
            }
        }
    }

    fn gather(&mut self, count: usize) {
        for _ in 1..count {
            let Ok(frame) = self.frames.try_recv() else { return };
            self.chunks.extend(frame.into_chunks());
        }
    }

    async fn write(&mut self) -> Result<(), MessageError> {
        // What has been written of it is cut off.
        self.writer.write(&mut self.chunks).await?;
        self.chunks.clear();
        Ok(())
    }

    /// The last words, and the end of the stream.
    async fn finish(&mut self) {
        self.frames.close();
        self.gather(usize::MAX);
        match timeout(GOODBYE, self.write()).await {
            Ok(Ok(())) => self.writer.finish(),
            _ => self.writer.reset(CloseReason::GracefulShutdown),
        }
    }
}

/// Takes the streams that the member opens for appends. One that opens another has given up the
/// one before.
async fn take_appends(group: &Group, mut slot: LogSlot, tasks: &Tasks) -> CloseReason {
    let mut current = tasks.child();
    loop {
        let (send, recv) = match slot.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "no more appends");
                return CloseReason::UnexpectedClose;
            }
        };
        current.cancel();
        current = tasks.child();
        current.spawn(
            "groups.append",
            append::serve(group.served(), group.traffic.clone(), send, recv),
        );
    }
}

/// The way in.
struct Incoming {
    group: Arc<Group>,
    bond: Bond,
    reader: FrameReader,
    tasks: Tasks,
    answering: Arc<Semaphore>,
    transfers: Arc<Semaphore>,
    /// The snapshot that is being taken.
    snapshot: Tasks,
}

impl Incoming {
    async fn run(&mut self) -> CloseReason {
        loop {
            let frame = match self.reader.next().await {
                Ok(Some(frame)) => frame,
                Ok(None) => return CloseReason::GracefulShutdown,
                Err(error) => return reason_of(&error),
            };
            self.group.traffic.received.add(frame.len());
            let taken = match read_frame(&frame) {
                Ok((head, body)) => self.take(head, body).await,
                // A member of a later version may have more to say.
                Err(MessageError::Unknown) => Ok(()),
                Err(_) => return CloseReason::ProtocolViolation,
            };
            if let Err(Gone) = taken {
                return CloseReason::GracefulShutdown;
            }
        }
    }

    /// Fails when the group's worker is gone.
    async fn take(&mut self, head: Head, body: Bytes) -> Result<(), Gone> {
        let from = self.bond.member();
        match head {
            Head::Welcome => Ok(()),
            Head::Identity { session, observer } => {
                self.bond = self.group.renamed(&self.bond, session, observer, body).await?;
                Ok(())
            }
            Head::Status => self.tell(BondEvent::Status { from, status: body }).await,
            Head::Message => self.tell(BondEvent::Message { from, message: body }).await,
            Head::Question { id } => {
                let reply = Reply::new(self.bond.line().clone(), id);
                self.tell(BondEvent::Asked { from, question: body, reply }).await
            }
            Head::Request { id } => {
                self.answer(id, body);
                Ok(())
            }
            Head::Answer { id, outcome } => {
                self.bond.line().answered(id, (outcome, body));
                Ok(())
            }
            Head::Offer { id, length, kind } => {
                self.take_offer(Offered { id, length, kind, head: body });
                Ok(())
            }
            Head::Take { id, slot } => {
                self.bond.line().taken(id, slot);
                Ok(())
            }
        }
    }

    async fn tell(&self, event: BondEvent) -> Result<(), Gone> {
        self.group.events.send(event).await.map_err(|_| Gone)
    }

    /// Has the Raft node answer, past the worker.
    fn answer(&self, id: u64, request: Bytes) {
        let permit = self.answering.clone().try_acquire_owned();
        let (Some(served), Ok(permit)) = (self.group.served(), permit) else {
            return self.refuse(id, Outcome::Gone);
        };
        let line = self.bond.line().clone();
        self.tasks.spawn("groups.answer", async move {
            line.answer(id, outcome_of(served.answer(request).await)).await;
            drop(permit);
        });
    }

    fn take_offer(&mut self, offered: Offered) {
        if offered.is_too_large() {
            return self.refuse(offered.id, Outcome::Failed);
        }
        if offered.kind == Kind::Snapshot {
            return self.take_snapshot(offered);
        }
        let permit = self.transfers.clone().try_acquire_owned();
        let Ok(permit) = permit else {
            return self.refuse(offered.id, Outcome::Failed);
        };
        let taking = offered.take(self.group.clone(), self.bond.clone());
        self.tasks.spawn("groups.transfer", async move {
            taking.await;
            drop(permit);
        });
    }

    /// Gigabytes are read only from whom they may come, and one at a time: who offers another
    /// snapshot has given up the one before.
    fn take_snapshot(&mut self, offered: Offered) {
        let admits = |served: Arc<dyn Served>| {
            served.admits(self.bond.member(), &offered.head, offered.length)
        };
        if !self.group.served().is_some_and(admits) {
            return self.refuse(offered.id, Outcome::Gone);
        }
        self.snapshot.cancel();
        self.snapshot = self.tasks.child();
        let taking = offered.take(self.group.clone(), self.bond.clone());
        self.snapshot.spawn("groups.snapshot", taking);
    }

    /// If the member does not read, it learns of it by its time-out.
    fn refuse(&self, id: u64, outcome: Outcome) {
        let _ = self.bond.line().send(&Head::Answer { id, outcome }, Bytes::new());
    }
}

/// Why a stream has ended, by what reading or writing it says.
pub(super) fn reason_of(error: &MessageError) -> CloseReason {
    match error {
        error if error.is_violation() => CloseReason::ProtocolViolation,
        MessageError::Stream(error) => error.reason().unwrap_or(CloseReason::UnexpectedClose),
        _ => CloseReason::UnexpectedClose,
    }
}
