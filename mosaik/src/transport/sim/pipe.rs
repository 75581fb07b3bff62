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
const WINDOW: usize = 1_250_000;

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
        let arrival = self.end.arrival();
        let mut state = self.pipe.lock();
        if let Some(reason) = self.timer.stopped(&mut state, cx) {
            return Poll::Ready(Err(StreamError::Stopped(reason)));
        }
        if state.end.is_some() {
            return Poll::Ready(Err(StreamError::Closed));
        }
        let mut written = 0;
        while state.unread < WINDOW && !bufs.is_empty() {
            let room = WINDOW - state.unread;
            let chunk = if bufs[0].len() <= room {
                let (first, rest) = std::mem::take(bufs).split_at_mut(1);
                *bufs = rest;
                std::mem::take(&mut first[0])
            } else {
                bufs[0].split_to(room)
            };
            written += chunk.len();
            state.unread += chunk.len();
            if !chunk.is_empty() {
                state.chunks.push_back((arrival, chunk));
            }
        }
        if written == 0 && !bufs.is_empty() {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
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
        let arrival = self.end.arrival();
        self.pipe.lock().end.get_or_insert((arrival, reason));
        self.pipe.wake_all();
    }
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
        if let Some(reason) = self.end.closed_now() {
            return Poll::Ready(Err(StreamError::Lost(reason)));
        }
        let now = Instant::now();
        let cut = self.end.is_cut(cx);
        let mut state = self.pipe.lock();
        if let Some((at, Some(reason))) = state.end
            && at <= now
            && !cut
        {
            self.done = true;
            return Poll::Ready(Err(StreamError::Reset(reason)));
        }
        let mut read = 0;
        while !cut && read < bufs.len() && state.chunks.front().is_some_and(|(at, _)| *at <= now) {
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
        let next = state.chunks.front().map(|(at, _)| *at).or(state.end.map(|(at, _)| at));
        if state.chunks.is_empty() && next.is_some_and(|at| at <= now) && !cut {
            self.done = true;
            return Poll::Ready(Ok(None));
        }
        state.reader = Some(cx.waker().clone());
        drop(state);
        if let Some(at) = next.filter(|_| !cut) {
            return match self.timer.poll_until(at, cx) {
                Poll::Ready(()) => self.poll_read_chunks(cx, bufs),
                Poll::Pending => Poll::Pending,
            };
        }
        Poll::Pending
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
    fn stopped(&mut self, state: &mut State, cx: &mut Context<'_>) -> Option<CloseReason> {
        let (at, reason) = state.stopped?;
        match self.poll_until(at, cx) {
            Poll::Ready(()) => Some(reason),
            Poll::Pending => None,
        }
    }
}
