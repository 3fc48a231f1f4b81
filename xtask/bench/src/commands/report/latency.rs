//! The latency charts of a report: percentiles, time by latency, and what rates do to it.

use pipewright_draw::{Axis, Colour, HeatMap, Lines, Unit, format};

use crate::{
    details::{Moment, Tried, lengths},
    results::SavedScenario,
    session::Side,
};

/// Latency by percentile.
pub(super) fn percentiles(scenario: &SavedScenario) -> Lines {
    let x = Axis::tail("items");
    let y = Axis::new("latency", Unit::Nanoseconds).log();
    let mut lines = Lines::new("Latency by percentile", x, y);
    for (side, counts) in &scenario.latencies {
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        let mut below = 0;
        let points: Vec<(f64, f64)> = counts
            .iter()
            .map(|(length, count)| {
                below += count;
                (below as f64 / total as f64, *length as f64)
            })
            // The last one has nothing beyond it: it is at no percentile.
            .filter(|(share, _)| *share < 1.0)
            .collect();
        lines = lines.line(format!("{side:?}"), points);
    }
    lines
}

/// How many items had which latency when: rows are latencies, the longest above.
pub(super) fn heat_map(side: Side, timeline: &[Moment]) -> Option<HeatMap> {
    let all = timeline.iter().flat_map(|moment| &moment.latencies);
    let (least, most) = all.fold((u64::MAX, 0), |(least, most), (length, _)| {
        (least.min(*length), most.max(*length))
    });
    if most == 0 {
        return None;
    }
    let title = format!("Latency over time, {side:?}: how many items");
    let ends = timeline
        .iter()
        .map(|moment| format::digits(moment.end_ms / 1e3));
    let map = HeatMap::new(title, Unit::Count)
        .log()
        .colours_only()
        .axes("seconds after the warm-up", ends);
    let rows = lengths(least, most);
    Some(rows.fold(map, |map, length| {
        let count = |moment: &Moment| {
            let cell = moment.latencies.iter().find(|(of, _)| *of == length);
            cell.map_or(f64::NAN, |(_, count)| *count as f64)
        };
        map.row(
            format::nanoseconds(length as f64),
            timeline.iter().map(count),
        )
    }))
}

/// Latency by the rate that came through, with its knee, and what it had to keep to.
pub(super) fn curve(scenario: &SavedScenario) -> Option<Lines> {
    let mut tried: Vec<&Tried> = scenario.details.curve.iter().collect();
    if tried.is_empty() {
        return None;
    }
    tried.sort_by(|one, other| one.offered.total_cmp(&other.offered));
    let points = |value: fn(&Tried) -> Option<f64>| -> Vec<(f64, f64)> {
        let all = tried.iter();
        all.filter_map(|tried| Some((tried.achieved, value(tried)?)))
            .collect()
    };
    let mut lines = Lines::new(
        "Latency by throughput",
        Axis::new("items that came through", Unit::PerSecond).from_zero(),
        Axis::new("latency", Unit::Nanoseconds).log(),
    )
    .points("p50", points(|tried| tried.p50))
    .points("p99", points(|tried| tried.p99));
    let most = |good: bool, of: fn(f64, f64) -> f64, from: f64| {
        let rates = tried.iter().filter(|tried| tried.sustainable == good);
        rates.map(|tried| tried.achieved).fold(from, of)
    };
    let (low, high) = (most(true, f64::max, 0.0), most(false, f64::min, f64::MAX));
    if low > 0.0 && high < f64::MAX && low < high {
        lines = lines.span(low, high, Colour::Warn);
    }
    if let Some(knee) = knee(&tried) {
        lines = lines.instant(knee, "knee");
    }
    let through = tried.iter().map(|tried| tried.achieved);
    let widest = through.fold(0.0, f64::max);
    let slo = scenario.findings.capacity.iter().flat_map(|one| &one.slo);
    for (percentile, ns) in slo {
        let name = format!("the most that {percentile} may be");
        let line = [(0.0, *ns), (widest, *ns)];
        lines = lines.line(name, line).coloured(Colour::Bad);
    }
    Some(lines)
}

/// Where throughput divided by latency is the largest (Kleinrock, "Power and Deterministic Rules of Thumb for Probabilistic
/// Problems in Computer Communications", 1979): more load costs more latency than it brings throughput.
fn knee(tried: &[&Tried]) -> Option<f64> {
    let power = |tried: &&&Tried| tried.achieved / tried.p50.unwrap_or(f64::INFINITY);
    let usable = tried
        .iter()
        .filter(|tried| tried.p50.is_some_and(|p50| p50 > 0.0));
    let best = usable.max_by(|one, other| power(one).total_cmp(&power(other)));
    best.map(|tried| tried.achieved)
}
