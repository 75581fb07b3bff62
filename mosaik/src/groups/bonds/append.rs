//! Appends: long-lived streams on the log lane, one for a group and direction.
//!
//! The opener of a stream waits for one empty frame, which says that somebody takes it; what follows is
//! Raft's. Frames are written and read where they are made and used, without a task in between.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures::{Sink, Stream};
use tokio::time::timeout;

use super::{
    frames::{FrameReader, prefix},
    line::Line,
    served::Served,
    traffic::Traffic,
};
use crate::{
    groups::raft::WireError,
    transport::{CloseReason, MessageError, OpenError, RecvStream, SendStream, StreamError},
};

/// The largest append, and the largest answer.
pub(super) const APPEND_LIMIT: usize = 32 * 1024 * 1024;
/// As much is gathered before it is written without having been flushed.
const GATHERED_BYTES: usize = 64 * 1024;

/// Where appends go, or their answers. A flush gives everything to the connection; it does not wait
/// until it has arrived. Closed, it tells the other side that all is said; dropped, that it is
/// given up.
#[derive(Debug)]
pub(crate) struct AppendSink {
    stream: SendStream,
    chunks: VecDeque<Bytes>,
    bytes: usize,
    prefixes: BytesMut,
    traffic: Arc<Traffic>,
}

impl AppendSink {
    pub(super) fn new(stream: SendStream, traffic: Arc<Traffic>) -> Self {
        let prefixes = BytesMut::with_capacity(1024);
        Self { stream, chunks: VecDeque::new(), bytes: 0, prefixes, traffic }
    }

    fn push(&mut self, message: Bytes) -> Result<(), WireError> {
        let prefix = prefix(message.len()).filter(|_| message.len() <= APPEND_LIMIT);
        let prefix = prefix.ok_or_else(|| WireError::Broken("an append is too large".into()))?;
        self.traffic.sent.add(message.len());
        self.bytes += prefix.len() + message.len();
        self.prefixes.extend_from_slice(&prefix);
        let prefix = self.prefixes.split().freeze();
        self.chunks.push_back(prefix);
        if !message.is_empty() {
            self.chunks.push_back(message);
        }
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        while !self.chunks.is_empty() {
            let mut rest = self.chunks.make_contiguous();
            let before = rest.len();
            let written = self.stream.poll_write_chunks(cx, &mut rest);
            let done = before - rest.len();
            self.chunks.drain(..done);
            self.bytes -= ready!(written).map_err(broken)?.min(self.bytes);
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the stream up, and tells the other side why.
    pub(super) fn reset(&mut self, reason: CloseReason) {
        self.stream.reset(reason);
    }
}

impl Sink<Bytes> for AppendSink {
    type Error = WireError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        if self.bytes < GATHERED_BYTES { Poll::Ready(Ok(())) } else { self.poll_write(cx) }
    }

    fn start_send(mut self: Pin<&mut Self>, message: Bytes) -> Result<(), WireError> {
        self.push(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        self.poll_write(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), WireError>> {
        ready!(self.poll_write(cx))?;
        self.stream.finish();
        Poll::Ready(Ok(()))
    }
}

/// Where appends come from, or their answers. It ends when the other side has closed its sink.
#[derive(Debug)]
pub(crate) struct AppendSource {
    frames: FrameReader,
    traffic: Arc<Traffic>,
}

impl AppendSource {
    pub(super) fn new(stream: RecvStream, traffic: Arc<Traffic>) -> Self {
        Self { frames: FrameReader::new(stream, APPEND_LIMIT), traffic }
    }

    fn stop(&mut self, reason: CloseReason) {
        self.frames.stop(reason);
    }
}

impl Stream for AppendSource {
    type Item = Result<Bytes, WireError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let frame = ready!(self.frames.poll_next(cx));
        match &frame {
            Ok(Some(message)) => self.traffic.received.add(message.len()),
            Err(error) if error.is_violation() => self.stop(CloseReason::ProtocolViolation),
            Ok(None) | Err(_) => {}
        }
        Poll::Ready(frame.map_err(lost).transpose())
    }
}

/// Opens a stream to a member, and waits until it is taken.
pub(super) async fn open(
    line: Arc<Line>,
    limit: Duration,
) -> Result<(AppendSink, AppendSource), WireError> {
    let opening = async {
        let opened = line.link.open_log(line.their_log_slot).await;
        let (send, recv) = opened.map_err(|error| match error {
            OpenError::Lost(_) => WireError::Unreachable(error.to_string()),
            error => WireError::Broken(error.to_string()),
        })?;
        let traffic = &line.traffic;
        let sink = AppendSink::new(send, traffic.clone());
        let mut source = AppendSource::new(recv, traffic.clone());
        match source.frames.next().await {
            Ok(Some(taken)) if taken.is_empty() => Ok((sink, source)),
            Ok(_) => Err(WireError::Unreachable("the member has not taken a stream".into())),
            Err(error) => Err(WireError::Unreachable(error.to_string())),
        }
    };
    timeout(limit, opening).await.unwrap_or(Err(WireError::Timeout))
}

/// Takes a stream that a member has opened, until it ends.
pub(super) async fn serve(
    served: Option<Arc<dyn Served>>,
    traffic: Arc<Traffic>,
    send: SendStream,
    recv: RecvStream,
) {
    let mut sink = AppendSink::new(send, traffic.clone());
    let mut source = AppendSource::new(recv, traffic);
    let Some(served) = served else {
        sink.reset(CloseReason::GroupRefused);
        return source.stop(CloseReason::GroupRefused);
    };
    if sink.push(Bytes::new()).is_ok()
        && std::future::poll_fn(|cx| sink.poll_write(cx)).await.is_ok()
    {
        served.serve_append(source, sink).await;
    }
}

fn broken(error: StreamError) -> WireError {
    lost(error.into())
}

fn lost(error: MessageError) -> WireError {
    match error {
        // The member is there, but nobody takes this stream any more.
        MessageError::Stream(StreamError::Lost(_)) => WireError::Unreachable(error.to_string()),
        error => WireError::Broken(error.to_string()),
    }
}
