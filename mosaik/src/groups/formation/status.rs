//! What a member says of itself to everybody whom it is bonded with.

use serde::{Deserialize, Serialize};

use crate::groups::{
    member::{IncarnationId, MemberId},
    raft::Timing,
};

/// How far a member is in the incarnation that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// In no incarnation.
    Idle,
    /// Has confirmed a founding, and has not stored its first entry yet.
    Founding,
    /// Wants to be in the incarnation; its log is empty.
    Joining,
    /// Its log holds something.
    Member,
}

/// What a member says of itself. It is told at the beginning of each bond, and when it changes.
///
/// Who receives it takes it from the bond that is in use at present, in order. A member that names
/// another [`MemberId`] than before says that the one before is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) member: MemberId,
    /// Only reads: neither founds nor votes.
    pub(crate) observer: bool,
    /// Would rather not vote or lead.
    pub(crate) reluctant: bool,
    pub(crate) stage: Stage,
    /// `None` exactly if idle.
    pub(crate) incarnation: Option<IncarnationId>,
    /// Whom it follows, as far as it knows; itself included.
    pub(crate) leader: Option<MemberId>,
    /// It leads, and has applied the first entry of its own term.
    pub(crate) leading: bool,
    /// The incarnation takes commands.
    pub(crate) open: bool,
    /// It takes none any more: it has given way to this one.
    pub(crate) yielded_to: Option<IncarnationId>,
    /// The last application index in its log; exact only from a leader, and then about a second old.
    pub(crate) index: u64,
    pub(crate) voters: u16,
    /// The times of the incarnation, which who joins it takes; in none, its own.
    pub(crate) timing: Timing,
    /// Its state machine has panicked: it applies nothing.
    pub(crate) poisoned: bool,
}

impl Status {
    /// The incarnation, if this member can no longer be thought out of it.
    pub(super) fn inside(&self) -> Option<IncarnationId> {
        match self.stage {
            Stage::Founding | Stage::Member => self.incarnation,
            Stage::Idle | Stage::Joining => None,
        }
    }

    /// It leads an incarnation that takes commands.
    pub(super) fn leads_open(&self) -> bool {
        self.leading && self.open && self.yielded_to.is_none() && self.stage == Stage::Member
    }

    /// Could take part in a founding now.
    pub(super) fn may_found(&self) -> bool {
        !self.observer && self.stage == Stage::Idle
    }
}
