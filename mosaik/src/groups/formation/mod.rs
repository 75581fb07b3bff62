#![doc = include_str!("protocol.md")]

mod config;
mod core;
mod effect;
mod founding;
mod grants;
mod input;
mod joining;
mod message;
mod peers;
mod rivals;
mod stages;
mod status;
mod tenure;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    config::{Config, wanted_voters},
    core::Formation,
    effect::{Discarded, Effect, FormationEvent, Proposal},
    input::{Input, Membership, RaftView},
    message::Message,
    status::{Stage, Status},
};
