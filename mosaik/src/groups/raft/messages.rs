//! Requests, answers and heads of snapshots, as they travel. Openraft's own messages have no
//! encoding that it keeps from version to version, and no bounds.

use bytes::Bytes;
use openraft::raft::{
    StreamAppendError, TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse,
    VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use super::{
    errors::AnswerError,
    type_config::{
        AppendResult, EntryId, LeaderId, Membership, SnapshotMeta, StoredMembership, Types, Vote,
        entry_id,
    },
};
use crate::groups::{
    index::Index,
    member::{IncarnationId, MemberId},
};

/// No group is near that; a list in a message has at most so many members.
const MAX_MEMBERS: usize = 4096;
/// Openraft joins two sets of voters at a time.
const MAX_VOTER_SETS: usize = 16;

/// Who a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Address {
    pub(super) incarnation: IncarnationId,
    pub(super) to: MemberId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireVote {
    term: u64,
    of: MemberId,
    committed: bool,
}

impl WireVote {
    pub(super) fn term(&self) -> u64 {
        self.term
    }

    /// Who leads in that term, or would.
    pub(super) fn leader(&self) -> MemberId {
        self.of
    }
}

impl From<&Vote> for WireVote {
    fn from(vote: &Vote) -> Self {
        let LeaderId { term, voted_for: of } = vote.leader_id;
        Self { term, of, committed: vote.committed }
    }
}

impl From<WireVote> for Vote {
    fn from(vote: WireVote) -> Self {
        let leader_id = LeaderId { term: vote.term, voted_for: vote.of };
        Self { leader_id, committed: vote.committed }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireEntryId {
    pub(super) term: u64,
    pub(super) index: u64,
}

impl From<EntryId> for WireEntryId {
    fn from(id: EntryId) -> Self {
        Self { term: id.committed_leader_id().term, index: id.index }
    }
}

impl From<WireEntryId> for EntryId {
    fn from(id: WireEntryId) -> Self {
        entry_id(id.term, id.index)
    }
}

/// The beginning of an append, which its entries follow; a heartbeat has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AppendHead {
    pub(super) vote: WireVote,
    pub(super) previous: Option<WireEntryId>,
    pub(super) committed: Option<WireEntryId>,
    pub(super) entries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum AppendAnswer {
    Matching(Option<WireEntryId>),
    Conflict(WireEntryId),
    HigherVote(WireVote),
}

impl From<AppendResult> for AppendAnswer {
    fn from(result: AppendResult) -> Self {
        match result {
            Ok(matching) => Self::Matching(matching.map(Into::into)),
            Err(StreamAppendError::Conflict(at)) => Self::Conflict(at.into()),
            Err(StreamAppendError::HigherVote(vote)) => Self::HigherVote((&vote).into()),
        }
    }
}

impl From<AppendAnswer> for AppendResult {
    fn from(answer: AppendAnswer) -> Self {
        match answer {
            AppendAnswer::Matching(matching) => Ok(matching.map(Into::into)),
            AppendAnswer::Conflict(at) => Err(StreamAppendError::Conflict(at.into())),
            AppendAnswer::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote.into())),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireVoteRequest {
    vote: WireVote,
    last: Option<WireEntryId>,
    /// The leader has asked for it: it need not be gone.
    transfer: bool,
}

impl From<&VoteRequest<Types>> for WireVoteRequest {
    fn from(request: &VoteRequest<Types>) -> Self {
        Self {
            vote: (&request.vote).into(),
            last: request.last_log_id.map(Into::into),
            transfer: request.leadership_transfer,
        }
    }
}

impl From<WireVoteRequest> for VoteRequest<Types> {
    fn from(request: WireVoteRequest) -> Self {
        let mut made = Self::new(request.vote.into(), request.last.map(Into::into));
        made.leadership_transfer = request.transfer;
        made
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireVoteAnswer {
    vote: WireVote,
    granted: bool,
    last: Option<WireEntryId>,
}

impl From<&VoteResponse<Types>> for WireVoteAnswer {
    fn from(answer: &VoteResponse<Types>) -> Self {
        Self {
            vote: (&answer.vote).into(),
            granted: answer.vote_granted,
            last: answer.last_log_id.map(Into::into),
        }
    }
}

impl From<WireVoteAnswer> for VoteResponse<Types> {
    fn from(answer: WireVoteAnswer) -> Self {
        Self::new(Vote::from(answer.vote), answer.last.map(Into::into), answer.granted)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireTransfer {
    from: WireVote,
    to: MemberId,
    last: Option<WireEntryId>,
}

impl From<&TransferLeaderRequest<Types>> for WireTransfer {
    fn from(request: &TransferLeaderRequest<Types>) -> Self {
        Self {
            from: request.from_leader().into(),
            to: *request.to_node_id(),
            last: request.last_log_id().map(|id| (*id).into()),
        }
    }
}

impl From<WireTransfer> for TransferLeaderRequest<Types> {
    fn from(request: WireTransfer) -> Self {
        Self::new(request.from.into(), request.to, request.last.map(Into::into))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum TransferAnswer {
    Taken,
    VoteChanged { expected: WireVote, actual: WireVote },
    LogBehind { expected: Option<WireEntryId>, actual: Option<WireEntryId> },
}

impl From<TransferLeaderResponse<Types>> for TransferAnswer {
    fn from(answer: TransferLeaderResponse<Types>) -> Self {
        match answer {
            Ok(()) => Self::Taken,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                Self::VoteChanged { expected: (&expected).into(), actual: (&actual).into() }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => Self::LogBehind {
                expected: expected.map(Into::into),
                actual: actual.map(Into::into),
            },
        }
    }
}

impl From<TransferAnswer> for TransferLeaderResponse<Types> {
    fn from(answer: TransferAnswer) -> Self {
        match answer {
            TransferAnswer::Taken => Ok(()),
            TransferAnswer::VoteChanged { expected, actual } => {
                let (expected, actual) = (expected.into(), actual.into());
                Err(TransferLeaderError::VoteChanged { expected, actual })
            }
            TransferAnswer::LogBehind { expected, actual } => {
                let (expected, actual) = (expected.map(Into::into), actual.map(Into::into));
                Err(TransferLeaderError::LogNotFlushed { expected, actual })
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Request {
    Vote(WireVoteRequest),
    PreVote(WireVoteRequest),
    Transfer(WireTransfer),
    Heartbeat(AppendHead),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    Vote(WireVoteAnswer),
    Transfer(TransferAnswer),
    Heartbeat(AppendAnswer),
}

/// Who votes, and who listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct WireMembership {
    voters: Vec<Vec<MemberId>>,
    members: Vec<MemberId>,
}

impl From<&Membership> for WireMembership {
    fn from(membership: &Membership) -> Self {
        let voters = membership.get_joint_config().iter();
        Self {
            voters: voters.map(|set| set.iter().copied().collect()).collect(),
            members: membership.nodes().map(|(member, ())| *member).collect(),
        }
    }
}

impl TryFrom<WireMembership> for Membership {
    type Error = AnswerError;

    fn try_from(membership: WireMembership) -> Result<Self, AnswerError> {
        let sets = membership.voters.len() <= MAX_VOTER_SETS;
        let lists = membership.voters.iter().chain([&membership.members]);
        if !sets || lists.map(Vec::len).any(|len| len > MAX_MEMBERS) {
            return Err(AnswerError::Malformed);
        }
        let voters = membership.voters.into_iter().map(|set| set.into_iter().collect()).collect();
        let members: std::collections::BTreeSet<_> = membership.members.into_iter().collect();
        Self::new(voters, members).map_err(|_| AnswerError::Malformed)
    }
}

/// What goes ahead of a snapshot's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotHead {
    pub(super) address: Address,
    pub(super) vote: WireVote,
    pub(super) last: Option<WireEntryId>,
    pub(super) membership_at: Option<WireEntryId>,
    pub(super) membership: WireMembership,
    /// The number of the last command in it.
    pub(super) index: Index,
    pub(super) hash: [u8; 32],
    pub(super) len: u64,
}

impl SnapshotHead {
    pub(super) fn meta(&self) -> Result<SnapshotMeta, AnswerError> {
        let membership = self.membership.clone().try_into()?;
        Ok(SnapshotMeta {
            last_log_id: self.last.map(Into::into),
            last_membership: StoredMembership::new(self.membership_at.map(Into::into), membership),
        })
    }
}

/// The messages above always encode.
pub(super) fn encode<T: Serialize>(message: &T) -> Bytes {
    postcard::to_allocvec(message).map(Bytes::from).unwrap_or_default()
}

/// Nothing may follow it. Lists are not longer than what is left of the bytes, so that nothing is
/// allocated that was not sent.
pub(super) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, AnswerError> {
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok(_) | Err(_) => Err(AnswerError::Malformed),
    }
}
