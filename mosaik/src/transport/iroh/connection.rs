//! iroh's connections and streams in the transport's own terms.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use iroh::endpoint::{self, ConnectionError, ReadError, VarInt, WriteError};

use crate::{
    id::PeerId,
    transport::{
        close::CloseReason,
        connection::Allowance,
        error::StreamError,
        stream::{self, RecvHalf, SendHalf},
    },
};

#[derive(Clone, Debug)]
pub(in crate::transport) struct Connection(endpoint::Connection);

impl Connection {
    pub(super) fn new(inner: endpoint::Connection) -> Self {
        Self(inner)
    }

    pub(in crate::transport) fn remote_id(&self) -> PeerId {
        self.0.remote_id()
    }

    pub(in crate::transport) fn channel_binding(&self, label: &str) -> [u8; 32] {
        let mut out = [0; 32];
        self.0
            .export_keying_material(&mut out, label.as_bytes(), b"")
            .expect("TLS 1.3 exports 32 bytes once the handshake is complete");
        out
    }

    pub(in crate::transport) async fn open_bi(
        &self,
    ) -> Result<(stream::SendStream, stream::RecvStream), CloseReason> {
        self.0.open_bi().await.map(both).map_err(reason_of)
    }

    pub(in crate::transport) async fn open_uni(&self) -> Result<stream::SendStream, CloseReason> {
        self.0.open_uni().await.map(sending).map_err(reason_of)
    }

    pub(in crate::transport) async fn accept_bi(
        &self,
    ) -> Result<(stream::SendStream, stream::RecvStream), CloseReason> {
        self.0.accept_bi().await.map(both).map_err(reason_of)
    }

    pub(in crate::transport) async fn accept_uni(&self) -> Result<stream::RecvStream, CloseReason> {
        self.0.accept_uni().await.map(receiving).map_err(reason_of)
    }

    pub(in crate::transport) fn allow(&self, allowance: Allowance) {
        self.0.set_max_concurrent_bi_streams(VarInt::from_u32(allowance.bi_streams));
        self.0.set_max_concurrent_uni_streams(VarInt::from_u32(allowance.uni_streams));
        self.0.set_receive_window(allowance.window_bytes.map_or(VarInt::MAX, VarInt::from_u32));
    }

    pub(in crate::transport) fn rtt(&self) -> Option<Duration> {
        self.0.paths().iter().find(|path| path.is_selected()).map(|path| path.rtt())
    }

    pub(in crate::transport) fn close(&self, reason: CloseReason) {
        // On a closed connection it would overwrite the reason that the peer gave.
        if self.is_closed() {
            return;
        }
        self.0.close(VarInt::from_u32(reason.code()), reason.to_string().as_bytes());
    }

    pub(in crate::transport) async fn closed(&self) -> CloseReason {
        reason_of(self.0.closed().await)
    }

    pub(in crate::transport) fn is_closed(&self) -> bool {
        self.0.close_reason().is_some()
    }
}

fn both(
    (send, recv): (endpoint::SendStream, endpoint::RecvStream),
) -> (stream::SendStream, stream::RecvStream) {
    (sending(send), receiving(recv))
}

fn sending(send: endpoint::SendStream) -> stream::SendStream {
    stream::SendStream::new(SendHalf::Iroh(SendStream(send)))
}

fn receiving(recv: endpoint::RecvStream) -> stream::RecvStream {
    stream::RecvStream::new(RecvHalf::Iroh(RecvStream(recv)))
}

#[derive(Debug)]
pub(in crate::transport) struct SendStream(endpoint::SendStream);

impl SendStream {
    pub(in crate::transport) fn poll_write_chunks(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut &mut [Bytes],
    ) -> Poll<Result<usize, StreamError>> {
        // The future is cancel safe and registers the waker with the connection, not with itself.
        pin!(self.0.write_many_chunks(bufs)).poll(cx).map_err(write_error)
    }

    pub(in crate::transport) fn finish(&mut self) {
        // An error says only that the stream is closed already.
        let _ = self.0.finish();
    }

    pub(in crate::transport) fn reset(&mut self, reason: CloseReason) {
        let _ = self.0.reset(VarInt::from_u32(reason.code()));
    }
}

#[derive(Debug)]
pub(in crate::transport) struct RecvStream(endpoint::RecvStream);

impl RecvStream {
    pub(in crate::transport) fn poll_read_chunks(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &mut [Bytes],
    ) -> Poll<Result<Option<usize>, StreamError>> {
        pin!(self.0.read_many_chunks(bufs)).poll(cx).map_err(read_error)
    }

    pub(in crate::transport) fn stop(&mut self, reason: CloseReason) {
        let _ = self.0.stop(VarInt::from_u32(reason.code()));
    }
}

fn write_error(error: WriteError) -> StreamError {
    match error {
        WriteError::Stopped(code) => StreamError::Stopped(reason_of_code(code)),
        WriteError::ConnectionLost(error) => StreamError::Lost(reason_of(error)),
        WriteError::ClosedStream | WriteError::ZeroRttRejected => StreamError::Closed,
    }
}

fn read_error(error: ReadError) -> StreamError {
    match error {
        ReadError::Reset(code) => StreamError::Reset(reason_of_code(code)),
        ReadError::ConnectionLost(error) => StreamError::Lost(reason_of(error)),
        ReadError::ClosedStream | ReadError::ZeroRttRejected => StreamError::Closed,
    }
}

fn reason_of_code(code: VarInt) -> CloseReason {
    u32::try_from(code.into_inner()).map_or(CloseReason::UnexpectedClose, CloseReason::from_code)
}

pub(super) fn reason_of(error: ConnectionError) -> CloseReason {
    match error {
        ConnectionError::ApplicationClosed(close) => reason_of_code(close.error_code),
        ConnectionError::TimedOut | ConnectionError::Reset => CloseReason::TimedOut,
        ConnectionError::LocallyClosed => CloseReason::Cancelled,
        fault => {
            tracing::debug!(%fault, "a connection failed below mosaik");
            CloseReason::Failed
        }
    }
}
