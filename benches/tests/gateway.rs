//! The measurements of the gateway work from beginning to end: they start what they compare with, the results are equal, and each table
//! is there. What they measure is judged nowhere here.

#![forbid(unsafe_code)]

use std::process::Command;

use pipewright_benches::gateway::servers::find;

#[test]
fn every_table_is_made_and_results_are_equal() {
    let run = Command::new(env!("CARGO_BIN_EXE_gateway"))
        .arg("--quick")
        .output();
    let run = run.expect("it starts");
    let (text, errors) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    let has_redis = find("redis-server").is_some();
    let mut tables = vec![
        "### Cache, one thread",
        "### Cache, by its size",
        "### Cache, several threads",
        "### Policies, one thread",
        "### Policies, several threads",
        "### Policies, compiling",
        "### Policies, simple (roles), against a policy server: ",
        "### Policies, complex (tenants), against a policy server: ",
        "### The whole gateway",
        "### Memory",
        "### Claims",
    ];
    if has_redis {
        tables.push("### Cache against Redis ");
        assert_eq!(run.status.code(), Some(0), "{errors}");
    } else {
        eprintln!(
            "SKIPPED: there is no `redis-server`, so the cache was compared with nothing; apt-get install redis-server"
        );
        assert_eq!(run.status.code(), Some(2), "{errors}");
    }
    for table in tables {
        assert!(text.contains(table), "no {table}\n{text}\n{errors}");
    }
}
