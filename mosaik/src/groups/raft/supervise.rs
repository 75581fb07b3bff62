//! The task beside a node: publishes what it is, sends a leader's heartbeats, makes snapshots, notices
//! the node's end.

use std::time::Duration;

use futures::future::{BoxFuture, OptionFuture};
use openraft::async_runtime::WatchReceiver;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    limits::{Limits, Timing},
    log::MemoryLog,
    node::Raft,
    reserve::Reserve,
    snapshot::{Current, Draft, Snapshot},
    type_config::EntryId,
    view::{Applied, RaftView, Role},
};
use crate::{groups::member::MemberId, tasks::Tasks};

/// Openraft hears of a snapshot within the queue of what it has to apply.
const SNAPSHOT_KNOWN: Duration = Duration::from_secs(10);
/// Its core ends between two messages.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(2);

pub(super) struct Supervisor {
    pub(super) me: MemberId,
    pub(super) raft: Raft,
    pub(super) log: MemoryLog,
    pub(super) current: Current,
    pub(super) limits: Limits,
    pub(super) timing: Timing,
    pub(super) reserve: Option<Reserve>,
    pub(super) view: watch::Sender<RaftView>,
    pub(super) applied: watch::Receiver<Applied>,
    pub(super) failed: watch::Sender<Option<String>>,
    pub(super) tasks: Tasks,
}

impl Supervisor {
    pub(super) async fn run(mut self, mut drafts: mpsc::Receiver<Draft>) {
        let token = self.tasks.token().clone();
        let mut metrics = self.raft.server_metrics();
        let mut reserve = self.reserve.take();
        let mut making: OptionFuture<BoxFuture<'_, ()>> = None.into();
        let mut busy = false;
        let mut beats = interval(self.timing.heartbeat.max(Duration::from_millis(1)));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = token.cancelled() => break,
                changed = metrics.changed() => {
                    if changed.is_err() {
                        // It may have been told to.
                        if !token.is_cancelled() {
                            self.fail("the consensus core has stopped");
                        }
                        break;
                    }
                    self.publish();
                }
                _ = beats.tick(), if self.has_followers() => {
                    // It fails only when the core has stopped, which the metrics tell.
                    let _ = self.raft.trigger().heartbeat().await;
                }
                stand = Reserve::decided(&mut reserve) => self.raft.runtime_config().elect(stand),
                Some(draft) = drafts.recv(), if !busy => {
                    making = Some(Box::pin(self.make(draft)) as BoxFuture<'_, ()>).into();
                    busy = true;
                }
                Some(()) = &mut making, if busy => {
                    making = None.into();
                    busy = false;
                }
            }
        }
        drop(making);
        self.tasks.cancel();
        timeout(SHUTDOWN, self.raft.shutdown()).await.ok();
        self.view.send_modify(|view| view.role = Role::Stopped);
    }

    /// Whether somebody waits for heartbeats.
    fn has_followers(&self) -> bool {
        let view = self.view.borrow();
        view.role == Role::Leader && !view.is_alone(&self.me)
    }

    /// The machine may have said why before.
    fn fail(&self, why: &str) {
        self.failed.send_if_modified(|failed| {
            let first = failed.is_none();
            failed.get_or_insert_with(|| why.to_owned());
            first
        });
    }

    pub(super) fn publish(&self) {
        let metrics = self.raft.server_metrics();
        let (last, applied) = (self.log.last(), self.applied.borrow().cursor);
        let before = self.view.borrow().clone();
        let view = RaftView::new(&metrics.borrow_watched(), last, applied, &before);
        // Nobody to lead: nothing need happen in time. Any other state needs the clock.
        self.raft.runtime_config().tick(!view.is_alone(&self.me));
        self.view.send_if_modified(|published| {
            let places =
                RaftView { last_log: view.last_log, applied: view.applied, ..published.clone() };
            let changed = places != view;
            if changed {
                *published = view;
            }
            changed
        });
    }

    async fn make(&self, draft: Draft) {
        let made = self.tasks.blocking("raft-snapshot", || draft.encode()).await;
        let snapshot = match made {
            Some(Ok(snapshot)) => snapshot,
            Some(Err(error)) => {
                tracing::error!(%error, "no snapshot could be made of a group's state");
                return;
            }
            None => return,
        };
        let Some(last) = snapshot.meta.last_log_id else { return };
        self.announce(snapshot, last).await;
    }

    /// Tells openraft, which purges the log to as many entries as may be kept; then purges it to
    /// as many bytes.
    async fn announce(&self, snapshot: Snapshot, last: EntryId) {
        self.current.offer(snapshot);
        if self.raft.trigger().snapshot().await.is_err() {
            return;
        }
        let mut known = self.raft.watch_snapshot_progress();
        let reached = timeout(SNAPSHOT_KNOWN, known.wait_until_ge(&Some(last))).await;
        if !matches!(reached, Ok(Ok(_))) {
            return;
        }
        if let Some(surplus) = self.log.surplus(last.index, self.limits.keep_bytes) {
            self.raft.trigger().purge_log(surplus).await.ok();
        }
    }
}
