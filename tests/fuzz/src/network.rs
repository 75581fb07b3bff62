//! The decoders of `network`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mosaik_fuzz::run("network", input));
