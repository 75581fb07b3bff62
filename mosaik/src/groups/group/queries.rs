//! Queries: what the state says, here or as the group agrees upon it.

use std::sync::Arc;

use tokio::time::timeout;

use super::{Core, Group, Shared, sync::SyncFuture};
use crate::groups::{
    committed::QueryResultAt, config::Consistency, error::QueryError, machine::StateMachine,
    worker::catch_up,
};

/// A query that was made.
enum Made<M: StateMachine> {
    Answered(Result<QueryResultAt<M>, QueryError<M>>),
    /// To be answered when this member has caught up.
    Waiting(M::Query, SyncFuture<bool>),
}

impl<M: StateMachine> Group<M> {
    /// Asks this member's state.
    ///
    /// With [`Consistency::Weak`] the answer is what this member knows when this is called, without
    /// asking anybody. If its state machine has panicked, that is the state as the panic left it.
    ///
    /// With [`Consistency::Strong`] it reflects every command that was answered anywhere before the
    /// future was first polled: the leader confirms to a quorum that it leads, and this member
    /// answers once it has applied as much as the leader had. Queries that are asked at the same
    /// time share that.
    ///
    /// While the state machine answers, no command is applied on this member, and while up to 64
    /// commands are applied, or those of one call, no query is answered. A query that itself asks
    /// the group, by a handle, may wait for itself for ever.
    ///
    /// Cancel safe: a query changes nothing.
    ///
    /// # Errors
    /// - [`QueryError::Offline`] if it is strong, and within `query_timeout` no leader could confirm
    ///   it, or this member did not get that far, for example because its state machine has
    ///   panicked.
    /// - [`QueryError::GroupTerminated`] if the group has ended on this node, or was never joined.
    pub fn query(
        &self,
        query: M::Query,
        consistency: Consistency,
    ) -> impl Future<Output = Result<QueryResultAt<M>, QueryError<M>>> + Send + Sync + 'static + use<M>
    {
        let shared = self.shared().clone();
        let made = match consistency {
            _ if shared.has_ended() => Made::Answered(Err(QueryError::GroupTerminated)),
            Consistency::Weak => Made::Answered(Ok(shared.answer(query))),
            Consistency::Strong => {
                let core = shared.core().clone();
                Made::Waiting(query, SyncFuture::new(caught_up(core)))
            }
        };
        async move {
            let (query, caught_up) = match made {
                Made::Answered(answer) => return answer,
                Made::Waiting(query, caught_up) => (query, caught_up),
            };
            if caught_up.await {
                return Ok(shared.answer(query));
            }
            Err(match shared.has_ended() {
                true => QueryError::GroupTerminated,
                false => QueryError::Offline(query),
            })
        }
    }

    /// Looks at this member's state, as [`Consistency::Weak`] queries do. Once the group has ended
    /// on this node it is the state as it was last; if it was never joined, that to begin with.
    ///
    /// No command is applied here while `read` runs: it should be quick. And it must not ask the
    /// group itself, by `read` or [`query`](Group::query): if commands are to be applied meanwhile,
    /// those wait for the outer one, and the inner one for them.
    pub fn read<R>(&self, read: impl FnOnce(&M) -> R) -> R {
        self.shared().published().read(|state, _| read(state))
    }
}

impl<M: StateMachine> Shared<M> {
    fn has_ended(&self) -> bool {
        self.core().tasks().token().is_cancelled()
    }

    fn answer(&self, query: M::Query) -> QueryResultAt<M> {
        self.published().read(|state, index| QueryResultAt::new(state.query(query), index))
    }
}

/// Waits until this member has applied all that was answered before; false if no leader could say in
/// time how much that is.
async fn caught_up(core: Arc<Core>) -> bool {
    let limit = core.config().consensus().query_timeout;
    timeout(limit, catch_up(&core)).await.is_ok_and(|reached| reached)
}
