//! Nodes: how they start, what they are reached by, how they end.

mod identity;
mod lifetime;
mod limits;
mod loss;
mod superseded;
mod topology;
