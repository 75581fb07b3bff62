//! The leader's end of a stream of appends: requests are written as long as there are any, and
//! answers come back in the same order. One future does both, within the task that replicates.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{Future, Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use super::{
    append::encode_append,
    messages::{Address, AppendAnswer, decode, encode},
    type_config::{AppendRequest, AppendResult},
    wire::{MessageSink, MessageSource, WireError},
};

/// An open stream of appends.
pub(super) struct Lane {
    sink: MessageSink,
    source: MessageSource,
    /// Goes ahead of the first append: who the stream is for.
    greeting: Option<Bytes>,
}

impl Lane {
    pub(super) fn new(sink: MessageSink, source: MessageSource, address: Address) -> Self {
        Self { sink, source, greeting: Some(encode(&address)) }
    }
}

/// One session of openraft on a lane.
pub(super) struct Replication<'s, S> {
    /// None after the last request.
    input: Option<S>,
    /// None after the end.
    lane: Option<Lane>,
    /// Where the lane goes when everything is answered, for the next session.
    slot: &'s mut Option<Lane>,
    in_flight: usize,
    most_in_flight: usize,
    unflushed: bool,
    /// When the last answer came, or the first request of those that wait was sent.
    progress: Instant,
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    #[cfg(any(test, feature = "faults"))]
    early: super::early::Early,
}

impl<'s, S> Replication<'s, S>
where
    S: Stream<Item = AppendRequest> + Unpin,
{
    pub(super) fn new(
        input: S,
        lane: Lane,
        slot: &'s mut Option<Lane>,
        most_in_flight: usize,
        limit: Duration,
    ) -> Self {
        Self {
            input: Some(input),
            lane: Some(lane),
            slot,
            in_flight: 0,
            most_in_flight,
            unflushed: false,
            progress: Instant::now(),
            limit,
            timer: None,
            #[cfg(any(test, feature = "faults"))]
            early: super::early::Early::default(),
        }
    }

    /// Takes requests while the lane takes them.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<(), WireError> {
        let Some(lane) = self.lane.as_mut() else { return Ok(()) };
        while self.in_flight < self.most_in_flight {
            let Some(input) = self.input.as_mut() else { break };
            match lane.sink.as_mut().poll_ready(cx)? {
                Poll::Pending => break,
                Poll::Ready(()) => {}
            }
            if let Some(greeting) = lane.greeting.take() {
                lane.sink.as_mut().start_send(greeting)?;
                continue;
            }
            match input.poll_next_unpin(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.input = None,
                Poll::Ready(Some(request)) => {
                    lane.sink.as_mut().start_send(encode_append(&request))?;
                    #[cfg(any(test, feature = "faults"))]
                    self.early.sent(&request);
                    if self.in_flight == 0 {
                        self.progress = Instant::now();
                    }
                    self.in_flight += 1;
                    self.unflushed = true;
                }
            }
        }
        if self.unflushed && lane.sink.as_mut().poll_flush(cx)?.is_ready() {
            self.unflushed = false;
        }
        Ok(())
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<AppendResult, WireError>> {
        let Some(lane) = self.lane.as_mut() else { return Poll::Pending };
        let message = ready!(lane.source.as_mut().poll_next(cx));
        Poll::Ready(match message {
            Some(Ok(message)) => self.take_answer(&message),
            Some(Err(error)) => Err(error),
            None => Err(WireError::Broken("the stream of appends has ended".into())),
        })
    }

    fn take_answer(&mut self, message: &[u8]) -> Result<AppendResult, WireError> {
        let wrong = || WireError::Unreachable("a malformed answer".into());
        let answer: AppendAnswer = decode(message).map_err(|_| wrong())?;
        self.in_flight = self.in_flight.checked_sub(1).ok_or_else(wrong)?;
        self.progress = Instant::now();
        Ok(answer.into())
    }

    /// Whether requests have waited too long. The timer is set anew only when it has run out.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.in_flight == 0 {
            return Poll::Pending;
        }
        loop {
            let deadline = self.progress + self.limit;
            let timer = match &mut self.timer {
                Some(timer) => timer,
                none => none.insert(Box::pin(tokio::time::sleep_until(deadline))),
            };
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }

    fn fail(&mut self, error: WireError) -> Poll<Option<Result<AppendResult, WireError>>> {
        self.lane = None;
        self.input = None;
        Poll::Ready(Some(Err(error)))
    }
}

impl<S> Stream for Replication<'_, S>
where
    S: Stream<Item = AppendRequest> + Unpin,
{
    type Item = Result<AppendResult, WireError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.lane.is_none() {
            return Poll::Ready(None);
        }
        if let Err(error) = this.poll_send(cx) {
            return this.fail(error);
        }
        #[cfg(any(test, feature = "faults"))]
        if let Some(answer) = this.early.answer() {
            return Poll::Ready(Some(Ok(answer)));
        }
        if this.input.is_none() && this.in_flight == 0 {
            *this.slot = this.lane.take();
            return Poll::Ready(None);
        }
        match this.poll_answer(cx) {
            #[cfg(any(test, feature = "faults"))]
            Poll::Ready(Ok(answer)) if this.early.is_late(&answer) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(Ok(answer)) => {
                if answer.is_err() {
                    // The other side ends the stream after it.
                    this.lane = None;
                    this.input = None;
                }
                return Poll::Ready(Some(Ok(answer)));
            }
            Poll::Ready(Err(error)) => return this.fail(error),
            Poll::Pending => {}
        }
        match this.poll_late(cx) {
            Poll::Ready(()) => this.fail(WireError::Timeout),
            Poll::Pending => Poll::Pending,
        }
    }
}
