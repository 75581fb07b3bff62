//! What a node replicates.

use bytes::Bytes;

use crate::groups::{
    index::{Index, Term},
    state::{Item, Step},
};

/// The state that the log is applied to, in the order of the log, by one task.
pub(crate) trait Replicated: Send + Sync + 'static {
    /// Applies an item. What came of it goes where the implementor sends it.
    fn apply(&mut self, term: Term, item: &Item) -> Step;

    /// The state as it is now; cheap, since it is called between two items.
    fn freeze(&self) -> Box<dyn Frozen>;

    /// Becomes what an encoded snapshot says.
    fn restore(&mut self, bytes: &[u8]) -> Result<(), StateError>;

    /// Becomes the snapshot (or the start value, if there is none) with these items applied. The
    /// last of them is the one at which [`Step::Rebuild`] was returned.
    fn rebuild(
        &mut self,
        snapshot: Option<&[u8]>,
        items: &mut dyn Iterator<Item = (Term, Item)>,
    ) -> Result<(), StateError>;

    /// The number of the last command that was applied.
    fn index(&self) -> Index;

    /// Whether the state is behind its index, because a command could not be applied: no snapshot
    /// is made of it.
    fn poisoned(&self) -> bool {
        false
    }
}

/// A state that does not change any more.
pub(crate) trait Frozen: Send {
    /// On a thread where it may take its time.
    fn encode(self: Box<Self>) -> Result<Bytes, StateError>;
}

/// A state could not be encoded, or made of what was received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct StateError(pub(crate) String);
