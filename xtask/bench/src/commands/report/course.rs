//! What happened over the time of a report's trials: rate, latency, items and memory.

use pipewright_draw::{Axis, Colour, DrawError, Lines, Page, Unit};

use crate::{breaking::Event, details::Moment, results::SavedScenario, session::Side};

/// When a part of the time began, in seconds, and the part.
fn begun(timeline: &[Moment]) -> impl Iterator<Item = (f64, &Moment)> {
    let ends = timeline.iter().map(|moment| moment.end_ms / 1e3);
    std::iter::once(0.0).chain(ends).zip(timeline)
}

/// A value that holds over each part of the time, up to the end of the last one.
fn held(timeline: &[Moment], value: impl Fn(&Moment) -> f64) -> Vec<(f64, f64)> {
    let steps = begun(timeline).map(|(from, moment)| (from, value(moment)));
    let last = timeline.last();
    let end = last.map(|moment| (moment.end_ms / 1e3, value(moment)));
    steps.chain(end).collect()
}

/// A value in the middle of each part of the time that has it.
fn middle(timeline: &[Moment], value: fn(&Moment) -> Option<f64>) -> Vec<(f64, f64)> {
    begun(timeline)
        .filter_map(|(from, moment)| {
            Some((f64::midpoint(from, moment.end_ms / 1e3), value(moment)?))
        })
        .collect()
}

fn seconds() -> Axis {
    Axis::new("seconds after the warm-up", Unit::Seconds).from_zero()
}

/// Rate, latency and the items in the pipeline over the pattern of the load.
pub(super) fn course(page: &mut Page, scenario: &SavedScenario) -> Result<(), DrawError> {
    let sides = &scenario.details.timeline;
    let Some(first) = sides.values().next() else {
        return Ok(());
    };
    let y = Axis::new("items a second", Unit::PerSecond).from_zero();
    let mut rate = Lines::new("Rate over the load pattern", seconds(), y);
    // Both sides were offered the same.
    if offered(first) {
        rate = rate.steps("offered", held(first, |moment| moment.offered));
    }
    for (side, timeline) in sides {
        rate = rate.steps(format!("done, {side:?}"), held(timeline, |part| part.done));
    }
    for (from, moment) in begun(first).filter(|(_, moment)| moment.refused > 0) {
        rate = rate.span(from, moment.end_ms / 1e3, Colour::Bad);
    }
    for (event, number) in events(scenario).iter().zip(1..) {
        rate = rate.instant(event.at_ms / 1e3, format!("{number}"));
    }
    page.chart(&rate)?;
    if !events(scenario).is_empty() {
        page.text("The numbers are those of what happened, which is listed below.");
    }
    if first.iter().any(|moment| moment.refused > 0) {
        page.text("Shaded: the input was full, and items were refused.");
    }
    if first.iter().any(|moment| moment.p50.is_some()) {
        page.chart(&latency(scenario))?;
    }
    if first.iter().any(|moment| moment.queued > 0) {
        page.chart(&queued(scenario))?;
    }
    Ok(())
}

/// What happened while a pipeline had more than it can take.
fn events(scenario: &SavedScenario) -> &[Event] {
    let broken = scenario.findings.breaking.as_ref();
    broken.map_or(&[], |broken| &broken.events)
}

fn offered(timeline: &[Moment]) -> bool {
    timeline.iter().any(|moment| moment.offered > 0.0)
}

fn latency(scenario: &SavedScenario) -> Lines {
    let y = Axis::new("latency", Unit::Nanoseconds).log();
    let sides = scenario.details.timeline.iter();
    sides.fold(
        Lines::new("Latency over the load pattern", seconds(), y),
        |lines, (side, timeline)| {
            lines
                .line(format!("p50, {side:?}"), middle(timeline, |part| part.p50))
                .line(format!("p99, {side:?}"), middle(timeline, |part| part.p99))
                .line(format!("max, {side:?}"), middle(timeline, |part| part.max))
        },
    )
}

fn queued(scenario: &SavedScenario) -> Lines {
    let y = Axis::new("items", Unit::Count).from_zero();
    let title = "The most items in the pipeline over the load pattern";
    let sides = scenario.details.timeline.iter();
    sides
        .fold(
            Lines::new(title, seconds(), y),
            |lines, (side, timeline)| {
                lines.steps(
                    format!("{side:?}"),
                    held(timeline, |part| part.queued as f64),
                )
            },
        )
        .height(220)
}

/// Resident and live bytes over the time.
pub(super) fn memory(page: &mut Page, scenario: &SavedScenario) -> Result<(), DrawError> {
    let resident = |moment: &Moment| (moment.resident > 0.0).then_some(moment.resident);
    let y = Axis::new("resident", Unit::Bytes).from_zero();
    let mut lines = Lines::new("Memory over the time", seconds(), y).height(220);
    let mut any = false;
    for (side, timeline) in &scenario.details.timeline {
        let points: Vec<(f64, f64)> = begun(timeline)
            .filter_map(|(_, part)| Some((part.end_ms / 1e3, resident(part)?)))
            .collect();
        any |= !points.is_empty();
        lines = lines.marked(format!("{side:?}"), points);
    }
    if any {
        page.chart(&lines)?;
    }
    live(page, scenario)
}

fn live(page: &mut Page, scenario: &SavedScenario) -> Result<(), DrawError> {
    let sides = &scenario.details.live_bytes;
    // Where they were asked for they are drawn over the items.
    if sides.is_empty() || scenario.findings.memory.is_some() {
        return Ok(());
    }
    let points = |(side, bytes): (&Side, &Vec<i64>)| {
        let points = (1..).map(f64::from);
        let points = points.zip(bytes.iter().map(|bytes| *bytes as f64));
        (format!("{side:?}"), points.collect::<Vec<_>>())
    };
    let lines = sides.iter().map(points).fold(
        Lines::new(
            "Live bytes over the time",
            Axis::new("note", Unit::Count),
            Axis::new("live", Unit::Bytes),
        )
        .height(220),
        |lines, (name, points)| lines.marked(name, points),
    );
    page.chart(&lines)
}
