//! The Raft side of a group, as bonds see it.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures::future::BoxFuture;

use super::append::{AppendSink, AppendSource};
use crate::groups::member::MemberId;

/// There is no Raft node for this (any more), or it has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Answers what other members' Raft nodes ask of this one. What is meant for another incarnation or
/// another member is told by the messages themselves, and answered with [`Gone`].
pub(crate) trait Served: Send + Sync + 'static {
    /// A vote, a vote in advance, a handing over of leadership, a heartbeat.
    fn answer(&self, request: Bytes) -> BoxFuture<'static, Result<Bytes, Gone>>;

    /// Takes appends until one side ends them.
    fn serve_append(&self, source: AppendSource, sink: AppendSink) -> BoxFuture<'static, ()>;

    /// Whether a snapshot of this length with this head is to be taken from this member. It is asked
    /// before anything of it is read.
    fn admits(&self, from: MemberId, head: &[u8], length: u64) -> bool;

    /// Takes over a snapshot.
    fn install(&self, head: Bytes, body: Bytes) -> BoxFuture<'static, Result<Bytes, Gone>>;
}

/// The Raft node that runs for a group now.
pub(super) struct Serving(pub(super) Arc<dyn Served>);

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serving")
    }
}
