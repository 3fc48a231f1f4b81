//! `cargo xtask fuzz topology`

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pipewright_fuzz::topology(data));
