//! What the macros refuse, and the words they use.
//!
//! `fail/` holds errors of ours, the same on every toolchain; `fail-traits/` the few that the
//! compiler words around texts of ours, which are compared on the pinned toolchain only. One case:
//! `cargo test -p mosaik-ui-tests --test ui refusals -- trybuild=intent_empty.rs`; accept changes with
//! `TRYBUILD=overwrite`.

#[test]
fn refusals() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("fail/*.rs");
    cases.compile_fail("fail-traits/*.rs");
}
