//! What this node has asked of a group and was not answered yet.
//!
//! A node opens a client session in the replicated state (Ongaro's dissertation, section 6.3) and
//! numbers its calls. They go to the leader in order, again from the first unanswered one whenever
//! the leader changes, and the state machine applies each number once. So a call has exactly one
//! outcome however often it was sent.

mod call;
mod pending;
mod queue;
#[cfg(test)]
mod tests;
mod unanswered;

pub use self::pending::Pending;
pub(crate) use self::{
    call::{Batch, Call, Kind, Settled},
    queue::{Queue, Submitted, Waiter},
    unanswered::{Calls, Told},
};
