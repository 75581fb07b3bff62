//! What this node has asked of a group and was not answered yet.
//!
//! A node opens a client session in the replicated state (Ongaro's dissertation, section 6.3) and
//! numbers its calls. They go to the leader in order, again from the first unanswered one whenever
//! the leader changes, and the state machine applies each number once. So a call has exactly one
//! outcome however often it was sent.

mod pending;
mod queue;
mod unanswered;

pub use self::pending::Pending;
pub(crate) use self::{
    queue::{Queue, Submitted, Waiter},
    unanswered::{Batch, Call, Calls, Kind, Settled, Told},
};
