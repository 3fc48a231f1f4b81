//! The stages of a report: where an item's time goes, how busy each of them keeps the workers, and what it allocates.

use pipewright_draw::{Axis, Bars, Colour, DrawError, Page, Table, Unit, Waterfall};

use crate::{details::Stage, results::SavedScenario, session::Side};

/// Workers that are busier than this have no room for what comes together.
pub(super) const BUSY: f64 = 0.85;

pub(super) fn stages(page: &mut Page, scenario: &SavedScenario) -> Result<(), DrawError> {
    for (side, stages) in &scenario.details.stages {
        page.chart(&way(*side, stages))?;
        if stages.iter().any(|stage| stage.p50.is_some()) {
            page.table(&percentiles(stages));
            page.text("From when an item had left the stage before until it left this one.");
        }
        if stages.iter().any(|stage| stage.utilisation.is_some()) {
            page.chart(&utilisation(*side, stages))?;
        }
        if stages.iter().any(|stage| stage.allocations.is_some()) {
            page.chart(&allocations(*side, stages))?;
        }
    }
    Ok(())
}

/// Throughput and latency of each stage.
fn percentiles(stages: &[Stage]) -> Table {
    let known = |value: Option<f64>, unit: Unit| {
        value.map_or_else(|| "-".to_owned(), |value| unit.write(value))
    };
    let mut table = Table::new(["stage", "items a second", "p50", "p95", "p99"]).numbers(1..5);
    for stage in stages {
        let latencies = [stage.p50, stage.p95, stage.p99];
        let latencies = latencies.map(|value| known(value, Unit::Nanoseconds));
        let head = [stage.name.clone(), known(stage.rate, Unit::PerSecond)];
        table.row(head.into_iter().chain(latencies));
    }
    table
}

fn way(side: Side, stages: &[Stage]) -> Waterfall {
    let axis = Axis::new("since it should have come", Unit::Nanoseconds);
    let parts = ["is kept outside", "waits", "is worked on"];
    let title = format!("An item's way through the stages, {side:?}: means");
    stages
        .iter()
        .fold(Waterfall::new(title, axis, parts), |way, stage| {
            way.row(
                stage.name.as_str(),
                [stage.blocked_ns, stage.wait_ns, stage.work_ns],
            )
        })
}

fn utilisation(side: Side, stages: &[Stage]) -> Bars {
    let axis = Axis::new("of the workers' time", Unit::Percent).at_most(1.0);
    let title = format!("How busy each stage keeps the workers, {side:?}");
    let all: f64 = stages.iter().filter_map(|stage| stage.utilisation).sum();
    let colour = |share: f64| match share > BUSY {
        true => Colour::Bad,
        false => Colour::Series(0),
    };
    let bars = stages.iter().fold(Bars::new(title, axis), |bars, stage| {
        let share = stage.utilisation.unwrap_or(f64::NAN);
        bars.coloured(stage.name.as_str(), share, colour(share))
    });
    bars.coloured("all of them", all, colour(all))
}

fn allocations(side: Side, stages: &[Stage]) -> Bars {
    let axis = Axis::new("allocations for an item", Unit::Number);
    let title = format!("What each stage allocates, {side:?}");
    stages.iter().fold(Bars::new(title, axis), |bars, stage| {
        let each = stage.allocations.unwrap_or(f64::NAN);
        bars.bar(stage.name.as_str(), each)
    })
}
