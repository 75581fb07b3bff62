//! What a member counts for whoever watches the node.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    bonds::Traffic,
    event::MembershipReason,
    group::{Core, Seen},
};
use crate::{
    id::PeerId,
    telemetry::{self, Metered, Reasons, Sample},
};

/// What has happened since the group was joined.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    elections: AtomicU64,
    leader_changes: AtomicU64,
    /// Changes of members that this one has made as the leader.
    memberships: Reasons,
    /// Who led last.
    led: Mutex<Option<PeerId>>,
}

impl Counts {
    /// This member, which leads, has changed the membership of another.
    pub(crate) fn member_changed(&self, reason: MembershipReason) {
        self.memberships.count(reason.label());
    }

    /// What this member knows of the group has changed.
    pub(crate) fn seen(&self, before: &Seen, now: &Seen) {
        // A member that is new to a group has not seen the elections that were before.
        let first = u64::from(before.term.is_zero() && !now.term.is_zero());
        let more = if before.term.is_zero() { first } else { (now.term - before.term).0 };
        self.elections.fetch_add(more, Ordering::Relaxed);
        let mut led = self.led.lock().unwrap_or_else(PoisonError::into_inner);
        if now.leader.is_some() && now.leader != *led {
            *led = now.leader;
            self.leader_changes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A member, to be sampled until its worker drops it.
pub(crate) struct Meter {
    pub(crate) core: Arc<Core>,
    pub(crate) traffic: Arc<Traffic>,
}

impl Metered for Meter {
    fn sample(&self, sample: &mut Sample) {
        let Self { core, traffic } = self;
        let group = *core.config().group_id();
        sample.add(&telemetry::GROUPS_ACTIVE, 1);
        let (voters, learners) = core.node().map_or((0, 0), |node| {
            let view = node.view();
            let members = &view.borrow().members;
            (members.voters.len() as u64, members.learners.len() as u64)
        });
        let counts = core.counts();
        for (metric, value) in [
            (&telemetry::GROUP_BONDS, core.bonds().borrow().len() as u64),
            (&telemetry::GROUP_BYTES_SENT, traffic.sent.bytes()),
            (&telemetry::GROUP_BYTES_RECEIVED, traffic.received.bytes()),
            (&telemetry::GROUP_MESSAGES_SENT, traffic.sent.messages()),
            (&telemetry::GROUP_MESSAGES_RECEIVED, traffic.received.messages()),
            (&telemetry::GROUP_ELECTIONS, counts.elections.load(Ordering::Relaxed)),
            (&telemetry::GROUP_LEADER_CHANGES, counts.leader_changes.load(Ordering::Relaxed)),
            (&telemetry::GROUP_COMMITTED, core.applied().index().0),
            (&telemetry::GROUP_VOTERS, voters),
            (&telemetry::GROUP_NON_VOTERS, learners),
            (&telemetry::GROUP_SIZE, voters + learners),
        ] {
            sample.of(group, metric, value);
        }
        counts.memberships.sample(sample, &telemetry::GROUP_MEMBERSHIP_CHANGES, Some(group));
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Meter").field(&self.core).finish()
    }
}
