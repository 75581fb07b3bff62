//! Waiting at a producer: for room, and until something is written.

use std::{
    sync::atomic::Ordering,
    task::{Context, Poll},
};

use super::{Core, Phase, Rejected};

impl Core {
    /// A key for one place from which somebody waits; to be [forgotten](Core::forget) with it.
    fn key(&self, key: &mut Option<u64>) -> u64 {
        *key.get_or_insert_with(|| self.next_key.fetch_add(1, Ordering::Relaxed))
    }

    /// Nobody waits there any more.
    pub(in crate::streams::producer) fn forget(&self, key: Option<u64>) {
        if let Some(key) = key {
            let mut state = self.lock();
            state.waiting.forget(key);
            state.draining.forget(key);
        }
    }

    /// Ready when the producer is online and every window has room; an error when it is closed. The
    /// key is made when somebody has to wait.
    #[inline]
    pub(in crate::streams::producer) fn poll_ready(
        &self,
        key: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejected>> {
        if self.ready.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        // What fills the window may be what nobody has flushed yet.
        self.flush();
        let mut state = self.lock();
        if state.phase == Phase::Closed {
            return Poll::Ready(Err(Rejected::Closed));
        }
        if state.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if state.phase == Phase::Online && state.sending.ring.has_room() {
            // Nobody is waited for. But before those who are behind must skip or go, their tasks
            // shall have had a chance to run.
            state.gate_open = true;
            self.ready.store(true, Ordering::Release);
            cx.waker().wake_by_ref();
            // Those who wait at the gate are woken when it opens, whoever opens it.
            let senders = state.waiting.take();
            drop(state);
            senders.wake();
            return Poll::Pending;
        }
        state.waiting.register(self.key(key), cx.waker());
        Poll::Pending
    }

    /// Ready when what was sent has been handed to the transport for every subscriber that the
    /// producer waits for, but for a little that may be held back. `up_to` remembers what that is:
    /// what came in before the first poll.
    pub(in crate::streams::producer) fn poll_written(
        &self,
        up_to: &mut Option<u64>,
        key: &mut Option<u64>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        self.flush();
        let mut state = self.lock();
        let frames = *up_to.get_or_insert(state.sending.ring.head().frames);
        let written = state.sending.is_written(frames);
        if written || state.phase == Phase::Closed {
            *up_to = None;
            return Poll::Ready(written);
        }
        state.draining.register(self.key(key), cx.waker());
        Poll::Pending
    }
}
