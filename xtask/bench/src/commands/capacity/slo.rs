//! What the latency has to keep to: `p99=10ms,p99.9=50ms`.

use std::{collections::BTreeMap, fmt};

use crate::{commands::options::time, error::Error};

/// Percentiles by their names, and the metrics that trials tell them as.
const PERCENTILES: [(&str, &str); 5] = [
    ("p50", "latency_p50"),
    ("p95", "latency_p95"),
    ("p99", "latency_p99"),
    ("p99.9", "latency_p999"),
    ("max", "latency_max"),
];

/// The most that percentiles may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slo(Vec<Objective>);

#[derive(Clone, Debug, PartialEq)]
struct Objective {
    percentile: &'static str,
    metric: &'static str,
    /// As it was typed.
    most: String,
    most_ns: f64,
}

/// What a trial says of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kept {
    /// It keeps to it.
    Yes,
    /// It does not: which percentile is how large.
    No(String),
    /// It had too few items to know this one.
    Unknown(&'static str),
}

impl Slo {
    /// What was typed: at least one percentile, each of them once.
    pub(super) fn typed(texts: &[String]) -> Result<Self, Error> {
        let mut objectives: Vec<Objective> = Vec::new();
        for text in texts {
            let one = objective(text)?;
            if objectives.iter().any(|other| other.metric == one.metric) {
                let percentile = one.percentile;
                return Err(Error::Usage(format!(
                    "`--slo`: there is more than one `{percentile}`"
                )));
            }
            objectives.push(one);
        }
        Ok(Self(objectives))
    }

    /// What it says, in nanoseconds.
    pub(super) fn limits(&self) -> BTreeMap<String, f64> {
        let each = self.0.iter();
        each.map(|one| (one.percentile.to_owned(), one.most_ns))
            .collect()
    }

    /// Whether a trial with these metrics keeps to it.
    pub(super) fn kept(&self, metrics: &BTreeMap<String, f64>) -> Kept {
        for one in &self.0 {
            match metrics.get(one.metric) {
                None => return Kept::Unknown(one.percentile),
                Some(ns) if *ns > one.most_ns => {
                    return Kept::No(format!("{} is {:.2} ms", one.percentile, ns / 1e6));
                }
                Some(_) => {}
            }
        }
        Kept::Yes
    }
}

fn objective(text: &str) -> Result<Objective, Error> {
    let wrong = || {
        let names = PERCENTILES.map(|(name, _)| format!("`{name}`")).join(", ");
        Error::Usage(format!(
            "`--slo`: `{text}` is no percentile and time, such as `p99=10ms`; percentiles are {names}"
        ))
    };
    let (name, most) = text.split_once('=').ok_or_else(wrong)?;
    let known = PERCENTILES.iter().find(|(known, _)| *known == name.trim());
    let (percentile, metric) = *known.ok_or_else(wrong)?;
    Ok(Objective {
        percentile,
        metric,
        most: most.trim().to_owned(),
        most_ns: time("--slo", most.trim())?.as_nanos() as f64,
    })
}

impl fmt::Display for Slo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.0.iter().enumerate() {
            let and = if at == 0 { "" } else { " and " };
            write!(f, "{and}{} of at most {}", one.percentile, one.most)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(texts: &[&str]) -> Result<Slo, Error> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        Slo::typed(&texts)
    }

    #[test]
    fn each_percentile_that_is_named_has_to_be_kept() {
        let slo = typed(&["p50=1ms", "p99.9=50ms"]).expect("two percentiles");
        assert_eq!(
            slo.to_string(),
            "p50 of at most 1ms and p99.9 of at most 50ms"
        );
        let check = |p50: f64, p999: Option<f64>, expect: Kept| {
            let mut metrics = BTreeMap::from([("latency_p50".to_owned(), p50)]);
            metrics.extend(p999.map(|ns| ("latency_p999".to_owned(), ns)));
            assert_eq!(slo.kept(&metrics), expect);
        };
        check(1e6, Some(5e7), Kept::Yes);
        check(2e6, Some(1e6), Kept::No("p50 is 2.00 ms".to_owned()));
        check(1e5, Some(6e7), Kept::No("p99.9 is 60.00 ms".to_owned()));
        check(1e5, None, Kept::Unknown("p99.9"));
    }

    #[test]
    fn what_is_no_objective_is_refused() {
        let check = |texts: &[&str], expect: &str| {
            let error = typed(texts).expect_err("it is wrong").to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(&["p98=1ms"], "`p98=1ms` is no percentile and time");
        check(
            &["10ms"],
            "percentiles are `p50`, `p95`, `p99`, `p99.9`, `max`",
        );
        check(&["p99=soon"], "`--slo`");
        check(&["p99=1ms", "p99=2ms"], "there is more than one `p99`");
    }
}
