//! `bench alloc` and `bench mem`: what is allocated, and whether anything stays behind.
//!
//! Neither has guards against a machine that disturbs them: allocations and bytes are counted, and a trial that takes longer counts
//! the same.

use std::time::Duration;

use super::{
    options::{Interrupt, Output, Source, during_ms, matching},
    progress::Progress,
    saving::Keeper,
};
use crate::{
    details::Details,
    error::{Error, code},
    findings::{Findings, Memory},
    memory::{Drained, allocating, drained, leak},
    process::Binary,
    protocol::{Answer, Request, Scenario},
    results::{Saved, SavedScenario},
    session::Side,
};

/// What `bench alloc` understands.
#[derive(Debug, clap::Args)]
pub(crate) struct AllocArgs {
    /// Only scenarios that have one of these in their name
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// How long each is looked at
    #[arg(long, value_name = "TIME", default_value = "1s")]
    during: String,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    source: Source,
}

/// What `bench mem` understands.
#[derive(Debug, clap::Args)]
pub(crate) struct MemArgs {
    /// Only scenarios that have one of these in their name
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// How long the live bytes of each are watched, at least 1s
    #[arg(long, value_name = "TIME", default_value = "5s")]
    during: String,
    /// How often each is started and ended
    // The second half counts; in fewer times before it not everything is made that a process makes once and keeps.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(12..=10_000))]
    cycles: u32,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    source: Source,
}

/// In less time too few items come to tell a leak from memory that goes up and down.
const WATCHED: Duration = Duration::from_secs(1);

/// The scenarios that begin with this, and are meant.
fn meant(binary: &Binary, patterns: &[String], kind: &str) -> Result<Vec<Scenario>, Error> {
    let mut all = binary.list()?.scenarios;
    all.retain(|scenario| scenario.id.starts_with(kind));
    match (all.is_empty(), patterns.is_empty()) {
        (true, _) => Err(Error::Usage(format!(
            "no scenario begins with `{kind}`: give a binary with an allocator that counts"
        ))),
        (_, true) => Ok(all),
        (_, false) => matching(patterns, &all),
    }
}

/// `bench alloc`: allocations of each stage, and how long it works.
pub(crate) fn alloc(args: &AllocArgs) -> Result<u8, Error> {
    let measure_ms = during_ms(&args.during, Duration::from_millis(1))?;
    let subject = args.source.subject("trial-memory")?;
    let binary = subject.binary()?;
    let scenarios = meant(&binary, &args.patterns, "memory/")?;
    let subjects = [(Side::A, &subject)];
    let mut keeper = Keeper::new(&args.output, "alloc", &subjects);
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new(scenarios.len(), args.output.quiet);
    let mut lines = Vec::new();
    let mut failed = 0;
    let mut measure = || -> Result<(), Error> {
        for scenario in &scenarios {
            let request = Request::new(&scenario.id, 1, [200, measure_ms]);
            let answer = interrupt.check(binary.run(&request))?;
            progress.step(&scenario.id);
            let (text, fails) = allocations(scenario, &answer);
            lines.extend(text);
            failed += fails;
            keeper.keep(kept(&scenario.id, &answer, Vec::new()))?;
        }
        Ok(())
    };
    let ended = measure();
    progress.end();
    let verdict = match failed {
        0 => "pass",
        _ => "something allocates",
    };
    keeper.end(ended, verdict, |saved| text(lines, saved))?;
    Ok(if failed == 0 {
        code::PASS
    } else {
        code::BUDGET
    })
}

/// A line for each stage, and how many allocate.
fn allocations(scenario: &Scenario, answer: &Answer) -> (Vec<String>, usize) {
    let whole = answer.metrics.get("allocs_per_item").copied();
    let whole = whole.unwrap_or(f64::NAN);
    let mut lines = vec![format!("{}: {whole:.4} allocations an item", scenario.id)];
    if !answer.stages.is_empty() {
        lines.push(format!(
            "  {:<12} {:>10} {:>14} {:>12} {:>10}",
            "stage", "items", "allocs/item", "bytes/item", "ns/item"
        ));
    }
    for stage in &answer.stages {
        let each = |n: u64| n as f64 / stage.items.max(1) as f64;
        lines.push(format!(
            "  {:<12} {:>10} {:>14.4} {:>12.2} {:>10.0}",
            stage.name,
            stage.items,
            each(stage.allocations),
            each(stage.bytes),
            each(stage.busy_ns)
        ));
    }
    if scenario.allocates {
        return (lines, 0);
    }
    let named = allocating(&answer.stages);
    for (stage, each) in &named {
        lines.push(format!(
            "  FAILED: `{stage}` allocates {each:.3} times an item, and may not allocate"
        ));
    }
    // What is between the stages allocates, too.
    let outside = named.is_empty() && crate::memory::allocates(whole);
    if outside {
        lines.push(format!(
            "  FAILED: {whole:.3} allocations an item outside of its stages, and there may be none"
        ));
    }
    (lines, named.len() + usize::from(outside))
}

/// `bench mem`: the live bytes while items go through, and after it has ended.
pub(crate) fn mem(args: &MemArgs) -> Result<u8, Error> {
    let measure_ms = during_ms(&args.during, WATCHED)?;
    let subject = args.source.subject("trial-memory")?;
    let binary = subject.binary()?;
    let scenarios = meant(&binary, &args.patterns, "memory/")?;
    let drains = binary.list()?.scenarios;
    let subjects = [(Side::A, &subject)];
    let mut keeper = Keeper::new(&args.output, "mem", &subjects);
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new(2 * scenarios.len(), args.output.quiet);
    let mut lines = Vec::new();
    let mut failed = 0;
    let mut measure = || -> Result<(), Error> {
        for scenario in &scenarios {
            let request = Request::new(&scenario.id, 1, [200, measure_ms]);
            let answer = interrupt.check(binary.run(&request))?;
            progress.step(&scenario.id);
            let drain = scenario.id.replacen("memory/", "drain/", 1);
            let mut after = Vec::new();
            if drains.iter().any(|one| one.id == drain) {
                let request = Request {
                    cycles: Some(args.cycles),
                    ..Request::new(&drain, 1, [0, 1])
                };
                after = interrupt.check(binary.run(&request))?.live_bytes;
                progress.step(&drain);
            }
            let (text, fails) = kept_bytes(&scenario.id, &answer, &after)?;
            lines.extend(text);
            failed += fails;
            keeper.keep(kept(&scenario.id, &answer, after))?;
        }
        Ok(())
    };
    let ended = measure();
    progress.end();
    let verdict = match failed {
        0 => "pass",
        _ => "something stays behind",
    };
    keeper.end(ended, verdict, |saved| text(lines, saved))?;
    Ok(if failed == 0 {
        code::PASS
    } else {
        code::BUDGET
    })
}

/// What is said of live bytes, and how much of it is bad.
fn kept_bytes(id: &str, answer: &Answer, after: &[i64]) -> Result<(Vec<String>, usize), Error> {
    let (Some(first), Some(last)) = (answer.live_bytes.first(), answer.live_bytes.last()) else {
        return Err(Error::Tool(format!("`{id}` told no live bytes")));
    };
    let most = answer.live_bytes.iter().max().unwrap_or(last);
    let mut failed = 0;
    let mut lines = vec![format!(
        "{id}: {first} live bytes at first, {last} at last, at most {most}"
    )];
    lines.push(match leak(answer) {
        None => "  while it runs: they do not go up all the time".to_owned(),
        Some(leak) => {
            failed += 1;
            let stage = leak.stage.map_or_else(
                || "outside of the stages".to_owned(),
                |stage| format!("in `{stage}`"),
            );
            format!(
                "  FAILED while it runs: {:.3} bytes an item stay behind {stage} (p = {:.1e})",
                leak.bytes_per_item, leak.p
            )
        }
    });
    if let Some(found) = drained(after) {
        lines.push(match found {
            Drained::Exactly { bytes, times } => format!(
                "  started and ended: exactly {bytes} live bytes after each of the last {times} times"
            ),
            Drained::Not { bytes, times } => {
                failed += 1;
                format!(
                    "  FAILED started and ended: {bytes:+} bytes over the last {times} times, and there may be none"
                )
            }
        });
    }
    Ok((lines, failed))
}

fn kept(id: &str, answer: &Answer, drained: Vec<i64>) -> SavedScenario {
    SavedScenario {
        id: id.to_owned(),
        seed: 1,
        details: Details::of(&[(Side::A, answer)]),
        findings: Findings {
            memory: Some(Memory {
                live_bytes: answer.live_bytes.clone(),
                drained,
                leak: leak(answer),
                stages: answer.stages.clone(),
            }),
            ..Findings::default()
        },
        ..SavedScenario::default()
    }
}

fn text(mut lines: Vec<String>, saved: &Saved) -> String {
    if saved.partial {
        lines.push("note: partial: not everything was measured".to_owned());
    }
    lines.push(format!("verdict: {}", saved.verdict));
    lines.join("\n")
}
