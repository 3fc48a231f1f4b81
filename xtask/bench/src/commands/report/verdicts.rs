//! The verdicts of a report: targets, what changed, values.

use pipewright_draw::{Axis, Colour, DrawError, Forest, Interval, Lines, Page, Table, Unit};

use super::past::unit;
use crate::{
    metrics::{self, Scale},
    results::{Saved, SavedMetric, SavedScenario},
    session::Side,
    targets::Met,
    verdict::Verdict,
};

pub(super) fn targets(page: &mut Page, saved: &Saved) {
    let found: Vec<_> = saved
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.targets.iter().map(move |found| (scenario, found)))
        .collect();
    let unknown = || {
        let all = saved.scenarios.iter();
        all.flat_map(|scenario| {
            scenario
                .unknown_targets
                .iter()
                .map(move |one| (scenario, one))
        })
    };
    if found.is_empty() && unknown().next().is_none() {
        return;
    }
    page.section("Targets");
    let mut table = Table::new(["scenario", "target", "measured", "why", "result"]);
    for (scenario, found) in found {
        table.row([
            scenario.id.as_str(),
            found.target.as_str(),
            found.measured().as_str(),
            found.why.as_str(),
            found.result.word(),
        ]);
        table.colour(
            4,
            match found.result {
                Met::Pass => Colour::Good,
                Met::Failed => Colour::Bad,
                Met::Marginal | Met::Infeasible => Colour::Warn,
            },
        );
    }
    for (scenario, one) in unknown() {
        let result = format!("unknown: {}", one.reason);
        table.row([
            scenario.id.as_str(),
            one.target.as_str(),
            "",
            one.why.as_str(),
            result.as_str(),
        ]);
        table.colour(4, Colour::Warn);
    }
    page.table(&table);
}

/// What changed, with bands and what could have been found.
pub(super) fn forest(page: &mut Page, saved: &Saved) -> Result<(), DrawError> {
    let mut forest = Forest::new("What changed", Axis::new("B against A", Unit::Change), 1.0);
    let mut any = false;
    let all = saved.scenarios.iter().flat_map(|scenario| {
        scenario
            .metrics
            .iter()
            .map(move |metric| (scenario, metric))
    });
    for (scenario, metric) in all.filter(|(_, metric)| metric.scale == Scale::Ratio) {
        let Some((change, [low, high])) = metric
            .change
            .as_ref()
            .and_then(|change| Some((change, change.interval?)))
        else {
            continue;
        };
        let mut interval = Interval::new(
            format!("{} {}", scenario.id, metric.name),
            1.0 + change.estimate,
            (1.0 + low, 1.0 + high),
        )
        .band(1.0 / (1.0 + change.band), 1.0 + change.band)
        .verdict(change.verdict.word(), colour(&change.verdict));
        if let Some(mde) = change.mde.filter(|mde| *mde < 1.0) {
            interval = interval.detectable(1.0 - mde, 1.0 + mde);
        }
        forest = forest.interval(interval);
        any = true;
    }
    match any {
        true => page.chart(&forest),
        false => Ok(()),
    }
}

/// The values of a scenario as a table.
pub(super) fn values(scenario: &SavedScenario) -> Table {
    let compared = scenario
        .metrics
        .iter()
        .any(|metric| metric.change.is_some());
    let mut table = match compared {
        true => Table::new(["metric", "A", "B", "change", "interval", "finds", "verdict"]),
        false => Table::new(["metric", "median", "median deviation", "trials"]),
    };
    for saved in &scenario.metrics {
        table.row(cells(saved, compared));
        if let Some(change) = &saved.change {
            table.colour(6, colour(&change.verdict));
        }
    }
    table
}

pub(super) fn cells(saved: &SavedMetric, compared: bool) -> Vec<String> {
    let Some(metric) = metrics::find(&saved.name) else {
        return vec![saved.name.clone()];
    };
    let gate = if saved.gate { " (gates)" } else { "" };
    let name = format!("{}{gate}", saved.name);
    let of = |side: Side| saved.sides.get(&side);
    let value =
        |side: Side| of(side).map_or_else(String::new, |values| metric.value(values.median));
    let Some(change) = saved.change.as_ref().filter(|_| compared) else {
        let mad = of(Side::A).map_or_else(String::new, |values| metric.value(values.mad));
        let n = of(Side::A).map_or(0, |values| values.values.len());
        return vec![name, value(Side::A), mad, n.to_string()];
    };
    let interval = change.interval.map_or_else(
        || "too few blocks".to_owned(),
        |[low, high]| format!("{} to {}", metric.shown(low), metric.shown(high)),
    );
    let finds = change.mde.map_or_else(String::new, |mde| {
        metric.shown(mde).trim_start_matches('+').to_owned()
    });
    vec![
        name,
        value(Side::A),
        value(Side::B),
        metric.shown(change.estimate),
        interval,
        finds,
        change.verdict.word().to_owned(),
    ]
}

/// The values in the order in which they were measured, of what gates: a drift can be seen.
pub(super) fn trials(page: &mut Page, scenario: &SavedScenario) -> Result<(), DrawError> {
    for saved in scenario.metrics.iter().filter(|metric| metric.gate) {
        let title = format!("{} in the order of the trials", saved.name);
        let mut lines = Lines::new(
            title,
            Axis::new("trial", Unit::Number),
            Axis::new(saved.name.as_str(), unit(&saved.name)),
        );
        for (side, values) in &saved.sides {
            let points = values.values.iter().enumerate();
            let points: Vec<(f64, f64)> = points
                .map(|(at, value)| ((at + 1) as f64, *value))
                .collect();
            lines = lines.marked(format!("{side:?}"), points);
        }
        page.chart(&lines)?;
    }
    Ok(())
}

fn colour(verdict: &Verdict) -> Colour {
    match verdict {
        Verdict::Regressed => Colour::Bad,
        Verdict::Improved => Colour::Good,
        Verdict::Equivalent => Colour::Plain,
        Verdict::Inconclusive { .. } | Verdict::Refused { .. } => Colour::Warn,
    }
}
