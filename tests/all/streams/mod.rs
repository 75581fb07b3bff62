//! Streams between whole nodes.

mod admission;
mod conditions;
mod contracts;
mod cycles;
mod delivery;
mod snippets;
