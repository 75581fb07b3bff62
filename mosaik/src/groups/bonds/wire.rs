//! How Raft reaches the other members: over their bonds.

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;

use super::{
    append,
    bond::put,
    group::Group,
    line::Line,
    protocol::{Head, Kind},
    transfer,
};
use crate::groups::{
    member::MemberId,
    raft::{MessageSink, MessageSource, Wire, WireError},
};

/// The way to the other members of one group. Clones share it.
#[derive(Clone)]
pub(crate) struct GroupWire(Weak<Group>);

impl GroupWire {
    /// The group holds what holds this.
    pub(super) fn new(group: &Arc<Group>) -> Self {
        Self(Arc::downgrade(group))
    }

    fn find(&self, to: &MemberId) -> Result<(Arc<Group>, Arc<Line>), WireError> {
        let found = self.0.upgrade().and_then(|group| {
            let line = group.line_of(to)?;
            Some((group, line))
        });
        found.ok_or_else(|| WireError::Unreachable(format!("no bond with {to}")))
    }
}

impl Wire for GroupWire {
    fn request(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Bytes, WireError>> {
        let found = self.find(&to);
        Box::pin(async move { put(found?.1, |id| Head::Request { id }, request, limit).await })
    }

    fn heartbeat(
        &self,
        to: MemberId,
        request: Bytes,
        limit: Duration,
    ) -> BoxFuture<'static, Result<Bytes, WireError>> {
        let found = self.find(&to);
        Box::pin(async move {
            let (group, line) = found?;
            let beats = group.shared.beats(&line.link);
            drop(group);
            beats.ask(line.their_number, request, limit).await
        })
    }

    fn open_append(
        &self,
        to: MemberId,
        limit: Duration,
    ) -> BoxFuture<'static, Result<(MessageSink, MessageSource), WireError>> {
        let found = self.find(&to);
        Box::pin(async move {
            let (sink, source) = append::open(found?.1, limit).await?;
            Ok((Box::pin(sink) as MessageSink, Box::pin(source) as MessageSource))
        })
    }

    fn snapshot(
        &self,
        to: MemberId,
        head: Bytes,
        body: Bytes,
        progress_limit: Duration,
    ) -> BoxFuture<'static, Result<Bytes, WireError>> {
        let found = self.find(&to);
        Box::pin(async move {
            transfer::give(found?.1, Kind::Snapshot, head, body, progress_limit).await
        })
    }
}

impl fmt::Debug for GroupWire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupWire")
    }
}
