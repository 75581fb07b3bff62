//! Where a node stands between being alone and being a member.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::effect::Proposal;
use crate::{
    groups::member::{IncarnationId, MemberId},
    id::PeerId,
};

/// Where a node stands. Each variant has its rules in a file of its own.
#[derive(Debug)]
pub(super) enum Phase {
    /// In no incarnation (`founding.rs`, `grants.rs`).
    Idle(Idle),
    /// Has a Raft node with an empty log, as a founder or to join (`joining.rs`).
    Entering(Entering),
    /// Has something in its log (`tenure.rs`, `rivals.rs`).
    Member(Tenure),
    /// Has asked for its log to be dropped.
    Parting(Parting),
}

/// In no incarnation.
#[derive(Debug)]
pub(super) struct Idle {
    /// When the last attempt of anybody came to nothing: the next ones take their turns from here.
    pub(super) quiet_since: Instant,
    pub(super) grant: Option<Grant>,
    pub(super) proposal: Option<Attempt>,
    /// Own attempts that came to nothing, in a row.
    pub(super) failures: u32,
}

impl Idle {
    pub(super) fn new(quiet_since: Instant) -> Self {
        Self { quiet_since, grant: None, proposal: None, failures: 0 }
    }
}

/// What one has promised to a founder: to confirm nobody else's founding.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) to: PeerId,
    pub(super) nonce: u64,
    pub(super) until: Instant,
}

/// An attempt of one's own to found.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) nonce: u64,
    pub(super) until: Instant,
    pub(super) asked: BTreeSet<PeerId>,
    pub(super) granted: BTreeMap<PeerId, MemberId>,
    pub(super) refused: BTreeSet<PeerId>,
    pub(super) found: Option<Found>,
}

/// The voters of an attempt, who have been asked to confirm.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) incarnation: IncarnationId,
    pub(super) voters: BTreeSet<MemberId>,
    pub(super) confirmed: BTreeSet<MemberId>,
}

/// Has a Raft node with an empty log.
#[derive(Debug)]
pub(super) struct Entering {
    pub(super) incarnation: IncarnationId,
    /// A founder; otherwise it joins.
    pub(super) founds: bool,
    /// When a leader was last seen.
    pub(super) leader_seen: Instant,
    /// When the leader is asked again to take this node in.
    pub(super) ask_at: Instant,
}

/// Has something in its log.
#[derive(Debug)]
pub(super) struct Tenure {
    pub(super) incarnation: IncarnationId,
    /// It has seen itself in the membership: if it is in it no more, it was removed.
    pub(super) enrolled: bool,
    pub(super) leading_since: Option<Instant>,
    /// What was proposed last, and when; forgotten when leadership ends.
    pub(super) proposed: Option<(Proposal, Instant)>,
    /// `Open` was proposed in this leadership: `Dissolve` is not any more.
    pub(super) opening: bool,
    pub(super) challenge: Option<Challenge>,
    pub(super) rivals_told: BTreeSet<IncarnationId>,
    /// Whom it was told that they are removed, and when.
    pub(super) removals_told: BTreeMap<MemberId, Instant>,
    /// When the winner that this one has yielded to was last seen alive.
    pub(super) winner_seen: Option<Instant>,
    /// Told by others that it has yielded, and committed it.
    pub(super) yielded_told: Option<IncarnationId>,
    pub(super) lost_told: bool,
    /// Since when it could be left for a living rival.
    pub(super) stuck_since: Option<Instant>,
}

/// A challenge that waits for its answer.
#[derive(Debug)]
pub(super) struct Challenge {
    pub(super) nonce: u64,
    pub(super) rival: IncarnationId,
    pub(super) again_at: Instant,
}

impl Tenure {
    pub(super) fn new(incarnation: IncarnationId) -> Self {
        Self {
            incarnation,
            enrolled: false,
            leading_since: None,
            proposed: None,
            opening: false,
            challenge: None,
            rivals_told: BTreeSet::new(),
            removals_told: BTreeMap::new(),
            winner_seen: None,
            yielded_told: None,
            lost_told: false,
            stuck_since: None,
        }
    }
}

/// Has asked for its log to be dropped, and waits for a new session.
#[derive(Debug)]
pub(super) struct Parting {
    pub(super) incarnation: IncarnationId,
}
