//! How a node reaches the other members.

use std::{pin::Pin, time::Duration};

use bytes::Bytes;
use futures::{Sink, Stream, future::BoxFuture};

use crate::groups::member::MemberId;

/// Where messages of a long-lived stream go, whole and in order. Flushing must send what was given;
/// it need not wait until it has arrived.
pub(crate) type MessageSink = Pin<Box<dyn Sink<Bytes, Error = WireError> + Send>>;

/// Where they come from. It ends when the other side has finished.
pub(crate) type MessageSource = Pin<Box<dyn Stream<Item = Result<Bytes, WireError>> + Send>>;

/// Carries requests to members. It delivers each to the node that has the id, or fails; that the
/// node is the right one is checked by the receiving node once more.
pub(crate) trait Wire: Send + Sync + 'static {
    /// A small request and its answer: votes and the like. The other side gives it to
    /// [`Node::answer`](super::Node::answer).
    fn request(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Bytes, WireError>>;

    /// The same for a heartbeat, on a lane that nothing else delays.
    fn heartbeat(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Bytes, WireError>>;

    /// Opens a stream, both ways; the other side gives it to
    /// [`Node::serve_append`](super::Node::serve_append). The limit is for opening it.
    fn open_append(
        &self,
        to: MemberId,
        limit: Duration,
    ) -> BoxFuture<'static, Result<(MessageSink, MessageSource), WireError>>;

    /// Sends a snapshot; the other side gives it to [`Node::install`](super::Node::install). The
    /// limit is for each part of the way: it ends a transfer that stands still, not a long one.
    fn snapshot(
        &self,
        to: MemberId,
        head: Bytes,
        body: Bytes,
        progress_limit: Duration,
    ) -> BoxFuture<'static, Result<Bytes, WireError>>;
}

/// A message did not get there, or its answer did not come back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// There is no way to this member now, or it is gone: it is not tried again at once.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// The way broke; another attempt may do.
    #[error("broken: {0}")]
    Broken(String),
    /// No answer in time.
    #[error("timed out")]
    Timeout,
}
