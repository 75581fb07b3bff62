//! A program in the same surroundings.
#![no_implicit_prelude]
#![deny(warnings, missing_docs, clippy::pedantic)]

/// Ends at once.
#[::m0saik::main("strict", crate = ::m0saik, tags = ["strict"])]
async fn main(_network: ::m0saik::Network) {}
