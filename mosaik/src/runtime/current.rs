//! The network of a program whose body did not take it for itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Network;

static CURRENT: Mutex<Option<Arc<Network>>> = Mutex::new(None);

/// While this lives, the network can be asked for.
pub(super) struct Current(());

impl Current {
    pub(super) fn set(network: Arc<Network>) -> Self {
        *lock() = Some(network);
        Self(())
    }
}

impl Drop for Current {
    fn drop(&mut self) {
        // Taken out first: a network that ends here must not do so under the lock.
        let network = lock().take();
        drop(network);
    }
}

impl Network {
    /// The network of this program, in the body of a `#[mosaik::main]` whose function takes no
    /// network (or an `Arc<Network>`), and in the tasks it spawns.
    ///
    /// ```no_run
    /// #[mosaik::main("my-app")]
    /// async fn main() {
    ///     println!("I am {}", mosaik::Network::current().local().id());
    /// }
    /// ```
    ///
    /// # Panics
    /// Anywhere else; see [`Network::try_current`].
    #[must_use]
    pub fn current() -> Arc<Self> {
        Self::try_current().expect(
            "there is no current network: this is not the body of a `#[mosaik::main]`, or its \
             function took the `Network` for itself",
        )
    }

    /// As [`Network::current`]; `None` where that would panic.
    #[must_use]
    pub fn try_current() -> Option<Arc<Self>> {
        lock().clone()
    }
}

fn lock() -> MutexGuard<'static, Option<Arc<Network>>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}
