//! Tuning: numbers that change without compiling.
//!
//! `upload.tuning.ron` beside this file changes how many records one upload takes. The shape of a pipeline is fixed when
//! it is compiled, and a file that wants to change it, names a stage that is not there, or holds a number without its
//! unit is refused as a whole, with every mistake shown at its place. Other files can be given as
//! `PIPEWRIGHT_TUNING=my.tuning.ron`, to any program with a pipeline.

#![forbid(unsafe_code)]

use std::error::Error;

use pipewright::{Report, pipeline};

/// Beside this file, wherever the program is started.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/bin/upload.tuning.ron");

/// What no pipeline can be tuned by, and what this one cannot.
const WRONG: [&str; 2] = [
    r#"(stages: {
    "records": (from: "upload"),
    "upload": (linger: 20),
})"#,
    r#"(stages: {
    "uplaod": (batch: 500),
    "upload": (queue: "4Ki"),
})"#,
];

/// Uploads records.
#[pipeline]
pub mod telemetry {
    /// Up to 200 at a time are taken from here.
    #[source(batch = 200)]
    pub fn records() -> impl Iterator<Item = u64> {
        (0..1000).map(|n| n * n)
    }

    /// Calls so far, and the records of the largest.
    #[sink(from = records, batch = 50)]
    pub fn upload(records: &[u64], calls: &mut (u64, usize)) {
        calls.0 += 1;
        calls.1 = calls.1.max(records.len());
    }
}

fn show(numbers: &str, mut report: Report<telemetry::Pipeline>) {
    let (calls, largest) = report.take_state::<telemetry::upload>().unwrap_or_default();
    println!("{numbers}: {calls} uploads, the largest of {largest} records\n{report}\n");
}

fn main() -> Result<(), Box<dyn Error>> {
    show("as compiled", telemetry::pipeline().start(())?.wait()?);

    let tuned = telemetry::pipeline().tuning_file(FILE)?;
    show("as tuned", tuned.start(())?.wait()?);

    for (text, name) in WRONG
        .into_iter()
        .zip(["wrong.tuning.ron", "misfit.tuning.ron"])
    {
        if let Err(error) = telemetry::pipeline().tuning(name, text) {
            println!("{error}\n");
        }
    }
    Ok(())
}
