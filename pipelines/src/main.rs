//! The binary: everything is in the library, but the allocator.

#![forbid(unsafe_code)]

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

// Blocks of input are freed on other threads than those that read them, in bursts: memory goes back to the system in the
// background and within seconds, and not in the middle of a run. `allocator.rs` reads back what is in effect.
#[cfg(feature = "jemalloc")]
pipewright::jemalloc_conf!(
    "background_thread:true,metadata_thp:auto,dirty_decay_ms:5000,muzzy_decay_ms:0"
);

fn main() -> std::process::ExitCode {
    pipewright_pipelines::cli::main()
}
