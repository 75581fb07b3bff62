//! The values that are tried one after the other.

/// What the common types that travel as text are read from.
pub(super) const TEXTS: &[&str] = &[
    "",
    "0",
    "1",
    "a",
    "1970-01-01T00:00:00Z",
    "1970-01-01",
    "00:00:00",
    "1970-01-01T00:00:00",
    "00000000-0000-0000-0000-000000000000",
    "127.0.0.1",
    "127.0.0.1:1",
    "http://a.b/",
    "1.0.0",
    "UTC",
    "0000000000000000000000000000000000000000000000000000000000000000",
];

/// Lengths of byte strings: empty, ids, keys, hashes, signatures.
pub(super) const BYTE_STRINGS: &[usize] = &[0, 16, 32, 1, 2, 4, 8, 12, 20, 24, 33, 48, 64];

/// Numbers, in every integer type.
macro_rules! integers {
    () => {
        &[0, 1, 2, 10, 100]
    };
}
pub(super) use integers;
