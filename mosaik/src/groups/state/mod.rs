//! What a group agrees upon, as a value: the machine, its callers' sessions, the index.

mod control;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod item;
mod outcome;
mod replica;
mod run;
mod session;
mod snapshot;
pub(super) mod varint;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub(crate) use control::Control;
pub(crate) use item::Item;
pub(crate) use outcome::{Answer, Outcome, OutcomeKind, Step};
pub(crate) use replica::Replica;
pub(crate) use run::{Call, Calls, EncodedRun, Run, RunBuilder, Runs};
pub(crate) use session::SessionId;
pub(crate) use snapshot::{Frozen, RestoreError};
#[cfg(test)]
pub(crate) use {item::Content, snapshot::SnapshotError};
