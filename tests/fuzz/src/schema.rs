//! The decoders of `schema`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mosaik_fuzz::run("schema", input));
