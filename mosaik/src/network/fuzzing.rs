//! The decoders of the files in the data directory.

use super::identity::{parse_key, parse_start};
use crate::decoder::Decoder;

pub(crate) fn decoders() -> Vec<Decoder> {
    let key = Decoder::new("network/key-file", |bytes| {
        std::str::from_utf8(bytes).is_ok_and(|text| parse_key(text).is_some())
    })
    .sample(format!("{}\n", "07".repeat(32)))
    .sample(format!("{}\r\n", "aF".repeat(32)));
    let start = Decoder::new("network/start-file", |bytes| {
        std::str::from_utf8(bytes).is_ok_and(|text| parse_start(text).is_some())
    })
    .sample("1700000000000000\n")
    .sample(u64::MAX.to_string());
    vec![key, start]
}
