//! What a formation is told.

use std::collections::BTreeSet;

use super::{message::Message, status::Status};
use crate::{
    groups::member::{IncarnationId, MemberId},
    id::PeerId,
};

/// What a formation is told. Messages and statuses come from bonds in use, in order.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Who advertises the group in the catalog (this node may be among them).
    Candidates(BTreeSet<PeerId>),
    /// A bond is up, or one has replaced another; the handshake carries the status.
    Bonded {
        peer: PeerId,
        status: Status,
    },
    Unbonded(PeerId),
    Status {
        from: PeerId,
        status: Status,
    },
    Heard {
        from: PeerId,
        message: Message,
    },
    /// What this node's Raft says; after every change of any field but the indices, and for those
    /// about once a second.
    Raft(RaftView),
    /// The [`Effect::Abandon`](super::Effect::Abandon) of this incarnation came too late: the log
    /// has grown.
    Kept(IncarnationId),
    /// An [`Effect::Discard`](super::Effect::Discard) or `Abandon` has been carried out: Raft is
    /// down, the log is gone, and this is who the node is from now on.
    Renewed(MemberId),
    /// It is [`Formation::next_wakeup`](super::Formation::next_wakeup).
    Tick,
}

/// Who takes part, as the last membership entry in the log says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Membership {
    /// Where in the Raft log the entry is, ...
    pub(crate) at: u64,
    /// ... and the term of the leader that has logged it.
    pub(crate) term: u64,
    /// The voters: one set, or the two of a joint configuration; none in an empty log.
    pub(crate) configs: Vec<BTreeSet<MemberId>>,
    pub(crate) learners: BTreeSet<MemberId>,
    pub(crate) committed: bool,
}

impl Membership {
    pub(crate) fn voters(&self) -> BTreeSet<MemberId> {
        self.configs.iter().flatten().copied().collect()
    }

    pub(super) fn contains(&self, member: &MemberId) -> bool {
        self.learners.contains(member) || self.configs.iter().any(|voters| voters.contains(member))
    }

    /// Whether nothing can be committed any more when these are no more.
    pub(super) fn is_lost(&self, dead: impl Fn(&MemberId) -> bool) -> bool {
        self.configs.iter().any(|voters| {
            let alive = voters.iter().filter(|voter| !dead(voter)).count();
            alive < voters.len() / 2 + 1
        })
    }
}

/// What this node's Raft says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RaftView {
    /// Who this Raft node is.
    pub(crate) member: MemberId,
    pub(crate) incarnation: IncarnationId,
    /// The present term.
    pub(crate) term: u64,
    /// The leader of the present term, as far as it is known; it need not be alive.
    pub(crate) leader: Option<MemberId>,
    /// This node leads, and has applied the first entry of its own term.
    pub(crate) leading: bool,
    /// The Raft index of the last entry in the log; `None` while it is empty, snapshot included.
    pub(crate) log_end: Option<u64>,
    /// The last application index in the log.
    pub(crate) logged: u64,
    /// The last application index applied here.
    pub(crate) applied: u64,
    /// `Open` has been applied, and no `Dissolve` before it.
    pub(crate) open: bool,
    /// `Dissolve` has been applied, and no `Open` before it.
    pub(crate) dissolved: bool,
    /// The last `Yield` applied.
    pub(crate) yielded_to: Option<IncarnationId>,
    /// The state machine has panicked here.
    pub(crate) poisoned: bool,
    pub(crate) membership: Membership,
    /// On a leader, while not `open`: whose logs are known to hold the first entry, its own included.
    pub(crate) stored_by: BTreeSet<MemberId>,
}
