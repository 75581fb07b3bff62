//! Queries: what the state says, here or as the group agrees upon it.

use tokio::time::timeout;

use super::{Group, Shared};
use crate::groups::{
    committed::QueryResultAt, config::Consistency, error::QueryError, machine::StateMachine,
    worker::catch_up,
};

impl<M: StateMachine> Group<M> {
    /// Asks this member's state.
    ///
    /// With [`Consistency::Weak`] the answer is what this member knows, at once. With
    /// [`Consistency::Strong`] it reflects every command that was answered anywhere before this was
    /// called: the leader confirms to a quorum that it leads, and this member answers once it has
    /// applied as much as the leader had. Queries that are asked at the same time share that.
    ///
    /// Cancel safe: a query changes nothing.
    ///
    /// # Errors
    /// [`QueryError::Offline`] if no leader could confirm it within `query_timeout`, or this
    /// member's state machine has panicked.
    pub fn query(
        &self,
        query: M::Query,
        consistency: Consistency,
    ) -> impl Future<Output = Result<QueryResultAt<M>, QueryError<M>>> + Send + 'static + use<M>
    {
        let shared = self.shared().clone();
        async move {
            if consistency == Consistency::Strong && !shared.catch_up().await {
                return Err(match shared.core().tasks().token().is_cancelled() {
                    true => QueryError::GroupTerminated,
                    false => QueryError::Offline(query),
                });
            }
            Ok(shared.answer(query))
        }
    }

    /// Looks at this member's state, as [`Consistency::Weak`] queries do. No command is applied
    /// here while `read` runs: it should be quick.
    pub fn read<R>(&self, read: impl FnOnce(&M) -> R) -> R {
        self.shared().published().read(|state, _| read(state))
    }
}

impl<M: StateMachine> Shared<M> {
    fn answer(&self, query: M::Query) -> QueryResultAt<M> {
        self.published().read(|state, index| QueryResultAt::new(state.query(query), index))
    }

    /// Waits until this member has applied all that was answered before; false if no leader could
    /// say in time how much that is.
    async fn catch_up(&self) -> bool {
        let core = self.core();
        let limit = core.config().consensus().query_timeout;
        timeout(limit, catch_up(core)).await.is_ok_and(|reached| reached)
    }
}
