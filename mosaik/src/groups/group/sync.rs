//! Futures that may be shared between threads.

use std::{
    fmt,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
};

use futures::future::BoxFuture;

/// Makes a future `Sync`, whatever it waits for: nobody can poll it by a shared reference, so the
/// lock is never taken.
pub(super) struct SyncFuture<T>(Mutex<BoxFuture<'static, T>>);

impl<T> SyncFuture<T> {
    pub(super) fn new(future: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Mutex::new(Box::pin(future)))
    }
}

impl<T> Future for SyncFuture<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let future = self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner);
        future.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for SyncFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncFuture").finish_non_exhaustive()
    }
}
