//! The two halves of a stream, over either backend.

use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::poll_fn;

use super::{close::CloseReason, error::StreamError, iroh, link::Hold, sim};

/// The sending half of a stream.
///
/// Dropped unfinished it is reset, so that an end of stream always means that it is complete.
#[derive(Debug)]
pub(crate) struct SendStream {
    half: SendHalf,
    /// The link is in use while one of its streams is.
    hold: Option<Hold>,
    open: bool,
}

#[derive(Debug)]
pub(super) enum SendHalf {
    Iroh(iroh::SendStream),
    Sim(sim::SendStream),
}

impl SendStream {
    pub(super) fn new(half: SendHalf) -> Self {
        Self { half, hold: None, open: true }
    }

    pub(super) fn holding(mut self, hold: Hold) -> Self {
        self.hold = Some(hold);
        self
    }

    /// Writes as much of `bufs` as fits and advances them; nothing was written when pending.
    pub(crate) fn poll_write_chunks(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut &mut [Bytes],
    ) -> Poll<Result<usize, StreamError>> {
        match &mut self.half {
            SendHalf::Iroh(half) => half.poll_write_chunks(cx, bufs),
            SendHalf::Sim(half) => half.poll_write_chunks(cx, bufs),
        }
    }

    /// Writes all of `bufs`. Not cancel safe: a part may have been written.
    pub(crate) async fn write_all_chunks(&mut self, bufs: &mut [Bytes]) -> Result<(), StreamError> {
        let mut rest = bufs;
        while !rest.is_empty() {
            poll_fn(|cx| self.poll_write_chunks(cx, &mut rest)).await?;
        }
        Ok(())
    }

    /// Nothing follows: the reader sees the end of the stream after what was written.
    pub(crate) fn finish(&mut self) {
        if std::mem::take(&mut self.open) {
            match &mut self.half {
                SendHalf::Iroh(half) => half.finish(),
                SendHalf::Sim(half) => half.finish(),
            }
        }
    }

    /// Gives the stream up; what the peer has not read yet is discarded.
    pub(crate) fn reset(&mut self, reason: CloseReason) {
        if std::mem::take(&mut self.open) {
            match &mut self.half {
                SendHalf::Iroh(half) => half.reset(reason),
                SendHalf::Sim(half) => half.reset(reason),
            }
        }
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        self.reset(CloseReason::Cancelled);
    }
}

/// The receiving half of a stream; dropped early, it tells the sender to stop.
#[derive(Debug)]
pub(crate) struct RecvStream {
    half: RecvHalf,
    /// What was read and put back.
    front: Bytes,
    hold: Option<Hold>,
}

#[derive(Debug)]
pub(super) enum RecvHalf {
    Iroh(iroh::RecvStream),
    Sim(sim::RecvStream),
}

impl RecvStream {
    pub(super) fn new(half: RecvHalf) -> Self {
        Self { half, front: Bytes::new(), hold: None }
    }

    pub(super) fn holding(mut self, hold: Hold) -> Self {
        self.hold = Some(hold);
        self
    }

    /// Puts back what was read too much: it is read next.
    pub(super) fn unread(&mut self, bytes: Bytes) {
        // Even an empty slice would keep the memory of the packets that came with it.
        self.front = if bytes.is_empty() { Bytes::new() } else { bytes };
    }

    /// Fills `bufs` with the next chunks and says how many; `None` when the stream has ended.
    ///
    /// Chunks are slices of what arrived; their boundaries mean nothing.
    pub(crate) fn poll_read_chunks(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [Bytes],
    ) -> Poll<Result<Option<usize>, StreamError>> {
        if !self.front.is_empty() && !bufs.is_empty() {
            bufs[0] = std::mem::take(&mut self.front);
            return Poll::Ready(Ok(Some(1)));
        }
        match &mut self.half {
            RecvHalf::Iroh(half) => half.poll_read_chunks(cx, bufs),
            RecvHalf::Sim(half) => half.poll_read_chunks(cx, bufs),
        }
    }

    /// Reads the next chunk. Cancel safe.
    pub(crate) async fn read_chunk(&mut self) -> Result<Option<Bytes>, StreamError> {
        let mut chunk = [Bytes::new()];
        let read = poll_fn(|cx| self.poll_read_chunks(cx, &mut chunk)).await?;
        let [chunk] = chunk;
        Ok(read.map(|_| chunk))
    }

    /// Refuses the rest of the stream and tells the sender why.
    pub(crate) fn stop(&mut self, reason: CloseReason) {
        match &mut self.half {
            RecvHalf::Iroh(half) => half.stop(reason),
            RecvHalf::Sim(half) => half.stop(reason),
        }
    }
}
