//! A command that was not answered in time.

use std::{fmt, sync::Arc};

use crate::groups::{
    committed::CommittedMany, error::CommandError, group::Shared, machine::StateMachine,
};

/// A command that is under way although its caller was told that it took too long. See
/// [`CommandError::Timeout`].
///
/// Dropping it gives up on the answer, not on the command.
pub struct Pending<M: StateMachine> {
    pub(crate) shared: Arc<Shared<M>>,
    pub(crate) id: u64,
    /// How many commands there are.
    pub(crate) count: usize,
    /// Whether anybody may come back for the outcome.
    pub(crate) kept: bool,
}

impl<M: StateMachine> Pending<M> {
    /// Goes on waiting for the same command, for another `forward_timeout`. It is applied once,
    /// however often this is called. Of one command there is one answer.
    ///
    /// Cancel safe in that the command stays under way; its answer is lost then.
    ///
    /// # Errors
    /// As those of [`Group::execute`](crate::groups::Group::execute), but never `Offline`; and
    /// [`CommandError::Lost`] if the group has forgotten this node meanwhile.
    pub async fn retry(mut self) -> Result<CommittedMany<M::Response>, CommandError<M>> {
        self.kept = false;
        self.shared.clone().resume(self.id, self.count).await
    }
}

impl<M: StateMachine> Drop for Pending<M> {
    fn drop(&mut self) {
        if self.kept {
            self.shared.core().queue().forget(self.id);
        }
    }
}

impl<M: StateMachine> fmt::Debug for Pending<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("id", &self.id).finish_non_exhaustive()
    }
}
