//! What openraft is told about our types, and names for what it makes of them.

use std::fmt;

use openraft::{
    EntryPayload, LogId, OptionalSend, RaftTypeConfig,
    impls::{BoxedErrorSource, InlineBatch},
    raft::{ClientWriteResult, responder::Responder},
    vote::leader_id_std,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::runtime::Runtime;
use crate::groups::{
    index::{Cursor, Term},
    member::MemberId,
    state::Item,
};

/// One for all groups, whatever they replicate: openraft is compiled once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Types;

impl RaftTypeConfig for Types {
    type D = Logged;
    type R = ();
    type NodeId = MemberId;
    // Where a member is reached is looked up by its id at each attempt.
    type Node = ();
    type Term = u64;
    // At most one leader in a term, so that a log id is 16 bytes.
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = Runtime;
    type Responder<T>
        = Callback<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = BoxedErrorSource;
}

pub(super) type LeaderId = leader_id_std::LeaderId<u64, MemberId>;
pub(super) type CommittedLeader = leader_id_std::CommittedLeaderId<u64>;
pub(super) type Vote = openraft::Vote<LeaderId>;
pub(super) type EntryId = LogId<CommittedLeader>;
pub(super) type Payload = EntryPayload<Logged, MemberId, ()>;
pub(super) type Entry = openraft::Entry<CommittedLeader, Payload>;
pub(super) type Membership = openraft::Membership<MemberId, ()>;
pub(super) type StoredMembership = openraft::StoredMembership<CommittedLeader, MemberId, ()>;
pub(super) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeader, MemberId, ()>;
pub(super) type AppendRequest = openraft::raft::AppendEntriesRequest<Types>;
pub(super) type AppendResult = openraft::raft::StreamAppendResult<Types>;
pub(super) type RpcError = openraft::errors::RPCError<Types>;
pub(super) type WriteResult = ClientWriteResult<Types>;

pub(super) fn entry_id(term: u64, index: u64) -> EntryId {
    EntryId::new_term_index(term, index)
}

pub(super) fn term_of(id: &EntryId) -> Term {
    Term(id.committed_leader_id().term)
}

/// An item on its way into the log, and who waits at the leader for its place there. A copy, as any
/// that is read from the log, is without.
#[derive(Serialize, Deserialize)]
pub(super) struct Logged {
    pub(super) item: Item,
    #[serde(skip)]
    pub(super) appended: Option<oneshot::Sender<Cursor>>,
}

impl Logged {
    pub(super) fn new(item: Item) -> Self {
        Self { item, appended: None }
    }
}

impl Clone for Logged {
    fn clone(&self) -> Self {
        Self::new(self.item.clone())
    }
}

impl fmt::Debug for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.item, f)
    }
}

impl fmt::Display for Logged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.item, f)
    }
}

/// Called with what became of a proposal, once it is applied here or refused.
pub(super) struct Callback<T>(pub(super) Box<dyn FnOnce(T) + Send>);

impl<T: OptionalSend + 'static> Responder<Types, T> for Callback<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}
