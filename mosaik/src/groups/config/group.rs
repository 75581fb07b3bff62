//! What one group was joined with.

use std::{fmt, sync::Arc};

use super::{ConsensusConfig, OnRivals, Quorum, Storage};
use crate::{
    discovery::{PeerEntry, SignedPeerEntry},
    groups::{key::GroupKey, machine::LeadershipPreference},
    id::{GroupId, UniqueId},
    tickets::TicketValidator,
};

/// What a group was joined with. See [`Group::config`](crate::groups::Group::config).
#[derive(Clone)]
#[non_exhaustive]
pub struct GroupConfig {
    pub(crate) id: GroupId,
    pub(crate) key: GroupKey,
    pub(crate) consensus: ConsensusConfig,
    pub(crate) quorum: Quorum,
    pub(crate) on_rivals: OnRivals,
    pub(crate) storage: Storage,
    pub(crate) max_voters: usize,
    pub(crate) snapshot_every: u64,
    pub(crate) validators: Vec<Arc<dyn TicketValidator>>,
    pub(crate) preference: LeadershipPreference,
    pub(crate) machine_version: u32,
    pub(crate) schema: UniqueId,
}

impl GroupConfig {
    /// The group: its key and its machine's name.
    #[must_use]
    pub fn group_id(&self) -> &GroupId {
        &self.id
    }

    /// What its members share.
    #[must_use]
    pub fn key(&self) -> &GroupKey {
        &self.key
    }

    /// The times of consensus.
    #[must_use]
    pub fn consensus(&self) -> &ConsensusConfig {
        &self.consensus
    }

    /// How many members it takes to decide.
    #[must_use]
    pub fn quorum(&self) -> Quorum {
        self.quorum
    }

    /// What happens to two incarnations that meet.
    #[must_use]
    pub fn on_rivals(&self) -> OnRivals {
        self.on_rivals
    }

    /// Where this member keeps its log.
    #[must_use]
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// The most members that vote.
    #[must_use]
    pub fn max_voters(&self) -> usize {
        self.max_voters
    }

    /// After how many commands a snapshot is taken.
    #[must_use]
    pub fn snapshot_every(&self) -> u64 {
        self.snapshot_every
    }

    /// What the tickets of a member must pass: all of them.
    #[must_use]
    pub fn auth(&self) -> &[Arc<dyn TicketValidator>] {
        &self.validators
    }

    /// Whether a peer may be a member, by the tickets that are here.
    #[must_use]
    pub fn authorize_peer(&self, peer: &SignedPeerEntry) -> bool {
        let entry: &PeerEntry = peer;
        entry.validate_tickets(&self.validators).is_ok()
    }
}

impl fmt::Debug for GroupConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupConfig")
            .field("id", &self.id)
            .field("key", &self.key)
            .field("quorum", &self.quorum)
            .field("max_voters", &self.max_voters)
            .field("validators", &self.validators)
            .finish_non_exhaustive()
    }
}
