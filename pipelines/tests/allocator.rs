//! The allocator of the binary is the one that its feature says, configured as its `main.rs` says.

#![forbid(unsafe_code)]

mod process;

use std::process::Command;

use serde_json::{Value, json};

fn allocator(environment: Option<&str>) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pipewright"));
    command.args(["txpool", "--json", "--transactions", "50"]);
    command.env_remove("_RJEM_MALLOC_CONF");
    if let Some(options) = environment {
        command.env("_RJEM_MALLOC_CONF", options);
    }
    let output = process::output(&mut command);
    assert!(output.status.success());
    process::json(&output)["allocator"].clone()
}

#[cfg(feature = "jemalloc")]
#[test]
fn jemalloc_runs_with_what_was_linked_in() {
    let check = |environment, dirty_decay_ms: i64| {
        let allocator = allocator(environment);
        assert_eq!(allocator["name"], "jemalloc", "{allocator}");
        // jemalloc alone would have no background thread, no huge pages for itself, and 10 s.
        let mut options = allocator["options"].clone();
        assert!(options["narenas"].take().as_u64() > Some(0));
        let expect = json!({
            "background_thread": true,
            "dirty_decay_ms": dirty_decay_ms,
            "metadata_thp": "auto",
            "muzzy_decay_ms": 0,
            "narenas": null,
        });
        assert_eq!(options, expect);
        let bytes = |key: &str| allocator[key].as_u64().expect("a number");
        assert!(bytes("allocated_bytes") > 0);
        assert!(bytes("resident_bytes") >= bytes("allocated_bytes"));
    };
    check(None, 5000);
    // The environment goes over it.
    check(Some("dirty_decay_ms:1234"), 1234);
}

#[cfg(not(feature = "jemalloc"))]
#[test]
fn without_the_feature_it_is_the_allocator_of_the_system() {
    assert_eq!(allocator(None), json!({ "name": "system" }));
}
