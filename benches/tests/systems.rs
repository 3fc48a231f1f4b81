//! The measurements of the transaction scanner and of the event daemon work from beginning to end, and each table is there. What they
//! measure is judged nowhere here.

#![forbid(unsafe_code)]

use std::process::Command;

#[test]
fn every_table_is_made() {
    let run = Command::new(env!("CARGO_BIN_EXE_systems"))
        .arg("--quick")
        .output()
        .expect("it starts");
    let (text, errors) = (
        String::from_utf8_lossy(&run.stdout),
        String::from_utf8_lossy(&run.stderr),
    );
    assert_eq!(run.status.code(), Some(0), "{errors}");
    let tables = [
        "### Transaction scanner, stage by stage, one thread",
        "### Transaction scanner, a run over 20 transactions",
        "### Event daemon, 50 lines to 3 services",
        "### Event daemon, 50 lines to 10 services",
    ];
    for table in tables {
        assert!(text.contains(table), "no {table}\n{text}");
    }
    for row in ["recover the sender", "workers: 8, in order", "coordinator"] {
        assert!(text.contains(&format!("| {row} ")), "no {row}\n{text}");
    }
}
