//! What a producer's handles, its worker and its subscribers' tasks share.

mod gate;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use bytes::{Bytes, BytesMut};
use futures::channel::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{
    config::ProducerConfig,
    groups::Sending,
    outlet::{Outlet, Outlets},
    place::Request,
    ring::{CursorId, Position, Progress, Start, Taken},
    undelivered::Undelivered,
};
use crate::{
    id::UniqueId,
    schema::Schema,
    streams::{
        frames::MAX_PREFIX,
        meter::ProducerMeter,
        status::Channels,
        waiters::{Waiters, Woken},
        when::{Roster, When},
    },
};

/// A frame of this length or more is kept as it is instead of being copied behind others.
const OWN_SEGMENT_BYTES: usize = 4096;
/// Datums that were fed but not flushed go out when there are so many bytes of them.
const FLUSH_BYTES: usize = 32 * 1024;

/// Why a frame did not get into the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    Closed,
    Offline,
    Full,
}

/// Who must have room for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Nobody: that was asked before.
    Nobody,
    /// Those that the producer waits for; the others skip, or are cut.
    Awaited,
    /// Everybody.
    Everybody,
}

/// How much a push may do beyond putting the frame into the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Leaves it there until there is enough, or until the next flush.
    Gather,
    /// Sees to it that it is sent.
    Flush,
}

#[derive(Debug)]
pub(in crate::streams) struct Core {
    pub(super) config: ProducerConfig,
    /// Tells this producer from an earlier one of the same stream on the same node.
    pub(super) epoch: u64,
    /// What the type looks like on the wire.
    pub(super) schema: Option<Arc<Schema>>,
    pub(super) roster: Roster,
    pub(super) when: When,
    pub(super) channels: Channels,
    pub(in crate::streams) meter: Arc<ProducerMeter>,
    /// To the worker. Each subscriber's task has at most a few under way.
    pub(super) requests: UnboundedSender<Request>,
    /// The last handle is gone: no more datums come.
    pub(super) closing: CancellationToken,
    /// Online, and every window has room: what `poll_ready` looks at first.
    ready: AtomicBool,
    next_key: AtomicU64,
    /// Where datums go that nobody gets.
    undelivered: Option<Undelivered>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sending: Sending,
    phase: Phase,
    /// Shut when the slowest window is full, open again when it is half free.
    gate_open: bool,
    unflushed_bytes: usize,
    outlets: Outlets,
    /// Who waits for room, or to be online.
    waiting: Waiters,
    /// Who waits until something is written.
    draining: Waiters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Offline,
    Online,
    Closed,
}

impl State {
    fn is_ready(&self) -> bool {
        self.phase == Phase::Online && self.gate_open
    }

    fn has_room(&self, room: Room) -> bool {
        match room {
            Room::Nobody => true,
            Room::Awaited => self.sending.ring.has_room(),
            Room::Everybody => self.sending.ring.has_room() && !self.sending.ring.is_overrun(),
        }
    }

    /// Those for whom nobody waits and who have no room skip, or are cut.
    #[cold]
    fn overrun(&mut self) {
        for cursor in self.sending.ring.overrun() {
            self.outlets.cut(cursor);
        }
    }
}

impl Core {
    pub(super) fn new(
        config: ProducerConfig,
        epoch: u64,
        schema: Option<Arc<Schema>>,
        requests: UnboundedSender<Request>,
        undelivered: Option<Undelivered>,
    ) -> Self {
        let roster = Roster::new();
        let online = (config.online_when)(roster.conditions());
        let when = When::new(roster.clone(), online);
        let meter = Arc::new(ProducerMeter::new(config.stream_id));
        let sending = Sending::new(config.ring(undelivered.is_some()));
        let state = State {
            sending,
            phase: Phase::Offline,
            gate_open: true,
            unflushed_bytes: 0,
            outlets: Outlets::default(),
            waiting: Waiters::default(),
            draining: Waiters::default(),
        };
        Self {
            config,
            epoch,
            schema,
            roster,
            when,
            channels: Channels::default(),
            meter,
            requests,
            closing: CancellationToken::new(),
            ready: AtomicBool::new(false),
            next_key: AtomicU64::new(0),
            undelivered,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a frame whose body stands in `frame` behind [`MAX_PREFIX`] free bytes, and takes it
    /// only if it is long.
    pub(super) fn push(
        &self,
        frame: &mut BytesMut,
        room: Room,
        then: Then,
    ) -> Result<(), Rejected> {
        let mut state = self.lock();
        match state.phase {
            Phase::Closed => return Err(Rejected::Closed),
            Phase::Offline => return Err(Rejected::Offline),
            Phase::Online if !state.has_room(room) => {
                self.shut_if_full(&mut state);
                return Err(Rejected::Full);
            }
            Phase::Online => {}
        }
        if state.sending.ring.is_overrun() {
            state.overrun();
            self.meter.dropped(state.sending.ring.dropped());
        }
        state.unflushed_bytes += frame.len();
        if frame.len() < OWN_SEGMENT_BYTES {
            state.sending.ring.push(&frame[MAX_PREFIX..]);
        } else {
            state.sending.ring.push_own(std::mem::take(frame), MAX_PREFIX);
        }
        if !state.sending.ring.has_room() || state.sending.ring.is_overrun() {
            state.gate_open = false;
            self.ready.store(false, Ordering::Release);
        }
        let enough = state.unflushed_bytes >= FLUSH_BYTES;
        if enough || then == Then::Flush {
            state.unflushed_bytes = 0;
            if state.outlets.any_idle() {
                let outlets = state.outlets.clone();
                self.release(state);
                outlets.offer(self, enough);
                return Ok(());
            }
        }
        self.release(state);
        Ok(())
    }

    /// The same for a frame whose handle is gone: nobody can wait any more until it gets in.
    pub(super) fn push_last(&self, mut frame: BytesMut) {
        if self.push(&mut frame, Room::Nobody, Then::Flush).is_err()
            && let Some(undelivered) = &self.undelivered
        {
            undelivered.give(vec![frame.freeze().slice(MAX_PREFIX..)]);
        }
    }

    /// Shuts the gate if there is no room: whoever finds it open would try in vain, again and
    /// again. Windows do not only fill up; with who comes and goes they shrink.
    #[inline]
    fn shut_if_full(&self, state: &mut State) {
        if state.gate_open && !state.sending.ring.has_room() {
            state.gate_open = false;
            self.ready.store(false, Ordering::Release);
        }
    }

    /// Lets go of the state, and then of what nobody got.
    #[inline]
    fn release(&self, mut state: MutexGuard<'_, State>) {
        if let Some(undelivered) = &self.undelivered {
            let bodies = state.sending.take_undelivered();
            drop(state);
            undelivered.give(bodies);
        }
    }

    /// Sees to it that everything in the ring is sent.
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        let enough = state.unflushed_bytes >= FLUSH_BYTES || !state.gate_open;
        if std::mem::take(&mut state.unflushed_bytes) > 0 && state.outlets.any_idle() {
            let outlets = state.outlets.clone();
            drop(state);
            outlets.offer(self, enough);
        }
    }

    /// The subscriber has written what it took before; the next batch for it. `last`: nothing
    /// follows.
    pub(super) fn next_batch(&self, cursor: CursorId, last: bool, batch: &mut Vec<Bytes>) -> Taken {
        let mut state = self.lock();
        let (taken, others) = state.sending.next_batch(cursor, last, batch);
        self.meter.sent.count(taken.frames, taken.payload_bytes);
        let others = others.then(|| state.outlets.clone());
        self.after_progress(state);
        others.iter().for_each(Outlets::wake);
        taken
    }

    /// Whether there is anything that the subscriber has not taken, and that is not held back.
    pub(super) fn has_more(&self, cursor: CursorId) -> bool {
        self.lock().sending.has_more(cursor)
    }

    /// Whether nothing follows for the subscriber, now that nothing more is sent.
    pub(super) fn is_drained(&self, cursor: CursorId) -> bool {
        self.lock().sending.is_drained(cursor)
    }

    /// A new subscriber: from the returned position on it gets everything, or its part as a member
    /// of a group. `suspect`: nobody waits for it before it has taken something.
    pub(super) fn join(
        &self,
        start: Start,
        group: Option<UniqueId>,
        suspect: bool,
        outlet: impl FnOnce(CursorId) -> Arc<Outlet>,
    ) -> Position {
        let mut state = self.lock();
        let (cursor, from) = state.sending.join(start, group);
        if suspect {
            state.sending.put_on_probation(cursor);
        }
        state.outlets.add(outlet(cursor));
        // If it is the only one of a group that was kept, nobody waits for that any more.
        self.after_progress(state);
        from
    }

    /// Whether the producer waits for the subscriber when it is too far behind.
    pub(super) fn is_awaited(&self, cursor: CursorId) -> bool {
        self.lock().sending.is_awaited(cursor)
    }

    /// The subscriber is gone for good.
    pub(super) fn leave(&self, cursor: CursorId) {
        let mut state = self.lock();
        state.sending.leave(cursor);
        self.after_leaving(state, cursor);
    }

    /// The subscriber's connection broke: what it has not acknowledged is kept for it, or goes to
    /// others of its group. False if nothing is kept any more.
    pub(super) fn hold(&self, cursor: CursorId) -> bool {
        let mut state = self.lock();
        let held = state.sending.hold(cursor);
        self.after_leaving(state, cursor);
        held
    }

    fn after_leaving(&self, mut state: MutexGuard<'_, State>, cursor: CursorId) {
        state.outlets.remove(cursor);
        let outlets = state.outlets.clone();
        self.after_progress(state);
        // What one of a group leaves behind is for others.
        outlets.wake();
    }

    /// Nobody has come to a share group without members; or somebody has, and it goes on.
    pub(super) fn end_empty_group(&self, group: &UniqueId) {
        let mut state = self.lock();
        state.sending.end_empty_group(group);
        self.after_progress(state);
    }

    /// The subscriber's application has taken so many frames of the stream; as a member of a group:
    /// of those that it was given.
    pub(super) fn acknowledge(&self, cursor: CursorId, frames: u64) {
        let mut state = self.lock();
        let others = state.sending.acknowledge(cursor, frames).then(|| state.outlets.clone());
        self.after_progress(state);
        others.iter().for_each(Outlets::wake);
    }

    pub(super) fn progress(&self, cursor: CursorId) -> Option<Progress> {
        self.lock().sending.progress(cursor)
    }

    /// How many frames were sent so far.
    pub(super) fn sent(&self) -> u64 {
        self.lock().sending.ring.head().frames
    }

    /// Lets waiting senders go on, if a window has become half free meanwhile.
    fn after_progress(&self, mut state: MutexGuard<'_, State>) {
        let mut senders = Woken::default();
        if !state.gate_open && state.sending.ring.is_half_free() {
            state.gate_open = true;
            self.ready.store(state.is_ready(), Ordering::Release);
            senders = state.waiting.take();
        } else {
            self.shut_if_full(&mut state);
        }
        let flushes = state.draining.take();
        self.release(state);
        senders.wake();
        flushes.wake();
    }

    pub(super) fn set_online(&self, online: bool) {
        self.enter(if online { Phase::Online } else { Phase::Offline });
    }

    /// The last handle is gone: what was sent still goes out, then the stream ends.
    pub(super) fn end(&self) {
        self.closing.cancel();
    }

    /// No more datums are taken.
    pub(super) fn close(&self) {
        self.enter(Phase::Closed);
    }

    /// All subscribers are gone, and nobody comes any more.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.sending.close();
        self.release(state);
    }

    fn enter(&self, phase: Phase) {
        let mut state = self.lock();
        if state.phase == Phase::Closed || state.phase == phase {
            return;
        }
        state.phase = phase;
        self.ready.store(state.is_ready(), Ordering::Release);
        let senders = if phase == Phase::Offline { Woken::default() } else { state.waiting.take() };
        let flushes = if phase == Phase::Closed { state.draining.take() } else { Woken::default() };
        drop(state);
        senders.wake();
        flushes.wake();
    }
}
