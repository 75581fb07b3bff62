//! What an autopilot judges by.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{groups::member::MemberId, id::PeerId};

/// Whether a member would vote and lead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Preference {
    #[default]
    Normal,
    /// Votes if there is nobody better, and hands leadership on.
    Reluctant,
    /// Never votes.
    Observer,
}

/// What an autopilot judges by: the leader's view of its group at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// The leader, which is this node.
    pub(crate) me: MemberId,
    /// The incarnation takes commands; before that nothing is changed.
    pub(crate) open: bool,
    /// It has yielded to another incarnation; nothing is changed any more.
    pub(crate) yielded: bool,
    /// All voters; of a joint configuration those of both halves.
    pub(crate) voters: BTreeSet<MemberId>,
    pub(crate) learners: BTreeSet<MemberId>,
    /// The configuration is joint.
    pub(crate) joint: bool,
    /// The last membership entry is not committed yet.
    pub(crate) changing: bool,
    /// The Raft index of the leader's last entry.
    pub(crate) log_end: u64,
    /// About voters and learners. Who is missing here has never been heard of.
    pub(crate) members: BTreeMap<MemberId, Member>,
    /// Who wants to be a learner, and is none yet (`Effect::AddMember` of formation).
    pub(crate) joining: BTreeSet<MemberId>,
    /// Who bonded peers say they are at present: another session of the same peer proves the one
    /// before dead.
    pub(crate) alive: BTreeMap<PeerId, MemberId>,
}

/// What the leader knows of one member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its log is known to equal the leader's up to this Raft index.
    pub(crate) matched: Option<u64>,
    /// How long ago it acknowledged anything; `None`: never in this term.
    pub(crate) acknowledged: Option<Duration>,
    pub(crate) preference: Preference,
    /// A ticket has run out, leeway included.
    pub(crate) expired: bool,
    /// It has said that it goes for good: a graceful stop with its log in memory, or `leave()`.
    pub(crate) leaving: bool,
    /// The operator wants it out.
    pub(crate) evict: bool,
}
