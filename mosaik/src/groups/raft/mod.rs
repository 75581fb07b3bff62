//! The consensus core. Nothing outside of this folder names openraft.
//!
//! [`Node`] is one member in one incarnation of a group. It is given what it replicates
//! ([`Replicated`]) and how to reach the others ([`Wire`]); both sides of the wire protocol are
//! here: requests go out through the wire, and whoever receives them hands them to
//! [`Node::answer`], [`Node::serve_append`] and [`Node::install`]. Every message names the
//! incarnation and the member it is meant for; one for somebody else is answered with
//! [`AnswerError::Gone`].

mod append;
mod contact;
#[cfg(any(test, feature = "faults"))]
mod early;
mod errors;
mod following;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod limits;
mod log;
mod machine;
mod membership;
mod messages;
mod network;
mod node;
mod propose;
mod reads;
mod replicated;
mod replication;
mod reserve;
mod runtime;
mod serve;
mod snapshot;
mod supervise;
#[cfg(test)]
mod tests;
mod type_config;
mod view;
mod wire;

#[cfg(test)]
pub(crate) use errors::ReadError;
pub(crate) use errors::{AnswerError, ChangeError, Refusal};
pub(crate) use limits::{Limits, Timing};
pub(crate) use membership::Begun;
pub(crate) use node::{Node, NodeParts};
pub(crate) use propose::Proposal;
pub(crate) use reads::ReadPoint;
pub(crate) use replicated::{Frozen, Replicated, StateError};
pub(crate) use view::{MemberProgress, Members, RaftView, Role};
pub(crate) use wire::{MessageSink, MessageSource, Wire, WireError};
