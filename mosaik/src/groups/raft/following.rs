//! The follower's end of a stream of appends: requests go to openraft as they come, answers go back
//! in the same order. One future does both.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures::{FutureExt, SinkExt, future::BoxFuture};
use openraft::raft::AppendEntriesResponse;

use super::{
    append::decode_append,
    contact::Heard,
    errors::AnswerError,
    messages::{AppendAnswer, encode},
    node::Raft,
    type_config::{AppendRequest, AppendResult, EntryId, Types},
    wire::{MessageSink, MessageSource},
};

/// So many requests of one stream wait for openraft.
const MAX_PENDING: usize = 64;

type Response = AppendEntriesResponse<Types>;

/// A request that openraft has.
struct Pending {
    previous: Option<EntryId>,
    last: Option<EntryId>,
    response: BoxFuture<'static, Result<Response, AnswerError>>,
}

impl Pending {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<AppendResult, AnswerError>> {
        let response = ready!(self.response.as_mut().poll(cx))?;
        if response.is_conflict() && self.previous.is_none() {
            // Nothing can be in conflict with the beginning of a log.
            return Poll::Ready(Err(AnswerError::Malformed));
        }
        Poll::Ready(Ok(response.into_stream_result(self.previous, self.last)))
    }
}

/// What is read and not answered yet.
pub(super) struct Following {
    raft: Raft,
    source: MessageSource,
    heard: Arc<Heard>,
    /// No request comes any more, perhaps because of this.
    ended: Option<Result<(), AnswerError>>,
    pending: VecDeque<Pending>,
}

impl Following {
    pub(super) fn new(raft: Raft, source: MessageSource, heard: Arc<Heard>) -> Self {
        Self { raft, source, heard, ended: None, pending: VecDeque::new() }
    }

    /// Answers until the requests end, or one is refused.
    pub(super) async fn serve(mut self, sink: &mut MessageSink) -> Result<(), AnswerError> {
        while let Some(answer) = self.next().await {
            let mut refused = feed(sink, answer?).await?;
            // What else is ready goes with it.
            while !refused && let Some(Some(answer)) = self.next().now_or_never() {
                refused = feed(sink, answer?).await?;
            }
            sink.flush().await?;
            if refused {
                return Ok(());
            }
        }
        self.ended.unwrap_or(Ok(()))
    }

    async fn next(&mut self) -> Option<Result<AppendResult, AnswerError>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<AppendResult, AnswerError>>> {
        self.take_requests(cx);
        match self.pending.front_mut() {
            None if self.ended.is_some() => Poll::Ready(None),
            None => Poll::Pending,
            Some(first) => {
                let answer = ready!(first.poll(cx));
                self.pending.pop_front();
                Poll::Ready(Some(answer))
            }
        }
    }

    fn take_requests(&mut self, cx: &mut Context<'_>) {
        while self.ended.is_none() && self.pending.len() < MAX_PENDING {
            match self.source.as_mut().poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(None) => self.ended = Some(Ok(())),
                Poll::Ready(Some(Err(error))) => self.ended = Some(Err(error.into())),
                Poll::Ready(Some(Ok(message))) => match decode_append(message) {
                    Ok(request) => self.submit(request, cx),
                    Err(error) => self.ended = Some(Err(error)),
                },
            }
        }
    }

    /// The first poll puts the request into openraft's queue: their order is that of the stream.
    fn submit(&mut self, request: AppendRequest, cx: &mut Context<'_>) {
        self.heard.now();
        let previous = request.prev_log_id;
        let last = request.entries.last().map(|entry| entry.log_id).or(previous);
        let raft = self.raft.clone();
        let response = async move { raft.append_entries(request).await };
        let mut response: BoxFuture<'static, _> =
            response.map(|response| response.map_err(|_| AnswerError::Gone)).boxed();
        let response = match response.as_mut().poll(cx) {
            Poll::Ready(response) => std::future::ready(response).boxed(),
            Poll::Pending => response,
        };
        self.pending.push_back(Pending { previous, last, response });
    }
}

/// Says whether it was a refusal, which is the last answer.
async fn feed(sink: &mut MessageSink, answer: AppendResult) -> Result<bool, AnswerError> {
    let refused = answer.is_err();
    sink.feed(encode(&AppendAnswer::from(answer))).await?;
    Ok(refused)
}
