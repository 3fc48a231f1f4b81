//! `bench compare`: two saved results.
//!
//! They were measured at other times, so what differs may be the machine's: it is told, and decides nothing. Trials of the same seed
//! are compared with each other.

use std::path::Path;

use super::{history::home, promote, show};
use crate::{
    built::Built,
    error::{Error, code},
    history,
    load::Level,
    metrics,
    protocol::Request,
    results::{Change, METHOD, Saved, SavedMetric, SavedScenario},
    session::Side,
    verdict::{Differences, judge},
};

/// `bench compare`, where the base may be the baseline below this folder.
pub(crate) fn with(a: &Path, b: &Path, folder: Option<&Path>, json: bool) -> Result<u8, Error> {
    let head = Saved::load(b)?;
    let baseline = promote::named(a, &head.env.class, &home(folder));
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
    let built = built(&base, &head);
    if !built.different.is_empty() {
        eprintln!(
            "error: what was measured was built differently, so the results cannot be compared"
        );
        for field in built.different {
            eprintln!("  {field}");
        }
        return Ok(code::REFUSED);
    }
    for (path, saved) in [(a, &base), (b, &head)] {
        has_trials(path, saved)?;
    }
    let unlike = unlike(&base, &head);
    let compared = compare(&base, head);
    if compared.scenarios.is_empty() {
        if unlike.is_empty() {
            return Err(Error::Usage(
                "the two results have no scenario in common".to_owned(),
            ));
        }
        eprintln!("error: the trials were asked for different things, so they cannot be compared");
        for line in unlike {
            eprintln!("  {line}");
        }
        return Ok(code::REFUSED);
    }
    match json {
        true => show::json(&compared)?,
        false => show::print(&show::text(&compared))?,
    }
    Ok(code::PASS)
}

/// Why two results cannot be compared: the fields of their machines that differ.
pub(crate) fn different(base: &Saved, head: &Saved) -> Vec<String> {
    base.env.differences(&head.env)
}

/// How the binaries of two results were built. Results that do not tell are taken at their word, and the comparison says so.
fn built(base: &Saved, head: &Saved) -> Built {
    let build = |saved: &Saved| saved.newer().map(|code| code.build.clone());
    Built::of(
        &build(base).unwrap_or_default(),
        &build(head).unwrap_or_default(),
    )
}

/// The newer side of a result.
fn newer(metric: &SavedMetric) -> Option<&crate::results::Values> {
    metric
        .sides
        .get(&Side::B)
        .or_else(|| metric.sides.get(&Side::A))
}

/// Whether a result has values of trials, as those of `run` and `ab` have.
fn has_trials(path: &Path, saved: &Saved) -> Result<(), Error> {
    let scenarios = &saved.scenarios;
    if scenarios.is_empty() || scenarios.iter().any(|one| !one.metrics.is_empty()) {
        return Ok(());
    }
    let command = saved.command.first().map_or("another command", |word| word);
    Err(Error::Usage(format!(
        "`{}` is a result of `bench {command}`, which has no trials that can be compared; compare results of `bench run`, \
         or both sides at once with `bench ab`",
        path.display()
    )))
}

/// The scenarios of both results.
fn pairs<'a>(base: &'a Saved, head: &'a Saved) -> Vec<[&'a SavedScenario; 2]> {
    let pair = |b: &'a SavedScenario| {
        let a = base.scenarios.iter().find(|a| a.id == b.id)?;
        Some([a, b])
    };
    head.scenarios.iter().filter_map(pair).collect()
}

/// How the scenarios of both differ in what was asked of their trials, a line for each that does.
fn unlike(base: &Saved, head: &Saved) -> Vec<String> {
    let line = |[a, b]: [&SavedScenario; 2]| {
        let mut fields = asked(a, b);
        if base.mode != head.mode {
            fields.insert(0, format!("mode {} and {}", base.mode, head.mode));
        }
        (!fields.is_empty()).then(|| format!("{}: {}", a.id, fields.join(", ")))
    };
    pairs(base, head).into_iter().filter_map(line).collect()
}

fn compare(base: &Saved, head: Saved) -> Saved {
    let alike = |[a, b]: &[&SavedScenario; 2]| base.mode == head.mode && asked(a, b).is_empty();
    let both = pairs(base, &head).into_iter().filter(alike);
    let scenarios: Vec<SavedScenario> = both.map(|[a, b]| scenario(a, b)).collect();
    let mut limits = vec![
        "the results were measured one after the other: this is a hint, and gates nothing"
            .to_owned(),
    ];
    if base.partial || head.partial {
        limits.push("a result is partial".to_owned());
    }
    limits.extend(built(base, &head).unknown());
    let unlike = unlike(base, &head).into_iter();
    limits.extend(
        unlike.map(|line| format!("not compared, because it was asked differently: {line}")),
    );
    Saved {
        command: vec!["compare".to_owned()],
        scenarios,
        limits,
        partial: false,
        verdict: "advisory".to_owned(),
        ..head
    }
}

/// What was asked differently of the trials of two scenarios. Results that do not tell are taken at their word.
fn asked(a: &SavedScenario, b: &SavedScenario) -> Vec<String> {
    let mut fields = Vec::new();
    let mut differ = |name: &str, values: [String; 2]| {
        if values[0] != values[1] {
            fields.push(format!("{name} {} and {}", values[0], values[1]));
        }
    };
    // Trials of one seed are compared with each other.
    differ("seed", [a.seed, b.seed].map(|seed| seed.to_string()));
    let (Some(a), Some(b)) = (&a.details.asked, &b.details.asked) else {
        return fields;
    };
    let both = [a, b];
    differ("workers", both.map(|one| one.workers().to_string()));
    let level = |one: &Request| one.level.unwrap_or(Level::Medium).name().to_owned();
    differ("level", both.map(level));
    let mix = |one: &Request| <[u16; 6]>::from(one.mix.unwrap_or_default());
    differ("mix", both.map(|one| format!("{:?}", mix(one))));
    differ("during", both.map(|one| format!("{} ms", one.measure_ms)));
    if a.load != b.load {
        let words = |one: &Request| match &one.load {
            None => "the scenario's own".to_owned(),
            Some(load) => history::load(load).join(", "),
        };
        fields.push(format!("load {} and {}", words(a), words(b)));
    }
    fields
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
        load::{Load, Shares},
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
    fn what_was_asked_differently_is_named_and_not_compared() {
        let with = |change: &dyn Fn(&mut Saved, &mut Request)| {
            let mut saved = saved(1000.0);
            let mut request = Request::new("throughput/fused", 1, [100, 600]);
            change(&mut saved, &mut request);
            saved.scenarios[0].details.asked = Some(request);
            saved
        };
        let base = with(&|_, _| ());
        let check = |change: &dyn Fn(&mut Saved, &mut Request), expect: &[&str]| {
            let other = with(change);
            let expect: Vec<String> = expect
                .iter()
                .map(|field| format!("throughput/fused: {field}"))
                .collect();
            assert_eq!(unlike(&base, &other), expect);
            assert_eq!(
                compare(&base, other).scenarios.is_empty(),
                !expect.is_empty()
            );
        };
        check(&|_, _| (), &[]);
        check(&|_, asked| asked.workers = Some(1), &[]);
        check(&|_, asked| asked.level = Some(Level::Medium), &[]);
        check(&|saved, _| saved.scenarios[0].seed = 2, &["seed 1 and 2"]);
        check(
            &|saved, _| saved.mode = "full".to_owned(),
            &["mode quick and full"],
        );
        check(&|_, asked| asked.workers = Some(4), &["workers 1 and 4"]);
        check(
            &|_, asked| asked.level = Some(Level::Heavy),
            &["level medium and heavy"],
        );
        check(
            &|_, asked| asked.measure_ms = 5_000,
            &["during 600 ms and 5000 ms"],
        );
        check(
            &|_, asked| asked.mix = Shares::try_from([1; 6]).ok(),
            &["mix [6, 5, 4, 2, 2, 1] and [1, 1, 1, 1, 1, 1]"],
        );
        check(
            &|_, asked| asked.load = Some(Load::steady(4e4, 600)),
            &["load the scenario's own and poisson, steady at 40000/s"],
        );
    }

    #[test]
    fn a_result_without_trials_says_what_to_compare() {
        let mut scaled = saved(1.0);
        scaled.command = vec!["scale".to_owned()];
        scaled.scenarios[0].metrics.clear();
        let error = has_trials(Path::new("a.json"), &scaled).expect_err("it has none");
        let expect = "`a.json` is a result of `bench scale`, which has no trials that can be compared; compare results of `bench run`";
        assert!(error.to_string().starts_with(expect), "{error}");
        assert!(has_trials(Path::new("a.json"), &saved(1.0)).is_ok());
    }
}
