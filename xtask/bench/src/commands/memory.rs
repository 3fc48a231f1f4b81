//! `bench alloc` and `bench mem`: what stages allocate, and whether anything stays behind.

use std::path::Path;

use super::{build::Subject, options::time};
use crate::{
    error::{Error, code},
    memory::{allocating, bottleneck, leak},
    protocol::{Answer, Request},
};

/// The scenario that counts allocations.
const SCENARIO: &str = "memory/events";

fn measure(bin: Option<&Path>, measure_ms: u64) -> Result<Answer, Error> {
    let subject = match bin {
        Some(path) => Subject::named_or_built(Some(path))?,
        None => Subject::built("trial-memory")?,
    };
    subject.binary()?.run(&Request {
        scenario: SCENARIO.to_owned(),
        seed: 1,
        warmup_ms: 200,
        measure_ms,
        workers: None,
        load: None,
        plant: None,
    })
}

/// `bench alloc`: allocations of each stage, and how long it works.
pub(crate) fn alloc(bin: Option<&Path>) -> Result<u8, Error> {
    let answer = measure(bin, 2_000)?;
    println!(
        "{:<12} {:>10} {:>14} {:>12} {:>10}",
        "stage", "items", "allocs/item", "bytes/item", "ns/item"
    );
    for stage in &answer.stages {
        let each = |n: u64| n as f64 / stage.items.max(1) as f64;
        println!(
            "{:<12} {:>10} {:>14.4} {:>12.2} {:>10.0}",
            stage.name,
            stage.items,
            each(stage.allocations),
            each(stage.bytes),
            each(stage.busy_ns)
        );
    }
    if let Some(found) = bottleneck(&answer.stages) {
        println!(
            "bottleneck: `{}`, {:.0} % of the time in stages; in half the time there, {:.2} times the throughput of one worker",
            found.stage,
            100.0 * found.share,
            found.gain_if_halved
        );
    }
    let named = allocating(&answer.stages);
    for (stage, each) in &named {
        println!("FAILED: `{stage}` allocates {each:.3} times an item, and may not allocate");
    }
    Ok(if named.is_empty() {
        code::PASS
    } else {
        code::BUDGET
    })
}

/// `bench mem`: the live bytes while items go through.
pub(crate) fn mem(bin: Option<&Path>, during: Option<&str>) -> Result<u8, Error> {
    let during = during.map(|text| time("--during", text)).transpose()?;
    let answer = measure(bin, during.map_or(5_000, |time| time.as_millis() as u64))?;
    let (Some(first), Some(last)) = (answer.live_bytes.first(), answer.live_bytes.last()) else {
        return Err(Error::Tool(format!("`{SCENARIO}` told no live bytes")));
    };
    let most = answer.live_bytes.iter().max().unwrap_or(last);
    println!("live bytes: {first} at first, {last} at last, at most {most}");
    match leak(&answer) {
        None => {
            println!("no leak: they do not go up all the time");
            Ok(code::PASS)
        }
        Some(leak) => {
            let stage = leak.stage.map_or_else(
                || "outside of the stages".to_owned(),
                |stage| format!("in `{stage}`"),
            );
            println!(
                "FAILED: {:.3} bytes an item stay behind {stage} (p = {:.1e})",
                leak.bytes_per_item, leak.p
            );
            Ok(code::BUDGET)
        }
    }
}
