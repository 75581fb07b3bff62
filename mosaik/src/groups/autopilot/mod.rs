#![doc = include_str!("autopilot.md")]

mod action;
mod health;
mod plan;
mod settings;
mod view;

#[cfg(test)]
mod tests;

pub(crate) use self::{
    action::{Action, Reason},
    plan::Autopilot,
    settings::Settings,
    view::{Member, Preference, View},
};
