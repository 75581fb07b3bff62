//! Seeking a bond with a peer, and making it again whenever it ends.

use std::{sync::Arc, time::Duration};

use iroh::EndpointAddr;
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{group::Group, meet, session::Session};
use crate::{
    id::PeerId,
    transport::{CloseReason, DialError},
};

/// The one with the larger id waits for the other one to begin.
const HEAD_START: Duration = Duration::from_millis(500);
/// The first pause between two attempts, and the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// The pause after a refusal that another attempt will hardly change.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// A bond that lasted this long was a success: the next failure is a new one.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// A peer that is sought, as long as this is kept.
pub(super) struct Sought {
    nudge: Arc<Notify>,
    _stop: DropGuard,
}

impl Sought {
    pub(super) fn nudge(&self) {
        self.nudge.notify_one();
    }
}

pub(super) fn begin(group: Arc<Group>, peer: PeerId) -> Sought {
    let (nudge, stop) = (Arc::new(Notify::new()), group.tasks.token().child_token());
    let seeker = Seeker { peer, nudge: nudge.clone(), stop: stop.clone(), pause: PAUSE };
    let tasks = group.tasks.clone();
    // It takes leave of the peer when it is cancelled.
    tasks.spawn_uncancelled("groups.seek", async move { seeker.run(group).await });
    Sought { nudge, _stop: stop.drop_guard() }
}

struct Seeker {
    peer: PeerId,
    nudge: Arc<Notify>,
    stop: CancellationToken,
    pause: Duration,
}

impl Seeker {
    async fn run(mut self, group: Arc<Group>) {
        let stop = self.stop.clone();
        while let Some(attempt) = stop.run_until_cancelled(self.attempt(&group)).await {
            let reason = match attempt {
                Ok(session) => {
                    let begun = Instant::now();
                    let reason = session.run().await;
                    if begun.elapsed() >= STABLE_AFTER {
                        self.pause = PAUSE;
                    }
                    reason
                }
                Err(reason) => reason,
            };
            tracing::debug!(group = %group.id, peer = %self.peer, %reason, "not bonded");
            if stop.run_until_cancelled(self.wait(&group, reason)).await.is_none() {
                return;
            }
        }
    }

    /// One attempt, as soon as it is this side's turn.
    async fn attempt(&self, group: &Arc<Group>) -> Result<Session, CloseReason> {
        loop {
            group.unbonded(&self.peer).await;
            if group.local < self.peer {
                break;
            }
            sleep(HEAD_START).await;
            if group.bond(&self.peer).is_none() {
                break;
            }
        }
        let connected = group.shared.transport.connect(EndpointAddr::new(self.peer)).await;
        let link = connected.map_err(|error| match error {
            DialError::Refused(reason) => reason,
            _ => CloseReason::TimedOut,
        })?;
        meet::open(group, link).await
    }

    async fn wait(&mut self, group: &Group, reason: CloseReason) {
        let pause = match reason {
            CloseReason::GroupRefused
            | CloseReason::GroupMismatch
            | CloseReason::NoCapacity
            | CloseReason::UnsupportedVersion => REFUSED_PAUSE,
            _ => {
                let pause = self.pause;
                self.pause = (pause * 2).min(LONGEST_PAUSE);
                pause
            }
        };
        tokio::select! {
            () = sleep(group.shared.random.jittered(pause, 0.2)) => {}
            () = self.nudge.notified() => {}
        }
    }
}
