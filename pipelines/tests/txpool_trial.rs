//! The trials of the txpool pipeline and of its stages one after the other, in their shortest form.

mod process;

use std::process::Command;

use serde_json::{Value, json};

fn trial(request: &Value) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_txpool-trial"));
    let output = process::output(command.args(["run", &request.to_string()]));
    let errors = process::text(&output.stderr);
    assert!(output.status.success(), "{request}: {errors}");
    serde_json::from_slice(&output.stdout).expect("one answer")
}

const POOLS: [&str; 2] = ["pipeline", "sequential"];

#[test]
fn both_pools_decide_alike_also_when_transactions_come_again() {
    for (seed, items) in [(7, 300), (8, 2_300)] {
        let digest = |pool: &str, workers: u32| {
            let answer = trial(&json!({
                "scenario": format!("throughput/{pool}"), "seed": seed, "warmup_ms": 0, "measure_ms": 1,
                "items": items, "workers": workers,
            }));
            assert_eq!(answer["metrics"]["items"], f64::from(items));
            answer["digest"].clone()
        };
        let expect = digest("sequential", 1);
        assert!(expect.is_u64(), "{expect}");
        for workers in [1, 2] {
            assert_eq!(digest("pipeline", workers), expect, "{workers} workers");
        }
    }
}

#[test]
fn both_pools_take_transactions_at_their_own_times() {
    for pool in POOLS {
        let load = json!({"phases": [
            {"spike": {"base": 100.0, "times": 3.0, "during_ms": 300}},
        ]});
        let answer = trial(&json!({
            "scenario": format!("latency/{pool}"), "seed": 7, "warmup_ms": 10, "measure_ms": 300, "load": load,
        }));
        let sent = answer["generator"]["sent"].as_u64();
        assert!(sent.is_some_and(|sent| sent > 0), "{answer}");
        let latencies = answer["latencies"].as_array().expect("latencies");
        let noted: u64 = latencies.iter().filter_map(|one| one[1].as_u64()).sum();
        assert_eq!(Some(noted), sent, "each transaction is decided on once");
    }
}
