//! Results as text.

use std::io::{self, Write};

use serde::Serialize;

use crate::{
    error::Error,
    metrics,
    results::{Change, Saved, SavedMetric, SavedScenario},
    session::Side,
    verdict::Verdict,
};

/// Prints it. Standard output may be a file on a disk that is full, or a pipe that nobody reads any more.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    // Whoever reads the first lines only, as `head` does, has what it wants.
    let written = match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    };
    written.map_err(|error| Error::Tool(format!("cannot write to standard output: {error}")))
}

/// Prints what was found as one document of JSON.
pub(crate) fn json(found: &impl Serialize) -> Result<(), Error> {
    let text =
        serde_json::to_string_pretty(found).map_err(|error| Error::Tool(error.to_string()))?;
    print(&text)
}

/// A line for each metric of each scenario.
pub(crate) fn text(saved: &Saved) -> String {
    let mut lines = Vec::new();
    for scenario in &saved.scenarios {
        lines.push(head(scenario));
        lines.extend(scenario.metrics.iter().map(metric));
        for found in &scenario.targets {
            lines.push(format!(
                "  target {:<34} {:<10} {}",
                found.target,
                found.result.word(),
                found.measured()
            ));
        }
        for unknown in &scenario.unknown_targets {
            lines.push(format!(
                "  target {:<34} unknown: {}",
                unknown.target, unknown.reason
            ));
        }
        if let Some(limit) = &scenario.findings.limit {
            lines.extend(limit.lines().iter().map(|line| format!("  {line}")));
        }
        lines.extend(stages(scenario));
        for drift in &scenario.findings.trends {
            lines.push(format!(
                "  {} went {:+.1} % from trial to trial (p = {:.1e})",
                drift.metric,
                100.0 * drift.change,
                drift.p
            ));
        }
        if let Some(why) = &scenario.refused {
            lines.push(format!("  refused: {why}"));
        }
    }
    lines.extend(saved.limits.iter().map(|limit| format!("note: {limit}")));
    if saved.partial {
        lines.push("note: partial: not everything was measured".to_owned());
    }
    lines.push(format!("verdict: {}", saved.verdict));
    lines.join("\n")
}

/// Throughput and latency of each stage, where one binary was measured and its stages were told.
fn stages(scenario: &SavedScenario) -> Vec<String> {
    let mut sides = scenario.details.stages.values();
    let (Some(stages), None) = (sides.next(), sides.next()) else {
        return Vec::new();
    };
    if stages.iter().all(|stage| stage.p50.is_none()) {
        return Vec::new();
    }
    let known = |name: &str, value: Option<f64>| {
        let metric = metrics::find(name).zip(value);
        metric.map_or_else(|| "-".to_owned(), |(metric, value)| metric.value(value))
    };
    let mut lines = vec![format!(
        "  {:<16} {:>12} {:>12} {:>12} {:>12}",
        "by stage", "items", "p50", "p95", "p99"
    )];
    lines.extend(stages.iter().map(|stage| {
        format!(
            "  {:<16} {:>12} {:>12} {:>12} {:>12}",
            stage.name,
            known("throughput", stage.rate),
            known("latency_p50", stage.p50),
            known("latency_p95", stage.p95),
            known("latency_p99", stage.p99)
        )
    }));
    lines
}

/// Its name, and what disturbed its trials.
pub(crate) fn head(scenario: &SavedScenario) -> String {
    let disturbed: Vec<String> = scenario
        .disturbed
        .iter()
        .map(|(reason, n)| format!("{reason} {n}"))
        .collect();
    let disturbed = match disturbed.is_empty() {
        true => String::new(),
        false => format!("; disturbed: {}", disturbed.join(", ")),
    };
    let blocks = match scenario.blocks {
        0 => String::new(),
        1 => ", 1 block".to_owned(),
        n => format!(", {n} blocks"),
    };
    format!("{}{blocks}{disturbed}", scenario.id)
}

fn metric(saved: &SavedMetric) -> String {
    let Some(metric) = metrics::find(&saved.name) else {
        return format!("  {}", saved.name);
    };
    let value = |side: Side| {
        let values = saved.sides.get(&side);
        values.map_or_else(String::new, |values| metric.value(values.median))
    };
    let gate = if saved.gate { "*" } else { " " };
    let Some(change) = &saved.change else {
        let spread = saved
            .sides
            .get(&Side::A)
            .map_or_else(String::new, |values| {
                format!(
                    "+- {} in {} trials",
                    metric.value(values.mad),
                    values.values.len()
                )
            });
        return format!(" {gate}{:<16} {:>12}  {spread}", saved.name, value(Side::A));
    };
    format!(
        " {gate}{:<16} {:>12} -> {:>12}  {}",
        saved.name,
        value(Side::A),
        value(Side::B),
        changed(metric, change)
    )
}

fn changed(metric: &metrics::Metric, change: &Change) -> String {
    let interval = match change.interval {
        Some([low, high]) => format!("[{}, {}]", metric.shown(low), metric.shown(high)),
        None => "[too few blocks]".to_owned(),
    };
    let mde = change.mde.map_or_else(
        || "?".to_owned(),
        |mde| metric.shown(mde).trim_start_matches('+').to_owned(),
    );
    let band = metric.shown(change.band);
    let more = match &change.verdict {
        Verdict::Inconclusive { missing: 1 } => ", about 1 block is missing".to_owned(),
        Verdict::Inconclusive { missing } => format!(", about {missing} blocks are missing"),
        Verdict::Refused { why } => format!(": {why}"),
        _ if change.suspect => ", suspect".to_owned(),
        _ => String::new(),
    };
    format!(
        "{} {interval}  finds {mde}, band {}  {}{more}",
        metric.shown(change.estimate),
        band.trim_start_matches('+'),
        change.verdict.word()
    )
}
