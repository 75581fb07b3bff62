//! One direction of a simulated stream: ordered, windowed, delayed.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use super::connection::End;
use crate::transport::{close::CloseReason, error::StreamError};

/// Bytes that a stream holds unread before its writer waits.
const WINDOW: usize = 896 * 1024;

#[derive(Debug, Default)]
pub(super) struct Pipe(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What is under way, with the time at which it arrives.
    chunks: VecDeque<(Instant, Bytes)>,
    unread: usize,
    /// The end of the stream: `None` inside is a finish, a reason is a reset.
    end: Option<(Instant, Option<CloseReason>)>,
    stopped: Option<(Instant, CloseReason)>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    /// A stream keeps its order: nothing arrives before what was sent before it.
    fn in_order(&self, at: Instant) -> Instant {
        self.chunks.back().map_or(at, |(last, _)| at.max(*last))
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection has changed: everybody looks again.
    pub(super) fn wake_all(&self) {
        let mut state = self.lock();
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// What arrives later than `limit` never does.
    pub(super) fn lose_after(&self, limit: Instant) {
        let mut state = self.lock();
        let kept = state.chunks.partition_point(|(at, _)| *at <= limit);
        state.chunks.truncate(kept);
        state.end.take_if(|(at, _)| *at > limit);
    }

    /// What would have arrived after `since` arrives `again` at the earliest.
    pub(super) fn delay(&self, since: Instant, again: Instant) {
        let mut state = self.lock();
        for (at, _) in state.chunks.iter_mut().filter(|(at, _)| *at >= since) {
            *at = again.max(*at);
        }
        if let Some((at, _)) = state.end.as_mut().filter(|(at, _)| *at >= since) {
            *at = again.max(*at);
        }
        drop(state);
        self.wake_all();
    }

    /// [`Pipe::delay`] for the word that the reader stopped, which goes the other way.
    pub(super) fn delay_stop(&self, since: Instant, again: Instant) {
        if let Some((at, _)) = self.lock().stopped.as_mut().filter(|(at, _)| *at >= since) {
            *at = again.max(*at);
        }
        self.wake_all();
    }
}

#[derive(Debug)]
pub(in crate::transport) struct SendStream {
    pipe: Arc<Pipe>,
    end: End,
    timer: Timer,
}

impl SendStream {
    pub(super) fn new(pipe: Arc<Pipe>, end: End) -> Self {
        Self { pipe, end, timer: Timer::default() }
    }

    pub(in crate::transport) fn poll_write_chunks(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut &mut [Bytes],
    ) -> Poll<Result<usize, StreamError>> {
        if let Some(reason) = self.end.closed_now() {
            return Poll::Ready(Err(StreamError::Lost(reason)));
        }
        let mut state = self.pipe.lock();
        if let Some(reason) = self.timer.stopped(&mut state, &self.end, cx) {
            return Poll::Ready(Err(StreamError::Stopped(reason)));
        }
        if state.end.is_some() {
            return Poll::Ready(Err(StreamError::Closed));
        }
        let room = WINDOW.saturating_sub(state.unread);
        if room == 0 && !bufs.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let chunks = take_up_to(bufs, room);
        let written = chunks.iter().map(Bytes::len).sum();
        if written > 0 {
            let arrival = state.in_order(self.end.send(written));
            state.unread += written;
            state.chunks.extend(chunks.into_iter().map(|chunk| (arrival, chunk)));
        }
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(written))
    }

    pub(in crate::transport) fn finish(&mut self) {
        self.end_with(None);
    }

    pub(in crate::transport) fn reset(&mut self, reason: CloseReason) {
        self.end_with(Some(reason));
    }

    fn end_with(&self, reason: Option<CloseReason>) {
        if self.end.closed_now().is_some() {
            return;
        }
        let mut state = self.pipe.lock();
        let arrival = self.end.arrival();
        // A reset need not wait for the data that it gives up.
        let arrival = if reason.is_none() { state.in_order(arrival) } else { arrival };
        state.end.get_or_insert((arrival, reason));
        drop(state);
        self.pipe.wake_all();
    }
}

/// Takes at most `room` bytes off the front of `bufs`, in chunks that are not empty.
fn take_up_to(bufs: &mut &mut [Bytes], mut room: usize) -> Vec<Bytes> {
    let mut chunks = Vec::new();
    while room > 0 && !bufs.is_empty() {
        let chunk = if bufs[0].len() <= room {
            let (first, rest) = std::mem::take(bufs).split_at_mut(1);
            *bufs = rest;
            std::mem::take(&mut first[0])
        } else {
            bufs[0].split_to(room)
        };
        room -= chunk.len();
        if !chunk.is_empty() {
            chunks.push(chunk);
        }
    }
    chunks
}

#[derive(Debug)]
pub(in crate::transport) struct RecvStream {
    pipe: Arc<Pipe>,
    end: End,
    timer: Timer,
    /// The end was seen, or the stream was stopped here.
    done: bool,
}

impl RecvStream {
    pub(super) fn new(pipe: Arc<Pipe>, end: End) -> Self {
        Self { pipe, end, timer: Timer::default(), done: false }
    }

    pub(in crate::transport) fn poll_read_chunks(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [Bytes],
    ) -> Poll<Result<Option<usize>, StreamError>> {
        loop {
            if let Some(reason) = self.end.closed_now() {
                return Poll::Ready(Err(StreamError::Lost(reason)));
            }
            let now = Instant::now();
            let is_here = |at: Instant| at <= now && !self.end.holds(at);
            let mut state = self.pipe.lock();
            if let Some((at, Some(reason))) = state.end
                && is_here(at)
            {
                self.done = true;
                return Poll::Ready(Err(StreamError::Reset(reason)));
            }
            let mut read = 0;
            while read < bufs.len() && state.chunks.front().is_some_and(|(at, _)| is_here(*at)) {
                let Some((_, chunk)) = state.chunks.pop_front() else { break };
                state.unread -= chunk.len();
                bufs[read] = chunk;
                read += 1;
            }
            if read > 0 {
                let writer = state.writer.take();
                drop(state);
                writer.into_iter().for_each(Waker::wake);
                return Poll::Ready(Ok(Some(read)));
            }
            let chunk = state.chunks.front().map(|(at, _)| *at);
            let end = state.end.map(|(at, _)| at);
            if chunk.is_none() && end.is_some_and(is_here) {
                self.done = true;
                return Poll::Ready(Ok(None));
            }
            state.reader = Some(cx.waker().clone());
            drop(state);
            // Whatever is held up, somebody wakes the reader when it is not any more.
            let next = chunk.into_iter().chain(end).filter(|at| !self.end.holds(*at)).min();
            let Some(next) = next else { return Poll::Pending };
            std::task::ready!(self.timer.poll_until(next, cx));
        }
    }

    pub(in crate::transport) fn stop(&mut self, reason: CloseReason) {
        if !std::mem::replace(&mut self.done, true) && self.end.closed_now().is_none() {
            let arrival = self.end.arrival();
            let mut state = self.pipe.lock();
            state.stopped.get_or_insert((arrival, reason));
            state.chunks.clear();
            drop(state);
            self.pipe.wake_all();
        }
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        self.stop(CloseReason::UnexpectedClose);
    }
}

/// A timer that exists only while something is under way.
#[derive(Debug, Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn poll_until(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }

    /// Whether word has come that the reader stopped; else wakes the task when it does.
    fn stopped(
        &mut self,
        state: &mut State,
        end: &End,
        cx: &mut Context<'_>,
    ) -> Option<CloseReason> {
        let (at, reason) = state.stopped?;
        if end.holds(at) {
            return None;
        }
        match self.poll_until(at, cx) {
            Poll::Ready(()) => Some(reason),
            Poll::Pending => None,
        }
    }
}
