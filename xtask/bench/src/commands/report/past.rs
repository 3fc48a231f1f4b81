//! The history of a report's scenarios, with the points where they changed.

use pipewright_draw::{Axis, DrawError, Lines, Page, Unit};

use crate::{
    commands::history::{acknowledged, in_words},
    history::{self, History, Key, LEAST, Line, P},
    metrics,
    results::SavedScenario,
};

/// Runs that are drawn: those before are too far away to be seen.
const LAST: usize = 200;

/// A chart for each metric that gates, of the runs that were set up like this one.
pub(super) fn past(
    page: &mut Page,
    mode: &str,
    scenario: &SavedScenario,
    history: &History,
) -> Result<(), DrawError> {
    let setup = history::setup(mode, scenario);
    let all = history.series();
    for metric in scenario.metrics.iter().filter(|metric| metric.gate) {
        let key = Key {
            scenario: scenario.id.clone(),
            metric: metric.name.clone(),
            setup: setup.clone(),
        };
        if let Some(lines) = all.get(&key).filter(|lines| lines.len() > 1) {
            let lines = &lines[lines.len().saturating_sub(LAST)..];
            series(page, history, &key, lines)?;
        }
    }
    Ok(())
}

fn series(page: &mut Page, history: &History, key: &Key, lines: &[&Line]) -> Result<(), DrawError> {
    let found = history::changes(lines, P, LEAST);
    let number = |at: usize| (at + 1) as f64;
    let points = lines.iter().enumerate();
    let points = points.map(|(at, line)| (number(at), line.median));
    let band = lines.iter().enumerate().map(|(at, line)| {
        let (low, high) = (line.median - line.mad, line.median + line.mad);
        (number(at), low, high)
    });
    let title = format!("History of {}, {} runs", key.metric, lines.len());
    let y = Axis::new(key.metric.as_str(), unit(&key.metric));
    let mut chart = Lines::new(title, Axis::new("run", Unit::Count), y)
        .height(220)
        .band(band)
        .marked("", points);
    for change in found.iter().flatten() {
        let commit: String = change.commit.chars().take(8).collect();
        chart = chart.instant(number(change.at), commit);
    }
    page.chart(&chart)?;
    match found {
        None => page.text("Too few runs to see where it changed."),
        Some(found) => page.list(found.iter().map(|change| {
            let commit: String = change.commit.chars().take(12).collect();
            let ack = history.acknowledged(key, lines, change);
            format!(
                "{commit}, {}: {}{}",
                change.started,
                in_words(&key.metric, change),
                acknowledged(ack.map(|ack| ack.reason.as_str()))
            )
        })),
    }
    Ok(())
}

/// How the values of a metric are written.
pub(super) fn unit(metric: &str) -> Unit {
    match metrics::find(metric).map(|metric| metric.unit) {
        Some("ns") => Unit::Nanoseconds,
        Some("bytes") => Unit::Bytes,
        Some("items/s") => Unit::PerSecond,
        _ => Unit::Number,
    }
}
