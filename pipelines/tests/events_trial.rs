//! The trials of the events pipeline and of what it replaces, in their shortest form.

mod process;

use std::process::Command;

use serde_json::{Value, json};

fn trial(request: &Value) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_events-trial"));
    let output = process::output(command.args(["run", &request.to_string()]));
    let errors = process::text(&output.stderr);
    assert!(output.status.success(), "{request}: {errors}");
    serde_json::from_slice(&output.stdout).expect("one answer")
}

const SYSTEMS: [&str; 3] = ["pipeline", "coordinator", "router"];

#[test]
fn all_systems_have_the_same_results_at_every_level() {
    for level in ["light", "medium", "heavy", "stress"] {
        let digest = |system: &str| {
            let answer = trial(&json!({
                "scenario": format!("throughput/{system}"), "seed": 7, "warmup_ms": 0, "measure_ms": 1, "items": 100,
                "level": level,
            }));
            assert_eq!(answer["metrics"]["items"], 100.0);
            answer["digest"].clone()
        };
        let digests = SYSTEMS.map(digest);
        assert!(digests[0].is_u64(), "{digests:?}");
        assert!(
            digests.iter().all(|digest| *digest == digests[0]),
            "{level}: {digests:?}"
        );
    }
}

#[test]
fn all_systems_take_events_at_their_own_times() {
    for system in SYSTEMS {
        let load = json!({"phases": [
            {"spike": {"base": 200.0, "times": 3.0, "during_ms": 300}},
        ]});
        let answer = trial(&json!({
            "scenario": format!("latency/{system}"), "seed": 7, "warmup_ms": 10, "measure_ms": 300, "level": "light",
            "load": load,
        }));
        let generator = &answer["generator"];
        assert!(
            generator["sent"].as_u64().is_some_and(|sent| sent > 0),
            "{answer}"
        );
        assert!(
            answer["metrics"]["peak_rss"]
                .as_f64()
                .is_some_and(|bytes| bytes > 0.0),
            "{answer}"
        );
        let latencies = answer["latencies"].as_array().expect("latencies");
        let noted: u64 = latencies.iter().filter_map(|one| one[1].as_u64()).sum();
        assert_eq!(
            Some(noted),
            generator["sent"].as_u64(),
            "each event is done once"
        );
    }
}
