//! Who is a peer for a producer or a consumer: predicates and tickets.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::when::guarded;
use crate::{
    discovery::PeerInfo,
    ticket::{Denial, Expiration},
    tickets::{self, TicketValidator},
    transport::CloseReason,
};

/// A predicate on peers.
pub(super) type Require = Arc<dyn Fn(&PeerInfo) -> bool + Send + Sync>;

/// The longest time until expiries are looked at again: the date may be set, and does not stand
/// still while a machine sleeps.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Whether a peer is one to deal with, and until when: all predicates must hold, and its tickets
/// must pass all validators. `held` is until when it was one before.
pub(super) fn admits(
    require: &[Require],
    validators: &[Arc<dyn TicketValidator>],
    peer: &PeerInfo,
    held: Option<Expiration>,
    now: DateTime<Utc>,
) -> Result<Expiration, Denial> {
    if !require.iter().all(|holds| guarded(|| holds(peer))) {
        return Err(Denial::Invalid);
    }
    tickets::judge(validators, peer, now).renew(held, now)
}

/// What a peer is told that is not dealt with.
pub(super) fn reason(denial: Denial) -> CloseReason {
    match denial {
        Denial::Pending => CloseReason::TicketsPending,
        Denial::Invalid => CloseReason::NotAllowed,
    }
}

/// When the first of these has expired, or it is to be looked again whether one has.
pub(super) fn next_expiry(
    untils: impl Iterator<Item = Expiration>,
    now: DateTime<Utc>,
) -> Option<Instant> {
    let soonest = untils.filter_map(|until| until.remaining_at(now)).min()?;
    // A timer may fire a little early by the date.
    Some(Instant::now() + soonest.clamp(Duration::from_millis(1), LOOK_AGAIN))
}

/// Waits until then; for ever if there is nothing to wait for.
pub(super) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
