//! The decoders of `streams`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mosaik_fuzz::run("streams", input));
