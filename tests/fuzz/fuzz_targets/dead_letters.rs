//! `cargo xtask fuzz dead_letters`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pipewright_fuzz::dead_letters(data));
