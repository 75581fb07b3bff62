//! A node's place in a group, as its handles share it.

mod commands;
mod operate;
mod queries;
mod shared;
mod sync;

use std::{fmt, sync::Arc};

use tokio::sync::broadcast;
use tokio_util::sync::DropGuard;

pub use self::operate::FencingToken;
pub(crate) use self::shared::{Asked, Core, CoreParts, Operation, Seen, Shared};
use super::{
    bonded::Bonds,
    config::GroupConfig,
    event::GroupEvent,
    index::{Cursor, Index},
    machine::StateMachine,
    when::When,
};
use crate::{
    fmt::ShortFmtExt,
    id::{GroupId, PeerId},
};

/// A member of a consensus group: the handle by which a node takes part.
///
/// Cheap to clone; clones share the member. When the last one is dropped the node leaves the
/// group.
pub struct Group<M: StateMachine>(Arc<Handle<M>>);

/// What ends the member when the last handle is gone.
pub(crate) struct Handle<M: StateMachine> {
    pub(crate) shared: Arc<Shared<M>>,
    /// Tells the worker to leave.
    pub(crate) _leave: DropGuard,
}

impl<M: StateMachine> Group<M> {
    pub(crate) fn new(handle: Arc<Handle<M>>) -> Self {
        Self(handle)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<M>> {
        &self.0.shared
    }

    fn core(&self) -> &Arc<Core> {
        self.0.shared.core()
    }

    /// The group: its key and its machine's name.
    #[must_use]
    pub fn id(&self) -> &GroupId {
        self.core().config().group_id()
    }

    /// What the group was joined with.
    #[must_use]
    pub fn config(&self) -> &GroupConfig {
        self.core().config()
    }

    /// Who leads at present, as far as this member knows; it may have lost contact.
    #[must_use]
    pub fn leader(&self) -> Option<PeerId> {
        self.core().seen().borrow().leader
    }

    /// Whether this node leads, as far as it knows.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leader() == Some(self.core().local())
    }

    /// The members that this node is connected with.
    #[must_use]
    pub fn bonds(&self) -> Bonds<M> {
        Bonds::new(self.core().bonds().subscribe(), self.core().discovery().clone())
    }

    /// What the group's life can be awaited by.
    #[must_use]
    pub fn when(&self) -> &When {
        self.0.shared.when()
    }

    /// The index of the last command that is committed and applied here; zero before the first.
    /// Those that the state machine could not apply, because it has panicked, count as well: the
    /// position of the state is that of a query's result.
    #[must_use]
    pub fn committed(&self) -> Index {
        self.core().applied().index()
    }

    /// The position of the last command in this member's log, committed or not.
    #[must_use]
    pub fn log_position(&self) -> Cursor {
        self.core().log_position()
    }

    /// What happens in the group from now on.
    ///
    /// A listener that falls more than 64 events behind loses the oldest and is told so.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<GroupEvent> {
        self.core().events().subscribe()
    }
}

impl<M: StateMachine> Clone for Group<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: StateMachine> fmt::Display for Group<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Group({})", self.id().short())
    }
}

impl<M: StateMachine> fmt::Debug for Group<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("id", &self.id().short().to_string())
            .field("leader", &self.leader())
            .field("committed", &self.committed())
            .finish_non_exhaustive()
    }
}
