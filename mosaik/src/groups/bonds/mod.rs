//! Bonds: the authenticated links between members of a group, and everything that Raft and the
//! group's worker say over them.
//!
//! A bond is one stream on the control lane for a group and a peer: questions with answers, words
//! that need none, and offers of what is too large for control. Beside it belong to it streams on
//! the log lane, for appends, and on the bulk lane, for snapshots and large messages. Heartbeats of
//! all groups with one peer share one stream.

mod append;
mod bond;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod group;
mod handle;
mod handshake;
mod heartbeats;
mod line;
mod meet;
mod node;
mod protocol;
mod registry;
#[cfg(any(test, feature = "fuzzing"))]
mod samples;
mod seek;
mod served;
mod session;
#[cfg(test)]
mod tests;
mod traffic;
mod transfer;
mod wire;

#[cfg(test)]
pub(crate) use self::{
    append::{AppendSink, AppendSource},
    bond::SendError,
    served::{Gone, Served},
};
pub(crate) use self::{
    bond::{Bond, BondEvent, Reply},
    group::{GroupSpec, Judge},
    handle::GroupBonds,
    handshake::{Agreement, Mismatch},
    registry::{Bonds, BondsParts},
    traffic::Traffic,
};
