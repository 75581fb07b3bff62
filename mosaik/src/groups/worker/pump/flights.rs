//! What is under way into the log.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{FutureExt, Stream, StreamExt, future::BoxFuture, stream::FuturesUnordered};

use crate::groups::{
    bonds::Reply,
    calls::Batch,
    index::Cursor,
    raft::{Proposal, Refusal},
    state::EncodedRun,
    worker::messages::Answer,
};

/// The calls in one entry: this node's first, then those of others.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) own: Option<Batch>,
    pub(super) others: Vec<(EncodedRun, Reply)>,
}

impl Parts {
    /// How many commands there are.
    pub(super) fn commands(&self) -> u64 {
        let own = self.own.iter().map(|batch| &batch.run);
        let others = self.others.iter().map(|(run, _)| run);
        own.chain(others).map(|run| u64::from(run.commands())).sum()
    }

    pub(super) fn runs(&self) -> Vec<EncodedRun> {
        let own = self.own.iter().map(|batch| &batch.run);
        own.chain(self.others.iter().map(|(run, _)| run)).cloned().collect()
    }
}

/// Something has come of what was under way.
#[derive(Debug)]
pub(super) enum Landed {
    /// An entry was appended, its last command at this place; or not.
    Appended(Parts, Result<(Cursor, Proposal), Refusal>),
    /// It was committed and applied; or it is not known to be.
    Committed(Result<Cursor, Refusal>),
    /// The leader has answered a message; or it has not.
    Answered(Batch, Option<Answer>),
}

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Flights(FuturesUnordered<BoxFuture<'static, Landed>>);

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn proposed(&mut self, parts: Parts, mut proposal: Proposal) {
        let landing = async move {
            let appended = proposal.appended().await;
            Landed::Appended(parts, appended.map(|place| (place, proposal)))
        };
        self.0.push(landing.boxed());
    }

    pub(super) fn appended(&mut self, proposal: Proposal) {
        self.0.push(proposal.committed().map(Landed::Committed).boxed());
    }

    pub(super) fn forwarded(
        &mut self,
        batch: Batch,
        answer: impl Future<Output = Option<Answer>> + Send + 'static,
    ) {
        self.0.push(answer.map(|answer| Landed::Answered(batch, answer)).boxed());
    }
}

impl Stream for Flights {
    type Item = Landed;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Landed>> {
        self.0.poll_next_unpin(cx)
    }
}
