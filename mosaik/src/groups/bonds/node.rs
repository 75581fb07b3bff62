//! Raft's node as what bonds serve.

use bytes::Bytes;
use futures::future::BoxFuture;

use super::{
    append::{AppendSink, AppendSource},
    served::{Gone, Served},
};
use crate::groups::{
    member::MemberId,
    raft::{AnswerError, Node},
};

/// What cannot be answered is answered as gone, whatever the reason is.
fn gone(error: AnswerError) -> Gone {
    tracing::debug!(%error, "not answered");
    Gone
}

impl Served for Node {
    fn answer(&self, request: Bytes) -> BoxFuture<'static, Result<Bytes, Gone>> {
        let node = self.clone();
        Box::pin(async move { Self::answer(&node, request).await.map_err(gone) })
    }

    fn serve_append(&self, source: AppendSource, sink: AppendSink) -> BoxFuture<'static, ()> {
        let node = self.clone();
        Box::pin(async move {
            let served = Self::serve_append(&node, Box::pin(source), Box::pin(sink)).await;
            if let Err(error) = served {
                tracing::debug!(%error, "appends are not taken any more");
            }
        })
    }

    fn admits(&self, from: MemberId, head: &[u8], length: u64) -> bool {
        let admitted = Self::admits(self, from, head, length);
        if let Err(error) = &admitted {
            tracing::debug!(%from, length, %error, "a snapshot is not taken");
        }
        admitted.is_ok()
    }

    fn install(&self, head: Bytes, body: Bytes) -> BoxFuture<'static, Result<Bytes, Gone>> {
        let node = self.clone();
        Box::pin(async move { Self::install(&node, head, body).await.map_err(gone) })
    }
}
