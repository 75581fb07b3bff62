//! The decoder of key files.

use super::identity::parse_key;
use crate::fuzzing::Decoder;

pub(crate) fn decoders() -> Vec<Decoder> {
    let key = Decoder::new("network/key-file", |bytes| {
        std::str::from_utf8(bytes).is_ok_and(|text| parse_key(text).is_some())
    })
    .sample(format!("{}\n", "07".repeat(32)))
    .sample(format!("{}\r\n", "aF".repeat(32)));
    vec![key]
}
