//! Every task of a node is spawned here: tied to its owner, named for tracing, its panic reported.

use std::{future::Future, panic::AssertUnwindSafe};

use futures::FutureExt;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use tracing::Instrument;

use crate::telemetry::spans;

/// The tasks of one owner: they end when it is cancelled, and can be waited for.
///
/// A child is cancelled with its parent, never the other way round; all of a node's tasks are
/// counted by one tracker, so that a shutdown can tell when the last one has ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    token: CancellationToken,
    tracker: TaskTracker,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Tasks that end with these or earlier.
    pub(crate) fn child(&self) -> Self {
        Self { token: self.token.child_token(), tracker: self.tracker.clone() }
    }

    /// Runs `future` until it ends or the owner is cancelled, whichever comes first.
    pub(crate) fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.token.clone();
        // Boxed, here and below: each future around this one would hold it twice, and there may be
        // thousands of tasks.
        let future = Box::pin(future);
        self.spawn_uncancelled(name, async move {
            token.run_until_cancelled(future).await;
        });
    }

    /// Runs `future` to its end: it watches [`Tasks::token`] itself, because it has something to
    /// say or to finish when the owner is cancelled.
    pub(crate) fn spawn_uncancelled<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let span = tracing::debug_span!(spans::TASK, name);
        let future = Box::pin(future);
        self.tracker.spawn(
            async move {
                if let Err(panic) = AssertUnwindSafe(future).catch_unwind().await {
                    tracing::error!(task = name, panic = panic_text(&*panic), "a task panicked");
                }
            }
            .instrument(span),
        );
    }

    /// Runs work that may block, such as that of file systems, on a thread of its own. It is not cut
    /// short when the owner is cancelled. `None` if it panicked, or never ran because the runtime is
    /// ending.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        match self.tracker.spawn_blocking(work).await {
            Ok(done) => Some(done),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(task = name, "blocking work panicked");
                }
                None
            }
        }
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(crate) fn cancel(&self) {
        self.token.cancel();
    }

    /// Cancels these tasks when the guard is dropped.
    pub(crate) fn cancel_on_drop(&self) -> DropGuard {
        self.token.clone().drop_guard()
    }

    /// How many tasks of the node are running.
    pub(crate) fn running(&self) -> usize {
        self.tracker.len()
    }

    /// Waits until no task of the node is left; call [`Tasks::cancel`] first.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_task_only() {
        let tasks = Tasks::new();
        tasks.spawn("bad", async { panic!("on purpose") });
        tasks.spawn("idle", std::future::pending());
        while tasks.running() > 1 {
            tokio::task::yield_now().await;
        }
        tasks.cancel();
        tasks.ended().await;
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test]
    async fn a_child_ends_with_its_parent_and_not_the_other_way_round() {
        let parent = Tasks::new();
        let child = parent.child();
        child.cancel();
        assert!(!parent.token().is_cancelled());
        let child = parent.child();
        parent.cancel();
        assert!(child.token().is_cancelled());
    }
}
