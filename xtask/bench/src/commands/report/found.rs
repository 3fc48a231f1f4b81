//! What the questions of a report found: where a pipeline breaks, what more workers bring, what stays in memory.

use pipewright_draw::{Axis, Colour, DrawError, Lines, Page, Table, Unit};

use crate::{
    breaking::Broken,
    findings::{Memory, Scaling},
    memory::{Drained, drained},
    results::SavedScenario,
    stats::{FEWEST_WORKERS, Fitted, median, theil_sen},
};

/// A chart of each answer, with its evidence.
pub(super) fn found(page: &mut Page, scenario: &SavedScenario) -> Result<(), DrawError> {
    let found = &scenario.findings;
    if let Some(broken) = &found.breaking {
        breaking(page, broken)?;
    }
    if let Some(scaling) = &found.scaling {
        workers(page, scaling)?;
    }
    if let Some(kept) = &found.memory {
        memory(page, kept)?;
    }
    Ok(())
}

/// What was done of each rate that came, and what happened in which order.
fn breaking(page: &mut Page, broken: &Broken) -> Result<(), DrawError> {
    let most = broken.steps.iter().map(|step| step.offered);
    let most = most.fold(broken.peak, f64::max);
    let done = broken.steps.iter().map(|step| (step.offered, step.done));
    let chart = Lines::new(
        "Done by offered load, step by step",
        Axis::new("items a second that come", Unit::PerSecond).from_zero(),
        Axis::new("items a second that are done", Unit::PerSecond).from_zero(),
    )
    .marked("done", done)
    .line("all that come", [(0.0, 0.0), (most, most)])
    .coloured(Colour::Muted)
    .level(
        broken.peak,
        format!("peak {}", Unit::PerSecond.write(broken.peak)),
    );
    page.chart(&chart)?;
    page.text("The load goes up step by step, and back to its first step in the end: the line that comes back tells whether it recovered.");
    page.table(&steps(broken));
    page.text(match broken.events.is_empty() {
        true => "Nothing happened: it can take more than it was given.",
        false => "What happened, in this order:",
    });
    page.list(broken.events.iter().zip(1..).map(|(event, number)| {
        format!(
            "{number}. {} after the warm-up, at {}: {}: {}",
            Unit::Seconds.write(event.at_ms / 1e3),
            Unit::PerSecond.write(event.rate),
            event.what.word(),
            event.evidence
        )
    }));
    let gave = broken.gave_out.as_ref();
    page.list(gave.map(|gave| {
        format!(
            "gave out first: {}: {}",
            gave.resource.word(),
            gave.evidence
        )
    }));
    let usual = Unit::Nanoseconds.write(broken.usual_p99_ns);
    match broken.recovered_ms {
        Some(ms) => page.banner(
            Colour::Good,
            &format!(
                "as before (p99 {usual}) {} after the load had gone back",
                Unit::Seconds.write(ms / 1e3)
            ),
        ),
        None => page.banner(
            Colour::Bad,
            &format!("not as before (p99 {usual}) as long as it was watched"),
        ),
    }
    Ok(())
}

fn steps(broken: &Broken) -> Table {
    let headings = ["offered", "done", "p99", "busy", "refused", "resident"];
    let mut table = Table::new(headings).numbers(0..headings.len());
    for step in &broken.steps {
        table.row([
            Unit::PerSecond.write(step.offered),
            Unit::PerSecond.write(step.done),
            step.p99_ns
                .map_or_else(|| "-".to_owned(), |ns| Unit::Nanoseconds.write(ns)),
            Unit::Percent.write(step.busy),
            step.refused.to_string(),
            Unit::Bytes.write(step.resident as f64),
        ]);
    }
    table
}

/// Throughput by the number of workers, with the law where there is one.
fn workers(page: &mut Page, scaling: &Scaling) -> Result<(), DrawError> {
    let rounds = || scaling.rounds.iter().map(|(n, all)| (f64::from(*n), all));
    let middles: Vec<(f64, f64)> = rounds()
        .filter_map(|(n, all)| Some((n, median(all)?)))
        .collect();
    let each = rounds().flat_map(|(n, all)| all.iter().map(move |rate| (n, *rate)));
    let most = middles.iter().map(|(n, _)| *n).fold(1.0, f64::max);
    let mut chart = Lines::new(
        "Throughput by the number of workers",
        Axis::new("workers", Unit::Count).from_zero(),
        Axis::new("items a second", Unit::PerSecond).from_zero(),
    )
    .marked("median", middles.iter().copied())
    .points("each round", each);
    if let Some((n, rate)) = middles.first() {
        let all = [(*n, *rate), (most, rate * most / n)];
        chart = chart.line("in proportion", all).coloured(Colour::Muted);
    }
    if let Some(Fitted { law, .. }) = scaling.law {
        // No further than what was measured: beyond that the law is a guess.
        let curve = (10..=(10.0 * most) as u32).map(|tenth| f64::from(tenth) / 10.0);
        chart = chart.line("universal scalability law", curve.map(|n| (n, law.at(n))));
    }
    page.chart(&chart)?;
    page.text(&match &scaling.law {
        Some(fitted) => format!("The universal scalability law: {fitted}."),
        None => format!(
            "The universal scalability law is not fitted: it takes {FEWEST_WORKERS} numbers of workers, none of them above that of the processors."
        ),
    });
    Ok(())
}

/// Live bytes while items go through, and each time that it has ended.
fn memory(page: &mut Page, memory: &Memory) -> Result<(), DrawError> {
    let live = over_items(memory);
    // Without stages nobody counted the items.
    let name = match memory.stages.is_empty() {
        true => "note",
        false => "items that came through",
    };
    let mut chart = Lines::new(
        "Live bytes over the items",
        Axis::new(name, Unit::Count).from_zero(),
        Axis::new("live, more than at first", Unit::Bytes),
    )
    .marked("live", live.iter().copied());
    if let (Some(leak), Some(line)) = (&memory.leak, trend(&live)) {
        let name = format!(
            "{:.3} bytes stay behind with each item",
            leak.bytes_per_item
        );
        chart = chart.line(name, line).coloured(Colour::Bad);
    }
    page.chart(&chart)?;
    match &memory.leak {
        Some(leak) => page.banner(
            Colour::Bad,
            &format!(
                "{:.3} bytes an item stay behind {} (p = {:.1e})",
                leak.bytes_per_item,
                leak.stage.as_ref().map_or_else(
                    || "outside of the stages".to_owned(),
                    |stage| format!("in `{stage}`")
                ),
                leak.p
            ),
        ),
        None => page.text("While it runs they do not go up all the time."),
    }
    ends(page, memory)
}

/// What is more than the first: of millions of bytes a hundred more are not to be seen.
fn growth(bytes: &[i64]) -> impl Iterator<Item = f64> {
    let first = bytes.first().copied().unwrap_or_default();
    bytes.iter().map(move |bytes| (bytes - first) as f64)
}

/// By how much live bytes had grown by the items that had come through; by notes where no stage counted them.
fn over_items(memory: &Memory) -> Vec<(f64, f64)> {
    let notes = memory.live_bytes.len() as f64;
    let items = memory
        .stages
        .first()
        .map_or(notes, |stage| stage.items as f64);
    let at = (1..).map(|note| f64::from(note) * items / notes);
    at.zip(growth(&memory.live_bytes)).collect()
}

/// The line of Theil and Sen through points, from the first of them to the last.
fn trend(points: &[(f64, f64)]) -> Option<[(f64, f64); 2]> {
    let slope = theil_sen(points)?;
    let heights: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    let height = median(&heights)?;
    let at = |x: f64| (x, height + slope * x);
    Some([at(points.first()?.0), at(points.last()?.0)])
}

fn ends(page: &mut Page, memory: &Memory) -> Result<(), DrawError> {
    let Some(found) = drained(&memory.drained) else {
        return Ok(());
    };
    let times = (1..).map(f64::from);
    let points = times.zip(growth(&memory.drained));
    let chart = Lines::new(
        "Live bytes each time that it was started and had ended",
        Axis::new("time", Unit::Count).from_zero(),
        Axis::new("live, more than the first time", Unit::Bytes),
    )
    .height(220)
    .marked("", points);
    page.chart(&chart)?;
    match found {
        Drained::Exactly { bytes, times } => page.text(&format!(
            "Exactly {bytes} bytes after each of the last {times} times."
        )),
        Drained::Not { bytes, times } => page.banner(
            Colour::Bad,
            &format!("{bytes:+} bytes over the last {times} times, and there may be none"),
        ),
    }
    Ok(())
}
