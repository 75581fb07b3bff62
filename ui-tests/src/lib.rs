//! What the macros of mosaik accept and refuse, seen from outside. There is nothing to depend on
//! here: see `fail/`, `fail-traits/`, `tests/` and the package `strict/`.
