//! The receiving side: what other members' nodes ask of this one.

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use openraft::raft::{TransferLeaderRequest, VoteRequest};

use super::{
    append::request as append_request,
    errors::AnswerError,
    following::Following,
    messages::{Address, Answer, Request, SnapshotHead, WireVote, decode, encode},
    node::Node,
    snapshot::{Body, Snapshot},
    type_config::Types,
    wire::{MessageSink, MessageSource, WireError},
};
use crate::groups::member::MemberId;

/// A snapshot up to this size is verified where it is received, a larger one on another thread.
const VERIFIED_IN_PLACE: usize = 64 << 10;

impl From<WireError> for AnswerError {
    fn from(_: WireError) -> Self {
        Self::Broken
    }
}

impl Node {
    /// Answers what came by [`Wire::request`](super::Wire::request) or
    /// [`Wire::heartbeat`](super::Wire::heartbeat).
    pub(crate) async fn answer(&self, request: Bytes) -> Result<Bytes, AnswerError> {
        let (address, request): (Address, Request) = decode(&request)?;
        self.check(&address)?;
        let answer = match request {
            Request::Heartbeat(head) => {
                let heartbeat = append_request(&head, Vec::new());
                let previous = heartbeat.prev_log_id;
                let answer = self.raft().append_entries(heartbeat).await;
                let answer = answer.map_err(|_| AnswerError::Gone)?;
                if answer.is_conflict() && previous.is_none() {
                    return Err(AnswerError::Malformed);
                }
                let result = answer.into_stream_result(previous, previous);
                if result.is_ok() {
                    self.heard().now();
                }
                Answer::Heartbeat(result.into())
            }
            Request::Vote(asked) => {
                let answer = self.raft().vote(VoteRequest::from(asked)).await;
                Answer::Vote((&answer.map_err(|_| AnswerError::Gone)?).into())
            }
            Request::PreVote(asked) => {
                let answer = self.raft().pre_vote(VoteRequest::from(asked)).await;
                Answer::Vote((&answer.map_err(|_| AnswerError::Gone)?).into())
            }
            Request::Transfer(asked) => {
                let asked = TransferLeaderRequest::<Types>::from(asked);
                let answer = self.raft().handle_transfer_leader(asked).await;
                Answer::Transfer(answer.map_err(|_| AnswerError::Gone)?.into())
            }
        };
        Ok(encode(&answer))
    }

    /// Serves a stream of appends, as [`Wire::open_append`](super::Wire::open_append) opens one,
    /// until the leader ends it or has lost its leadership. Dropping the future ends it as well.
    pub(crate) async fn serve_append(
        &self,
        source: MessageSource,
        sink: MessageSink,
    ) -> Result<(), AnswerError> {
        let served = self.tasks().token().run_until_cancelled(self.follow(source, sink));
        served.await.unwrap_or(Err(AnswerError::Gone))
    }

    async fn follow(
        &self,
        mut source: MessageSource,
        mut sink: MessageSink,
    ) -> Result<(), AnswerError> {
        let greeting = source.next().await.ok_or(AnswerError::Broken)??;
        self.check(&decode(&greeting)?)?;
        let heard = self.heard().clone();
        Following::new(self.raft().clone(), source, heard).serve(&mut sink).await?;
        sink.close().await?;
        Ok(())
    }

    /// Whether a snapshot with this head would be taken from this member: it is for this node, and
    /// from whoever leads in the term that it names, which is not over as far as is known here.
    /// To be asked before the snapshot is read.
    pub(crate) fn admits(
        &self,
        from: MemberId,
        head: &[u8],
        length: u64,
    ) -> Result<(), AnswerError> {
        let head: SnapshotHead = decode(head)?;
        self.check(&head.address)?;
        head.meta()?;
        if head.len != length || head.vote.leader() != from {
            return Err(AnswerError::Malformed);
        }
        let view = self.view();
        let (term, leader) = {
            let view = view.borrow();
            (view.term.0, view.leader)
        };
        let is_over = head.vote.term() < term
            || head.vote.term() == term && leader.is_some_and(|leader| leader != from);
        if is_over { Err(AnswerError::Gone) } else { Ok(()) }
    }

    /// Takes a snapshot, as [`Wire::snapshot`](super::Wire::snapshot) sends one, if it is whole.
    pub(crate) async fn install(&self, head: Bytes, body: Bytes) -> Result<Bytes, AnswerError> {
        let head: SnapshotHead = decode(&head)?;
        self.check(&head.address)?;
        let meta = head.meta()?;
        if head.len != body.len() as u64 || self.hash(body.clone()).await != Some(head.hash) {
            return Err(AnswerError::Malformed);
        }
        if let Some(last) = head.last {
            // The log is purged to there before it has any entry: it must know how many commands
            // that is.
            self.log().tell(last.index, head.index);
        }
        let body = Body { bytes: body, hash: head.hash, index: head.index };
        let snapshot = Snapshot { meta, snapshot: body };
        let installed = self.raft().install_full_snapshot(head.vote.into(), snapshot).await;
        let answer = installed.map_err(|_| AnswerError::Gone)?;
        Ok(encode(&WireVote::from(&answer.vote)))
    }

    async fn hash(&self, body: Bytes) -> Option<[u8; 32]> {
        if body.len() <= VERIFIED_IN_PLACE {
            return Some(*blake3::hash(&body).as_bytes());
        }
        self.tasks().blocking("raft-verify", move || *blake3::hash(&body).as_bytes()).await
    }

    fn check(&self, address: &Address) -> Result<(), AnswerError> {
        if *address == self.address() { Ok(()) } else { Err(AnswerError::Gone) }
    }
}
