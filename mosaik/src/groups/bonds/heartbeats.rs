//! Heartbeats of all groups that two nodes have in common, on one stream each way: what becomes due
//! within a short while goes out in one frame.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until, timeout},
};

use super::{
    frames::{FrameReader, FrameWriter},
    group::lock,
    line::{Answer, read_answer},
    protocol::Outcome,
    registry::Shared,
};
use crate::{
    groups::raft::WireError,
    id::PeerId,
    schema,
    transport::{Link, MessageError, StreamKind, decode_message},
};

mod answering;

pub(super) use answering::serve;

/// A heartbeat waits for others for this part of the time that it may take, ...
const LINGER_PART: u32 = 10;
/// ... and never longer than this.
const LONGEST_LINGER: Duration = Duration::from_millis(50);
/// The largest heartbeat, and the largest answer.
const BEAT_LIMIT: usize = 16 * 1024;
/// A frame with so much in it is full.
const FRAME_BYTES: usize = 48 * 1024;
/// The largest frame: a full one, one heartbeat more, and what is around them.
const FRAME_LIMIT: usize = 128 * 1024;
/// Heartbeats to one peer that wait to be sent or answered.
const MAX_BEATS: usize = 4096;
/// Without heartbeats for so long the stream is closed.
const IDLE: Duration = Duration::from_secs(30);
/// How long it is remembered when a group's last heartbeat was.
const REMEMBERED: Duration = Duration::from_secs(10);

/// A heartbeat of one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Beat {
    id: u64,
    /// What the receiver calls the bond.
    bond: u64,
    request: Bytes,
}

/// Its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Echo {
    id: u64,
    outcome: Outcome,
    answer: Bytes,
}

fn read<T: serde::de::DeserializeOwned>(frame: &[u8]) -> Result<Vec<T>, MessageError> {
    decode_message(frame)
}

#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn samples() -> [Vec<u8>; 2] {
    let beat = |id| Beat { id, bond: u64::MAX, request: Bytes::from_static(&[1; 40]) };
    let echo = |id, outcome| Echo { id, outcome, answer: Bytes::from_static(&[2; 30]) };
    let beats = [beat(0), beat(u64::MAX)];
    let echoes = [echo(0, Outcome::Answered), echo(u64::MAX, Outcome::Gone)];
    [
        crate::schema::fuzzing::encoded(&beats.to_vec()),
        crate::schema::fuzzing::encoded(&echoes.to_vec()),
    ]
}

#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn are_beats(bytes: &[u8]) -> bool {
    read::<Beat>(bytes).is_ok()
}

#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn are_echoes(bytes: &[u8]) -> bool {
    read::<Echo>(bytes).is_ok()
}

/// Heartbeats to one peer.
pub(super) struct Beats {
    link: Link,
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Beat>,
    bytes: usize,
    /// When what waits is to be sent.
    due: Option<Instant>,
    sent: Option<Instant>,
    /// When the last one of each bond came.
    last: HashMap<u64, Instant>,
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    next_id: u64,
    /// Frames that were written.
    frames: u64,
    over: bool,
}

impl Queue {
    /// When a heartbeat that comes now is to be sent. One that nobody waits for goes at once; one
    /// that comes before its group's next tick is for somebody who waits to read.
    fn due(&mut self, bond: u64, now: Instant, limit: Duration) -> Instant {
        if self.last.len() >= MAX_BEATS {
            self.last.retain(|_, last| now - *last < REMEMBERED);
        }
        let before = self.last.insert(bond, now);
        let urgent = before.is_some_and(|before| now - before < limit / 2);
        let linger = (limit / LINGER_PART).min(LONGEST_LINGER);
        match self.sent {
            Some(sent) if !urgent && self.bytes < FRAME_BYTES => now.max(sent + linger),
            _ => now,
        }
    }

    /// What fits into a frame.
    fn take(&mut self, now: Instant) -> Vec<Beat> {
        let mut bytes = 0;
        let fits = |beat: &&Beat| {
            bytes += beat.request.len();
            bytes < FRAME_BYTES
        };
        let count = self.waiting.iter().take_while(fits).count().max(1);
        let taken: Vec<_> = self.waiting.drain(..count.min(self.waiting.len())).collect();
        self.bytes = self.waiting.iter().map(|beat| beat.request.len()).sum();
        self.due = (!self.waiting.is_empty()).then_some(now);
        self.sent = Some(now);
        self.frames += 1;
        taken
    }
}

impl Beats {
    /// Opens the way to a peer.
    pub(super) fn begin(shared: &Arc<Shared>, link: Link) -> Arc<Self> {
        let beats = Arc::new(Self { link, queue: Mutex::default(), changed: Notify::new() });
        let (running, known) = (beats.clone(), Arc::downgrade(shared));
        shared.tasks.spawn("groups.heartbeats", async move {
            if let Err(error) = running.exchange().await {
                tracing::debug!(peer = %running.peer(), %error, "no way for heartbeats");
            }
            running.end();
            if let Some(shared) = known.upgrade() {
                shared.forget_beats(&running);
            }
        });
        beats
    }

    pub(super) fn peer(&self) -> PeerId {
        self.link.peer()
    }

    pub(super) fn is_over(&self) -> bool {
        self.link.is_closed() || lock(&self.queue).over
    }

    #[cfg(test)]
    pub(super) fn frames(&self) -> u64 {
        lock(&self.queue).frames
    }

    /// Nothing is sent any more; whoever waits for an answer learns of it.
    fn end(&self) {
        let mut queue = lock(&self.queue);
        queue.over = true;
        let answers = std::mem::take(&mut queue.answers);
        drop(queue);
        drop(answers);
    }

    /// Sends a heartbeat of the group that the peer calls `bond`, and waits for the answer.
    pub(super) async fn ask(
        self: Arc<Self>,
        bond: u64,
        request: Bytes,
        limit: Duration,
    ) -> Result<Bytes, WireError> {
        let mut asked = self.put(bond, request, limit)?;
        match timeout(limit, &mut asked.answer).await {
            Ok(answer) => read_answer(answer),
            Err(_) => Err(WireError::Timeout),
        }
    }

    fn put(
        self: &Arc<Self>,
        bond: u64,
        request: Bytes,
        limit: Duration,
    ) -> Result<Asked, WireError> {
        let mut queue = lock(&self.queue);
        if queue.over || queue.answers.len() >= MAX_BEATS || request.len() > BEAT_LIMIT {
            return Err(WireError::Unreachable("a heartbeat cannot be sent".into()));
        }
        let now = Instant::now();
        let due = queue.due(bond, now, limit);
        queue.due = Some(queue.due.map_or(due, |before| before.min(due)));
        let id = queue.next_id;
        queue.next_id += 1;
        queue.bytes += request.len();
        queue.waiting.push(Beat { id, bond, request });
        let (answered, answer) = oneshot::channel();
        queue.answers.insert(id, answered);
        drop(queue);
        self.changed.notify_one();
        Ok(Asked { beats: self.clone(), id, answer })
    }

    async fn exchange(&self) -> Result<(), MessageError> {
        let Ok((send, recv)) = self.link.open(StreamKind::Heartbeat).await else { return Ok(()) };
        let mut writer = FrameWriter::new(send);
        tokio::select! {
            written = self.write(&mut writer) => written,
            read = self.read(FrameReader::new(recv, FRAME_LIMIT)) => read,
        }
    }

    async fn write(&self, writer: &mut FrameWriter) -> Result<(), MessageError> {
        loop {
            let due = lock(&self.queue).due;
            match due {
                None => {
                    if timeout(IDLE, self.changed.notified()).await.is_err() && self.is_idle() {
                        writer.finish();
                        return Ok(());
                    }
                }
                Some(due) if due > Instant::now() => tokio::select! {
                    () = sleep_until(due) => {}
                    () = self.changed.notified() => {}
                },
                Some(_) => {
                    let beats = lock(&self.queue).take(Instant::now());
                    let frame = schema::encode(&beats).map_err(|_| MessageError::Encoding)?;
                    writer.send(frame).await?;
                }
            }
        }
    }

    /// Whether nothing waits; then nothing is taken any more.
    fn is_idle(&self) -> bool {
        let mut queue = lock(&self.queue);
        queue.over |= queue.waiting.is_empty();
        queue.over
    }

    async fn read(&self, mut reader: FrameReader) -> Result<(), MessageError> {
        while let Some(frame) = reader.next().await? {
            for Echo { id, outcome, answer } in read(&frame)? {
                let asker = lock(&self.queue).answers.remove(&id);
                if let Some(asker) = asker {
                    let _ = asker.send((outcome, answer));
                }
            }
        }
        Ok(())
    }
}

/// A heartbeat whose answer is waited for.
struct Asked {
    beats: Arc<Beats>,
    id: u64,
    answer: oneshot::Receiver<Answer>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        let mut queue = lock(&self.beats.queue);
        if queue.answers.remove(&self.id).is_some()
            && let Some(at) = queue.waiting.iter().position(|beat| beat.id == self.id)
        {
            // It was never sent, and comes too late now.
            let beat = queue.waiting.swap_remove(at);
            queue.bytes -= beat.request.len().min(queue.bytes);
        }
    }
}
