//! mosaik: a runtime for self-organizing distributed systems.

mod clock;
mod random;
mod tasks;
