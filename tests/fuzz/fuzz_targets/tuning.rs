//! `cargo xtask fuzz tuning`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pipewright_fuzz::tuning(data));
