//! The decoders of `groups`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| mosaik_fuzz::run("groups", input));
