//! Openraft's suite for storages.

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
};
use tokio::sync::{mpsc, watch};

use super::Sums;
use crate::{
    groups::raft::{
        Limits,
        log::MemoryLog,
        machine::{Machine, Outlets},
        snapshot::Current,
        type_config::Types,
        view::Applied,
    },
    tasks::Tasks,
};

struct Builder;

impl StoreBuilder<Types, MemoryLog, Machine, ()> for Builder {
    async fn build(&self) -> Result<((), MemoryLog, Machine), StorageError<Types>> {
        let limits = Limits::default();
        let log = MemoryLog::new(limits.page_bytes, watch::Sender::default());
        let outlets = Outlets {
            applied: watch::Sender::new(Applied::default()),
            drafts: mpsc::channel(1).0,
            failed: watch::Sender::new(None),
        };
        let replicated = Box::new(Sums::default());
        let (current, tasks) = (Current::default(), Tasks::new());
        let machine = Machine::new(replicated, log.clone(), current, limits, tasks, outlets);
        Ok(((), log, machine))
    }
}

#[tokio::test(start_paused = true)]
async fn the_memory_store_passes_the_suite_of_openraft() {
    Suite::test_all(Builder).await.unwrap();
}
