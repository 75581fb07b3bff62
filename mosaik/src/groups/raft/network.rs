//! The sending side: openraft's requests through the wire.

use std::{
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use openraft::{
    OptionalSend, RPCTypes, RaftNetworkFactory,
    base::{BoxFuture, BoxStream},
    errors::{NetworkError, ReplicationClosed, StreamingError, Timeout, Unreachable},
    network::{
        Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption,
    },
    raft::{
        SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};

use super::{
    append,
    limits::{Limits, Timing},
    messages::{Address, Answer, Request, SnapshotHead, WireMembership, WireVote, decode, encode},
    replication::{Lane, Replication},
    snapshot::{Body, Snapshot},
    type_config::{AppendRequest, AppendResult, RpcError, Types, Vote},
    wire::{Wire, WireError},
};
use crate::groups::member::{IncarnationId, MemberId};

/// How long to wait before each further attempt with a member that is unreachable: from half a
/// heartbeat up to the longest election time.
fn backoff(timing: &Timing) -> Backoff {
    let most = timing.election_max;
    let first = timing.heartbeat / 2;
    Backoff::new(std::iter::successors(Some(first), move |last| Some((*last * 2).min(most))))
}

/// Makes a client for each member that is written to.
pub(super) struct Network {
    pub(super) me: MemberId,
    pub(super) incarnation: IncarnationId,
    pub(super) timing: Timing,
    pub(super) limits: Limits,
    pub(super) wire: Arc<dyn Wire>,
}

impl Network {
    fn client(&self, to: MemberId, heartbeats: bool) -> Client {
        Client {
            me: self.me,
            address: Address { incarnation: self.incarnation, to },
            timing: self.timing,
            limits: self.limits,
            wire: self.wire.clone(),
            heartbeats,
            lane: Mutex::new(None),
        }
    }
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: MemberId, _node: &()) -> Client {
        self.client(target, false)
    }

    async fn new_heartbeat_client(&mut self, target: MemberId, _node: &()) -> Client {
        self.client(target, true)
    }
}

/// Writes to one member. Nothing is opened before it is needed.
pub(super) struct Client {
    me: MemberId,
    address: Address,
    timing: Timing,
    limits: Limits,
    wire: Arc<dyn Wire>,
    /// Its appends are heartbeats.
    heartbeats: bool,
    /// A stream of appends on which everything has been answered. The lock is only there to make
    /// the client `Sync`.
    lane: Mutex<Option<Lane>>,
}

impl Client {
    async fn ask(
        &self,
        request: Request,
        kind: RPCTypes,
        limit: Duration,
    ) -> Result<Answer, RpcError> {
        let request = encode(&(self.address, request));
        let heartbeat = kind == RPCTypes::AppendEntries;
        let asked = if heartbeat {
            self.wire.heartbeat(self.address.to, request, limit)
        } else {
            self.wire.request(self.address.to, request, limit)
        };
        let answer = asked.await.map_err(|error| self.error(error, kind, limit))?;
        decode(&answer).map_err(|_| malformed())
    }

    fn error(&self, error: WireError, kind: RPCTypes, limit: Duration) -> RpcError {
        rpc_error(error, kind, self.me, self.address.to, limit)
    }

    async fn heartbeat(
        &self,
        request: AppendRequest,
        limit: Duration,
    ) -> Result<AppendResult, RpcError> {
        let heartbeat = Request::Heartbeat(append::head(&request));
        match self.ask(heartbeat, RPCTypes::AppendEntries, limit).await? {
            Answer::Heartbeat(answer) => Ok(answer.into()),
            Answer::Vote(_) | Answer::Transfer(_) => Err(malformed()),
        }
    }

    async fn ask_for_vote(
        &self,
        request: Request,
        limit: Duration,
    ) -> Result<VoteResponse<Types>, RpcError> {
        match self.ask(request, RPCTypes::Vote, limit).await? {
            Answer::Vote(answer) => Ok(answer.into()),
            Answer::Heartbeat(_) | Answer::Transfer(_) => Err(malformed()),
        }
    }

    /// The stream that the last session left, or a new one.
    async fn lane(&mut self) -> Result<Lane, RpcError> {
        let kept = self.lane.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(lane) = kept {
            return Ok(lane);
        }
        let limit = self.timing.election_min;
        let opened = self.wire.open_append(self.address.to, limit).await;
        let (sink, source) =
            opened.map_err(|error| self.error(error, RPCTypes::AppendEntries, limit))?;
        Ok(Lane::new(sink, source, self.address))
    }
}

pub(super) fn rpc_error(
    error: WireError,
    action: RPCTypes,
    id: MemberId,
    target: MemberId,
    timeout: Duration,
) -> RpcError {
    match error {
        WireError::Unreachable(why) => Unreachable::from_string(why).into(),
        WireError::Broken(why) => NetworkError::from_string(why).into(),
        WireError::Timeout => Timeout { action, id, target, timeout }.into(),
    }
}

fn malformed() -> RpcError {
    Unreachable::from_string("a malformed answer").into()
}

impl NetBackoff<Types> for Client {
    fn backoff(&self) -> Option<Backoff> {
        Some(backoff(&self.timing))
    }
}

impl NetStreamAppend<Types> for Client {
    fn stream_append<'s, S>(
        &'s mut self,
        mut input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<AppendResult, RpcError>>, RpcError>>
    where
        S: Stream<Item = AppendRequest> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            if self.heartbeats {
                let client = &*self;
                // Openraft waits for the end of the answers: they end with the requests.
                let answers = input.then(move |request| {
                    let limit = option.hard_ttl().min(client.timing.heartbeat);
                    async move { client.heartbeat(request, limit).await }
                });
                let answers: BoxStream<'s, _> = Box::pin(answers);
                return Ok(answers);
            }
            // Openraft waits within the requests before it tries somebody again who could not be
            // reached: without the first there is nothing to open a lane for.
            let Some(first) = input.next().await else {
                let none: BoxStream<'s, _> = Box::pin(stream::empty());
                return Ok(none);
            };
            let input = stream::iter([first]).chain(input);
            let lane = self.lane().await?;
            let limit = self.timing.append_limit();
            let (me, to) = (self.me, self.address.to);
            let most = self.limits.appends_in_flight.max(1);
            let slot = self.lane.get_mut().unwrap_or_else(PoisonError::into_inner);
            let answers = Replication::new(input, lane, slot, most, limit).map(move |answer| {
                answer.map_err(|error| rpc_error(error, RPCTypes::AppendEntries, me, to, limit))
            });
            let answers: BoxStream<'s, _> = Box::pin(answers);
            Ok(answers)
        })
    }
}

impl NetVote<Types> for Client {
    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RpcError> {
        self.ask_for_vote(Request::Vote((&rpc).into()), option.hard_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RpcError> {
        self.ask_for_vote(Request::PreVote((&rpc).into()), option.hard_ttl()).await
    }
}

impl NetTransferLeader<Types> for Client {
    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RpcError> {
        let request = Request::Transfer((&req).into());
        match self.ask(request, RPCTypes::TransferLeader, option.hard_ttl()).await? {
            Answer::Transfer(answer) => Ok(answer.into()),
            Answer::Heartbeat(_) | Answer::Vote(_) => Err(malformed()),
        }
    }
}

impl NetSnapshot<Types> for Client {
    type SnapshotData = Body;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let Snapshot { meta, snapshot: body } = snapshot;
        let head = SnapshotHead {
            address: self.address,
            vote: (&vote).into(),
            last: meta.last_log_id.map(Into::into),
            membership_at: meta.last_membership.log_id().map(Into::into),
            membership: WireMembership::from(meta.last_membership.membership()),
            index: body.index,
            hash: body.hash,
            len: body.bytes.len() as u64,
        };
        let limit = option.hard_ttl();
        let sent = self.wire.snapshot(self.address.to, encode(&head), body.bytes, limit);
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            answer = sent => answer
                .map_err(|error| self.error(error, RPCTypes::InstallSnapshot, limit))
                .and_then(answered)
                .map_err(Into::into),
        }
    }
}

fn answered(answer: Bytes) -> Result<SnapshotResponse<Types>, RpcError> {
    let vote: WireVote = decode(&answer).map_err(|_| malformed())?;
    Ok(SnapshotResponse::new(vote.into()))
}
