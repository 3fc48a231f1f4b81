//! Targets, bands and guards, in RON (`benches/targets.ron`).
//!
//! A target is passed only if the bad end of the interval passes it, *marginal* if only the estimate does, and *infeasible* if this
//! machine's own floor is above it. It is *unknown*, with the reason, where its scenario was measured and has no value of its metric.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    guards::Guards,
    metrics::{self, Better},
    protocol::Scenario,
    stats::{hodges_lehmann, interval},
    trial::latencies,
    verdict::CONFIDENCE,
};

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Targets {
    /// The largest changes that do not matter, by the metric.
    pub(crate) band: BTreeMap<String, f64>,
    /// The metrics that decide; those of the table without.
    pub(crate) gate: Option<Vec<String>>,
    pub(crate) guards: Guards,
    pub(crate) targets: Vec<Target>,
}

/// What is wanted of a scenario, whatever is asked of it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    /// The scenario, or the beginning of several with a `*`.
    pub(crate) of: String,
    pub(crate) metric: String,
    #[serde(default)]
    pub(crate) at_most: Option<f64>,
    #[serde(default)]
    pub(crate) at_least: Option<f64>,
    /// The least that this machine could reach with a pipeline that takes no time: the name of a floor.
    #[serde(default)]
    pub(crate) floor: Option<String>,
    /// Where it comes from.
    #[serde(default)]
    pub(crate) why: String,
}

/// What came of a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Found {
    /// As it is written: `latency_p99 <= 1000000`.
    pub(crate) target: String,
    pub(crate) why: String,
    pub(crate) estimate: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<[f64; 2]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<f64>,
    pub(crate) result: Met,
}

/// A target that could not be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Unknown {
    /// As it is written.
    pub(crate) target: String,
    pub(crate) why: String,
    /// Why it could not be judged, and what to do about it.
    pub(crate) reason: String,
}

/// What came of the targets of a scenario.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Judged {
    pub(crate) found: Vec<Found>,
    pub(crate) unknown: Vec<Unknown>,
}

/// What a run knows of a scenario.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ran<'a> {
    /// Its name, without what was asked of it.
    pub(crate) scenario: &'a str,
    /// Of the trials that count, by the metric.
    pub(crate) values: BTreeMap<String, Vec<f64>>,
    /// How many latencies such a trial has in the mean; none if there was no such trial.
    pub(crate) latencies: Option<f64>,
    /// How long each counted.
    pub(crate) measure_ms: u64,
}

impl Found {
    /// What was found, with its interval, and the machine's floor where there is one.
    pub(crate) fn measured(&self) -> String {
        let metric = self.target.split(' ').next().and_then(metrics::find);
        let shown = |value: f64| metric.map_or_else(|| value.to_string(), |of| of.value(value));
        let mut text = shown(self.estimate);
        match self.interval {
            Some([low, high]) => text.push_str(&format!(" [{}, {}]", shown(low), shown(high))),
            None => text.push_str(" [too few trials]"),
        }
        if let Some(floor) = self.floor {
            text.push_str(&format!(", floor {}", shown(floor)));
        }
        text
    }
}

/// Is it met?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Met {
    /// For sure.
    Pass,
    /// The estimate meets it, the interval does not.
    Marginal,
    Failed,
    /// Not even the machine does.
    Infeasible,
}

impl Met {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Marginal => "marginal",
            Self::Failed => "FAILED",
            Self::Infeasible => "infeasible",
        }
    }
}

impl Targets {
    /// Reads the file. One that was not named need not be there.
    pub(crate) fn read(path: &Path, named: bool) -> Result<Self, Error> {
        if !named && !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                Error::Usage(format!("there is no file `{}`", path.display()))
            }
            _ => Error::file("read", path, &error),
        })?;
        Self::parse(&text).map_err(|why| Error::Usage(format!("`{}`: {why}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let options = ron::Options::default()
            .with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        let found: Self = options.from_str(text).map_err(|error| error.to_string())?;
        let gates = found.gate.iter().flatten();
        let named = found
            .band
            .keys()
            .chain(gates)
            .chain(found.targets.iter().map(|target| &target.metric));
        for name in named {
            if metrics::find(name).is_none() {
                return Err(format!(
                    "no metric is called `{name}`; there are {}",
                    metrics::names()
                ));
            }
        }
        if let Some((name, band)) = found
            .band
            .iter()
            .find(|(_, band)| !band.is_finite() || **band < 0.0)
        {
            return Err(format!(
                "the band of `{name}` is {band}; give a share such as 0.03"
            ));
        }
        if let Some(why) = found.guards.wrong() {
            return Err(why);
        }
        for target in &found.targets {
            let bounds = [target.at_most, target.at_least].into_iter().flatten();
            if let Some(bound) = bounds.into_iter().find(|bound| !bound.is_finite()) {
                return Err(format!(
                    "the target of `{}` for `{}` is {bound}; give a number",
                    target.metric, target.of
                ));
            }
            if target.at_most.is_some() == target.at_least.is_some() {
                return Err(format!(
                    "a target of `{}` needs either `at_most` or `at_least`",
                    target.metric
                ));
            }
            if let Some(floor) = target.floor.as_ref().filter(|floor| *floor != WAKE) {
                return Err(format!("no floor is called `{floor}`; there is `{WAKE}`"));
            }
        }
        Ok(found)
    }

    /// Whether each target is of a scenario that there is: what is spelt wrongly would never be judged.
    pub(crate) fn check(&self, all: &[Scenario]) -> Result<(), String> {
        let is_there = |target: &Target| all.iter().any(|one| target.is_for(&one.id));
        let Some(target) = self.targets.iter().find(|target| !is_there(target)) else {
            return Ok(());
        };
        let ids: Vec<String> = all.iter().map(|one| format!("`{}`", one.id)).collect();
        Err(format!(
            "a target is of `{}`, and there is no such scenario; there are {}",
            target.of,
            ids.join(", ")
        ))
    }

    /// Judges the targets of a scenario by the values of its trials. `floor` measures the machine's floor of this name.
    pub(crate) fn judge(&self, ran: &Ran<'_>, mut floor: impl FnMut(&str) -> f64) -> Judged {
        let mut judged = Judged::default();
        let meant = |target: &&Target| target.is_for(ran.scenario);
        for target in self.targets.iter().filter(meant) {
            let values = ran.values.get(&target.metric);
            let values = values.filter(|values| !values.is_empty());
            let found = values.and_then(|values| {
                let floor = target.floor.as_deref().map(&mut floor);
                target.judge(values, floor)
            });
            match found {
                Some(found) => judged.found.push(found),
                None => judged.unknown.push(Unknown {
                    target: target.written(),
                    why: target.why.clone(),
                    reason: ran.lacks(&target.metric),
                }),
            }
        }
        judged
    }
}

impl Ran<'_> {
    /// Why it has no value of a metric.
    fn lacks(&self, metric: &str) -> String {
        let Some(there) = self.latencies else {
            return "none of its trials count".to_owned();
        };
        let needed = latencies::needed(metric).filter(|_| there >= 1.0);
        let Some(needed) = needed else {
            return format!("its trials do not tell `{metric}`");
        };
        // A fifth more than in proportion, because arrivals are drawn.
        let seconds = 1.2 * self.measure_ms as f64 / 1e3 * needed / there;
        format!(
            "`{metric}` needs {needed:.0} items in each trial, and there were about {there:.0}: `--during {:.0}s`",
            seconds.ceil()
        )
    }
}

/// The floor of latencies: how late a thread that sleeps wakes up.
pub(crate) const WAKE: &str = "wake";

impl Target {
    fn is_for(&self, scenario: &str) -> bool {
        match self.of.strip_suffix('*') {
            Some(beginning) => scenario.starts_with(beginning),
            None => scenario == self.of,
        }
    }

    /// Such as `latency_p99 <= 1.00 ms`.
    fn written(&self) -> String {
        let (sign, bound) = match (self.at_most, self.at_least) {
            (Some(most), _) => ("<=", most),
            (_, least) => (">=", least.unwrap_or_default()),
        };
        let metric = metrics::find(&self.metric);
        let bound = metric.map_or_else(|| bound.to_string(), |metric| metric.value(bound));
        format!("{} {sign} {bound}", self.metric)
    }

    fn judge(&self, values: &[f64], floor: Option<f64>) -> Option<Found> {
        let estimate = hodges_lehmann(values)?;
        let found = interval(values, CONFIDENCE);
        let meets = |value: f64| match (self.at_most, self.at_least) {
            (Some(most), _) => value <= most,
            (_, least) => least.is_some_and(|least| value >= least),
        };
        let (bound, bad) = match (self.at_most, self.at_least) {
            (Some(most), _) => (most, found.map(|found| found.high)),
            (_, least) => (least?, found.map(|found| found.low)),
        };
        let metric = metrics::find(&self.metric)?;
        let infeasible = floor.is_some_and(|floor| match metric.better {
            Better::Lower => floor > bound,
            Better::Higher => floor < bound,
        });
        let result = match (meets(estimate), bad.is_some_and(meets)) {
            (true, true) => Met::Pass,
            (true, false) => Met::Marginal,
            (false, _) if infeasible => Met::Infeasible,
            (false, _) => Met::Failed,
        };
        Some(Found {
            target: self.written(),
            why: self.why.clone(),
            estimate,
            interval: found.map(|found| [found.low, found.high]),
            floor,
            result,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"(
        band: { "throughput": 0.02 },
        gate: ["throughput"],
        guards: (steal: 0.05),
        targets: [
            (of: "latency/*", metric: "latency_p99", at_most: 1000000, floor: "wake", why: "the origin's KPI"),
            (of: "throughput/fused", metric: "throughput", at_least: 1e6),
        ],
    )"#;

    fn judged(scenario: &str, metric: &str, values: &[f64], floor: f64) -> Vec<Met> {
        let targets = Targets::parse(FILE).expect("it can be read");
        let ran = Ran {
            scenario,
            values: BTreeMap::from([(metric.to_owned(), values.to_vec())]),
            ..Ran::default()
        };
        let judged = targets.judge(&ran, |_| floor);
        judged.found.into_iter().map(|found| found.result).collect()
    }

    #[test]
    fn a_target_is_met_only_if_the_bad_end_meets_it() {
        let check = |values: &[f64], floor: f64, expect: Met| {
            assert_eq!(
                judged("latency/events", "latency_p99", values, floor),
                [expect],
                "{values:?}"
            );
        };
        let near = |centre: f64, step: f64| {
            (0..8)
                .map(|at| centre + step * f64::from(at))
                .collect::<Vec<f64>>()
        };
        check(&near(5e5, 1e3), 1e4, Met::Pass);
        check(&near(7e5, 8e4), 1e4, Met::Marginal);
        check(&[5e5; 3], 1e4, Met::Marginal);
        check(&near(2e6, 1e3), 1e4, Met::Failed);
        check(&near(2e6, 1e3), 4e6, Met::Infeasible);
        assert_eq!(
            judged("throughput/fused", "throughput", &near(2e6, 1e3), 0.0),
            [Met::Pass]
        );
        assert_eq!(
            judged("throughput/fused", "throughput", &near(2e5, 1e3), 0.0),
            [Met::Failed]
        );
    }

    #[test]
    fn targets_of_other_scenarios_are_left_alone() {
        assert!(judged("throughput/keyed", "throughput", &[1.0; 8], 0.0).is_empty());
        assert!(judged("latency/events", "throughput", &[1.0; 8], 0.0).is_empty());
    }

    #[test]
    fn a_scenario_without_a_value_leaves_its_target_unknown() {
        let targets = Targets::parse(FILE).expect("it can be read");
        let check = |scenario: &str, latencies: Option<f64>, expect: &str| {
            let ran = Ran {
                scenario,
                latencies,
                measure_ms: 600,
                ..Ran::default()
            };
            let judged = targets.judge(&ran, |_| 0.0);
            assert_eq!(judged.found, []);
            let reasons: Vec<&str> = judged.unknown.iter().map(|one| &one.reason[..]).collect();
            assert_eq!(reasons, [expect]);
        };
        check(
            "latency/events",
            Some(1_500.0),
            "`latency_p99` needs 10000 items in each trial, and there were about 1500: `--during 5s`",
        );
        check("latency/events", None, "none of its trials count");
        let untold = "its trials do not tell `latency_p99`";
        check("latency/events", Some(0.0), untold);
        let untold = "its trials do not tell `throughput`";
        check("throughput/fused", Some(0.0), untold);
    }

    #[test]
    fn a_target_of_no_scenario_names_those_that_there_are() {
        let targets = Targets::parse(FILE).expect("it can be read");
        let scenario = |id: &str| Scenario {
            id: id.to_owned(),
            about: String::new(),
            open_loop: false,
            metrics: vec![],
            interface: None,
            counts: false,
            allocates: false,
            levels: false,
        };
        let both = ["latency/x", "throughput/fused"].map(scenario);
        assert_eq!(targets.check(&both), Ok(()));
        let error = targets.check(&both[..1]).expect_err("one is missing");
        let expect = "a target is of `throughput/fused`, and there is no such scenario; there are `latency/x`";
        assert_eq!(error, expect);
    }

    #[test]
    fn mistakes_are_told() {
        let check = |text: &str, expect: &str| {
            let error = Targets::parse(text).expect_err(text);
            assert!(error.contains(expect), "{error}");
        };
        check(
            "(gate: [\"speed\"])",
            "no metric is called `speed`; there are `throughput`",
        );
        check(
            "(targets: [(of: \"*\", metric: \"latency\", at_most: 1)])",
            "no metric is called `latency`",
        );
        check(
            "(targets: [(of: \"*\", metric: \"loss\")])",
            "either `at_most` or `at_least`",
        );
        check("(band: {\"throughput\": -1.0})", "give a share");
        check(
            "(targets: [(of: \"*\", metric: \"loss\", at_most: 0, floor: \"sky\")])",
            "no floor is called `sky`",
        );
        check("(guards: (steal: -1.0))", "`guards`: `steal` is -1; give");
        check("(guards: (canary_drift: NaN))", "`canary_drift` is NaN");
        check(
            "(targets: [(of: \"x\", metric: \"loss\", at_most: inf)])",
            "the target of `loss` for `x` is inf",
        );
        check("(goals: [])", "Unexpected field named `goals`");
        check("(", "");
    }

    #[test]
    fn a_file_that_was_named_has_to_be_there() {
        let path = Path::new("/nonexistent/targets.ron");
        assert!(Targets::read(path, true).is_err());
        assert_eq!(
            Targets::read(path, false).expect("none is needed"),
            Targets::default()
        );
    }
}
