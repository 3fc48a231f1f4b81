//! `cargo xtask fuzz tokens`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pipewright_fuzz::tokens_in_one_way(data));
