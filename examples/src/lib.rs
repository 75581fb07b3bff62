//! What several of the examples need, and a program of its own would have in a module.

pub mod input;
pub mod peers;
pub mod screen;
