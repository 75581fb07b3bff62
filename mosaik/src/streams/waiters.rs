//! Who waits for something: one waker for each place from which somebody waits.

use std::{collections::BTreeMap, task::Waker};

/// Wakers by key. Whoever registers one removes it when it has lost interest, so that there are
/// never more than there are places.
#[derive(Debug, Default)]
pub(crate) struct Waiters(BTreeMap<u64, Waker>);

impl Waiters {
    pub(crate) fn register(&mut self, key: u64, waker: &Waker) {
        match self.0.get_mut(&key) {
            Some(known) => known.clone_from(waker),
            None => {
                self.0.insert(key, waker.clone());
            }
        }
    }

    pub(crate) fn forget(&mut self, key: u64) {
        self.0.remove(&key);
    }

    /// Takes all, to be woken once no lock is held.
    pub(crate) fn take(&mut self) -> Woken {
        Woken(std::mem::take(&mut self.0))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Those who are to be woken.
#[derive(Debug, Default)]
#[must_use = "nobody is woken before `wake`"]
pub(crate) struct Woken(BTreeMap<u64, Waker>);

impl Woken {
    pub(crate) fn wake(self) {
        self.0.into_values().for_each(Waker::wake);
    }
}
