//! A producer as a sink: datums are gathered, and flushed.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::Sink;

use super::{
    Producer, SendError,
    core::{Rejected, Room, Then},
};

impl<D> Sink<D> for Producer<D> {
    type Error = SendError<D>;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.closed {
            return Poll::Ready(Err(SendError::Closed(None)));
        }
        ready!(self.poll_parked(cx))?;
        let this = &mut *self;
        this.handle.core.poll_ready(&mut this.key, cx).map_err(|_| SendError::Closed(None))
    }

    fn start_send(mut self: Pin<&mut Self>, datum: D) -> Result<(), Self::Error> {
        if self.closed {
            return Err(SendError::Closed(Some(datum)));
        }
        // A flush that was given up did not know of this one.
        self.flushing = None;
        let core = &self.handle.core;
        let sent = self.with_encoded(&datum, |frame| {
            core.push(frame, Room::Nobody, Then::Gather)
                .map_err(|rejected| (rejected, frame.split()))
        });
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err((Rejected::Closed, _))) => Err(SendError::Closed(Some(datum))),
            // It was online when this was promised: the datum goes out when it is again.
            Ok(Err((Rejected::Offline | Rejected::Full, frame))) => {
                self.parked = Some(frame);
                Ok(())
            }
            Err(unfit) => Err(unfit.with(datum)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = &mut *self;
        ready!(this.poll_parked(cx))?;
        let written = ready!(this.handle.core.poll_written(&mut this.flushing, &mut this.key, cx));
        Poll::Ready(if written { Ok(()) } else { Err(SendError::Closed(None)) })
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.closed = true;
        Poll::Ready(Ok(()))
    }
}

impl<D> Producer<D> {
    /// Passes on what the sink took before the producer went offline.
    fn poll_parked(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<D>>> {
        while let Some(frame) = &mut self.parked {
            match self.handle.core.push(frame, Room::Nobody, Then::Gather) {
                Ok(()) => {
                    self.parked = None;
                    self.flushing = None;
                }
                Err(Rejected::Closed) => return Poll::Ready(Err(SendError::Closed(None))),
                Err(Rejected::Offline | Rejected::Full) => {
                    if ready!(self.handle.core.poll_ready(&mut self.key, cx)).is_err() {
                        return Poll::Ready(Err(SendError::Closed(None)));
                    }
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
