//! Retuning: numbers that change while a run goes on.
//!
//! A change holds from the next batch on, wholly or not at all, and the report tells every one of them. With the feature
//! `watch`, `.watch_tuning(path)` does the same whenever a file changes.

#![forbid(unsafe_code)]

use std::error::Error;

use pipewright::pipeline;

/// Uploads records.
#[pipeline]
pub mod telemetry {
    /// Calls so far, and the records of the largest.
    #[sink(from = input, batch = 50, linger = "1min")]
    pub fn upload(records: &[u64], calls: &mut (u64, usize)) {
        calls.0 += 1;
        calls.1 = calls.1.max(records.len());
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let run = telemetry::pipeline().start(())?;
    run.send_all(0..1000)?;

    // The network has become slow: fewer, larger uploads.
    for change in run.retune("operator", r#"(stages: { "upload": (batch: 500) })"#)? {
        println!("{change}");
    }
    run.send_all(1000..5000)?;

    // How many workers there are is fixed when a run starts. Nothing of this is applied.
    let refused = run.retune("operator", r#"(pool: (workers: 60), quantum: "1ms")"#);
    if let Err(error) = refused {
        println!("\n{error}\n");
    }

    let mut report = run.drain()?;
    let (calls, largest) = report.take_state::<telemetry::upload>().unwrap_or_default();
    println!("{calls} uploads, the largest of {largest} records\n{report}");
    Ok(())
}
