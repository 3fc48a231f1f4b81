//! `bench compare`: two saved results.
//!
//! They were measured at other times, so what differs may be the machine's: it is told, and decides nothing. Trials of the same seed
//! are compared with each other.

use std::path::Path;

use super::{history, promote, show};
use crate::{
    error::{Error, code},
    metrics,
    results::{Change, METHOD, Saved, SavedMetric, SavedScenario},
    session::Side,
    verdict::{Differences, judge},
};

/// `bench compare`, where the base may be the baseline below this folder.
pub(crate) fn with(a: &Path, b: &Path, folder: Option<&Path>, json: bool) -> Result<u8, Error> {
    let head = Saved::load(b)?;
    let baseline = promote::named(a, &head.env.class, &history::home(folder));
    if let Some(place) = baseline.as_deref().filter(|place| !place.exists()) {
        eprintln!(
            "error: there is no baseline of the class `{}` at `{}`; `cargo xtask bench promote RESULT` makes one",
            head.env.class,
            place.display()
        );
        return Ok(code::BASELINE);
    }
    run(baseline.as_deref().unwrap_or(a), b, json)
}

/// Compares two results.
pub(crate) fn run(a: &Path, b: &Path, json: bool) -> Result<u8, Error> {
    let (base, head) = (Saved::load(a)?, Saved::load(b)?);
    let different = different(&base, &head);
    if !different.is_empty() {
        eprintln!("error: the results are of different machines, so they cannot be compared");
        for field in different {
            eprintln!("  {field}");
        }
        return Ok(code::REFUSED);
    }
    let compared = compare(&base, head);
    if compared.scenarios.is_empty() {
        return Err(Error::Usage(
            "the two results have no scenario in common".to_owned(),
        ));
    }
    let text = match json {
        true => serde_json::to_string_pretty(&compared)
            .map_err(|error| Error::Tool(error.to_string()))?,
        false => show::text(&compared),
    };
    show::print(&text)?;
    Ok(code::PASS)
}

/// Why two results cannot be compared: the fields of their machines that differ.
pub(crate) fn different(base: &Saved, head: &Saved) -> Vec<String> {
    base.env.differences(&head.env)
}

/// The newer side of a result.
fn newer(metric: &SavedMetric) -> Option<&crate::results::Values> {
    metric
        .sides
        .get(&Side::B)
        .or_else(|| metric.sides.get(&Side::A))
}

fn compare(base: &Saved, head: Saved) -> Saved {
    let scenarios = head.scenarios.iter().filter_map(|b| {
        let a = base
            .scenarios
            .iter()
            .find(|a| a.id == b.id && a.seed == b.seed && same(a, b))?;
        Some(scenario(a, b))
    });
    let scenarios: Vec<SavedScenario> = scenarios.collect();
    let mut limits = vec![
        "the results were measured one after the other: this is a hint, and gates nothing"
            .to_owned(),
    ];
    if base.partial || head.partial {
        limits.push("a result is partial".to_owned());
    }
    Saved {
        command: vec!["compare".to_owned()],
        scenarios,
        limits,
        partial: false,
        verdict: "advisory".to_owned(),
        ..head
    }
}

/// Were the trials asked for the same? Results that do not tell are taken at their word.
fn same(a: &SavedScenario, b: &SavedScenario) -> bool {
    match (&a.details.asked, &b.details.asked) {
        (Some(a), Some(b)) => (&a.load, a.workers) == (&b.load, b.workers),
        _ => true,
    }
}

fn scenario(a: &SavedScenario, b: &SavedScenario) -> SavedScenario {
    let both: Vec<(Differences, SavedMetric)> =
        b.metrics.iter().filter_map(|b| metric(a, b)).collect();
    let differences: Vec<Differences> = both
        .iter()
        .map(|(differences, _)| differences.clone())
        .collect();
    let judged = judge(&differences, true);
    let metrics = both
        .into_iter()
        .zip(judged)
        .map(|((differences, mut saved), judged)| {
            saved.change = Some(Change::of(
                &differences,
                &judged,
                &METHOD.replace("by block", "by seed"),
            ));
            saved
        });
    SavedScenario {
        metrics: metrics.collect(),
        blocks: 0,
        targets: Vec::new(),
        unknown_targets: Vec::new(),
        details: crate::details::Details::default(),
        ..b.clone()
    }
}

/// The differences of the trials of the same seed.
fn metric(a: &SavedScenario, b: &SavedMetric) -> Option<(Differences, SavedMetric)> {
    let metric = metrics::find(&b.name)?;
    let a = a.metrics.iter().find(|a| a.name == b.name)?;
    let (a, values) = (newer(a)?, newer(b)?);
    let pairs = a.values.iter().zip(&values.values);
    let worse: Option<Vec<f64>> = pairs.map(|(a, b)| metric.worse(*a, *b)).collect();
    let differences = Differences {
        metric,
        worse: worse?,
        drift: Vec::new(),
        band: metric.band,
        gate: b.gate,
    };
    let sides = [(Side::A, a.clone()), (Side::B, values.clone())].into();
    Some((differences, SavedMetric::of(metric, b.gate, sides)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        machine::Machine,
        results::{SCHEMA, Values},
    };

    fn saved(throughput: f64) -> Saved {
        let metric = metrics::find("throughput").expect("it is a metric");
        let values = (0..8).map(|at| throughput + f64::from(at)).collect();
        let values = Values::of(values).expect("there are values");
        Saved {
            schema: SCHEMA.to_owned(),
            run_id: String::new(),
            started: String::new(),
            mode: "quick".to_owned(),
            command: vec![],
            partial: false,
            code: [].into(),
            env: Machine {
                class: String::new(),
                fields: [].into(),
            },
            limits: vec![],
            scenarios: vec![SavedScenario {
                id: "throughput/fused".to_owned(),
                seed: 1,
                metrics: vec![SavedMetric::of(metric, true, [(Side::A, values)].into())],
                ..SavedScenario::default()
            }],
            verdict: String::new(),
        }
    }

    #[test]
    fn trials_of_one_seed_are_compared() {
        let check = |a: f64, b: f64, expect: &str| {
            let compared = compare(&saved(a), saved(b));
            let change = compared.scenarios[0].metrics[0]
                .change
                .as_ref()
                .expect("it was compared");
            assert_eq!(change.verdict.word(), expect, "{change:?}");
        };
        check(1000.0, 1000.0, "equivalent");
        check(1000.0, 800.0, "regressed");
        check(1000.0, 1200.0, "improved");
    }

    #[test]
    fn another_seed_is_another_scenario() {
        let mut other = saved(1000.0);
        other.scenarios[0].seed = 2;
        assert!(compare(&saved(1000.0), other).scenarios.is_empty());
    }
}
