//! What results were saved over time: `pipewright.history/1`, a file of lines of JSON for each class of machine.
//!
//! A line has one metric of one scenario of one run. A machine of another class begins a file of its own, so that a new machine is no
//! change of the code; and a series has only runs that were set up alike.

mod acks;
mod file;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::Error,
    load::{Arrivals, Load, Phase},
    metrics,
    protocol::Request,
    results::{Saved, SavedScenario},
    session::Side,
    stats::{change_points, median},
};

use acks::Ack;
use file::{append_lines, read_lines};

/// Its name and version. What is added keeps it; what changes does not.
const SCHEMA: &str = "pipewright.history/1";

/// One metric of one scenario of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) schema: String,
    pub(crate) run_id: String,
    pub(crate) started: String,
    pub(crate) commit: String,
    /// Were there changes that are not committed?
    pub(crate) dirty: bool,
    pub(crate) scenario: String,
    /// What was asked for: the mode, and what differs from the scenario's own load.
    pub(crate) setup: String,
    pub(crate) metric: String,
    pub(crate) median: f64,
    pub(crate) mad: f64,
    pub(crate) trials: usize,
    /// What the canary took meanwhile, in nanoseconds, where it was asked: the machine's own speed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) canary_ns: Option<f64>,
}

/// Which lines belong together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) scenario: String,
    pub(crate) metric: String,
    pub(crate) setup: String,
}

/// A place where a series changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Changed {
    /// The first run of what is new, in the series.
    pub(crate) at: usize,
    pub(crate) commit: String,
    pub(crate) started: String,
    pub(crate) before: f64,
    pub(crate) after: f64,
    /// A share of the value, or of counts their difference.
    pub(crate) change: f64,
    pub(crate) worse: bool,
    pub(crate) p: f64,
    /// By which share the canary takes longer since then, if that is known: what the machine itself has to do with it.
    pub(crate) canary: Option<f64>,
}

/// The chance below which a change is one.
pub(crate) const P: f64 = 0.001;
/// The smallest change that is told, as a share.
pub(crate) const LEAST: f64 = 0.02;

/// The lines of a class, in the order of their runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History {
    pub(crate) lines: Vec<Line>,
    acks: Vec<Ack>,
}

/// Where the history of a class lies.
pub(crate) fn place(folder: &Path, class: &str) -> PathBuf {
    folder.join("history").join(format!("{class}.jsonl"))
}

/// The classes that have a history.
pub(crate) fn classes(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder.join("history"));
    let names = files.into_iter().flatten().flatten().filter_map(|file| {
        let name = file.file_name().into_string().ok()?;
        name.strip_suffix(".jsonl").map(str::to_owned)
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

impl History {
    /// The history of a class; empty if there is none yet.
    pub(crate) fn read(folder: &Path, class: &str) -> Result<Self, Error> {
        let dated = |line: &Line| match line.started.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("`{}` is no time", line.started)),
        };
        let mut lines = read_lines(&place(folder, class), SCHEMA, dated)?;
        // What was added later may have been measured before. The sort keeps the order of one run.
        lines.sort_by_cached_key(|line| line.started.parse::<jiff::Timestamp>().ok());
        let acks = acks::read(folder, class)?;
        Ok(Self { lines, acks })
    }

    /// The series of all lines, by what they are of.
    pub(crate) fn series(&self) -> BTreeMap<Key, Vec<&Line>> {
        let mut all: BTreeMap<Key, Vec<&Line>> = BTreeMap::new();
        for line in &self.lines {
            let key = Key {
                scenario: line.scenario.clone(),
                metric: line.metric.clone(),
                setup: line.setup.clone(),
            };
            all.entry(key).or_default().push(line);
        }
        all
    }
}

/// Adds a result to the history of its class; how many lines are new. A run that is there already is not added again.
pub(crate) fn append(folder: &Path, saved: &Saved) -> Result<usize, Error> {
    if saved.partial {
        return Err(Error::Usage(
            "the result is partial, so it does not belong into the history".to_owned(),
        ));
    }
    let class = &saved.env.class;
    append_lines(&place(folder, class), || {
        let history = History::read(folder, class)?;
        let same = |line: &Line| (&line.run_id, &line.started) == (&saved.run_id, &saved.started);
        Ok(match history.lines.iter().any(same) {
            true => Vec::new(),
            false => lines(saved),
        })
    })
}

/// The lines of a result: of its newer side, and of what was not refused.
fn lines(saved: &Saved) -> Vec<Line> {
    let code = saved.newer().cloned().unwrap_or_default();
    let usable = saved.scenarios.iter().filter(|one| one.refused.is_none());
    usable
        .flat_map(|scenario| {
            scenario
                .metrics
                .iter()
                .map(move |metric| (scenario, metric))
        })
        .filter_map(|(scenario, metric)| {
            let sides = &metric.sides;
            let values = sides.get(&Side::B).or_else(|| sides.get(&Side::A))?;
            Some(Line {
                schema: SCHEMA.to_owned(),
                run_id: saved.run_id.clone(),
                started: saved.started.clone(),
                commit: code.revision.clone(),
                dirty: code.dirty,
                scenario: scenario.id.clone(),
                setup: setup(&saved.mode, scenario),
                metric: metric.name.clone(),
                median: values.median,
                mad: values.mad,
                trials: values.values.len(),
                canary_ns: scenario.canary_ns,
            })
        })
        .collect()
}

/// How a scenario was set up, in words: `quick`, or `full, 2 workers, poisson at 40000/s`.
pub(crate) fn setup(mode: &str, scenario: &SavedScenario) -> String {
    let mut words = vec![mode.to_owned()];
    let Some(Request {
        measure_ms,
        workers,
        load: asked,
        level,
        mix,
        ..
    }) = &scenario.details.asked
    else {
        return words.remove(0);
    };
    // Lines that were written before they told it were of the usual length.
    if *measure_ms != usual_ms(mode) {
        words.push(format!("trials of {measure_ms} ms"));
    }
    if let Some(workers) = workers {
        words.push(format!("{workers} workers"));
    }
    words.extend(asked.iter().flat_map(load));
    words.extend(level.map(|level| level.name().to_owned()));
    words.extend(mix.map(|mix| format!("mix {:?}", <[u16; 6]>::from(mix))));
    words.join(", ")
}

/// A load in words: how items follow each other, and each phase.
pub(crate) fn load(load: &Load) -> Vec<String> {
    let arrivals = match &load.arrivals {
        Arrivals::Constant => "constant".to_owned(),
        Arrivals::Poisson => "poisson".to_owned(),
        Arrivals::Bursty(group) => format!("bursts of {group}"),
        Arrivals::Trace(times) => format!("a trace of {} items", times.len()),
    };
    let phases = load.phases.iter().map(phase);
    std::iter::once(arrivals).chain(phases).collect()
}

/// How long a trial of a short run counts, in milliseconds, if nothing else is said.
pub(crate) const SHORT_MS: u64 = 600;

/// Trials that are long enough for the percentiles that few items reach.
pub(crate) const LONG_MS: u64 = 5_000;

fn usual_ms(mode: &str) -> u64 {
    if mode == "quick" { SHORT_MS } else { LONG_MS }
}

fn phase(phase: &Phase) -> String {
    match phase {
        Phase::Steady { rate, .. } => format!("steady at {rate}/s"),
        Phase::Burst { base, peak, .. } => format!("burst of {base} and {peak}/s"),
        Phase::Ramp { from, to, .. } => format!("ramp from {from} to {to}/s"),
        Phase::Spike { base, times, .. } => format!("spike of {times} times {base}/s"),
        Phase::Sine { mean, .. } => format!("sine around {mean}/s"),
        Phase::Mixed { rate, .. } => format!("mixed at {rate}/s"),
    }
}

/// Where a series changed; `None` if it is too short.
///
/// Metrics that are compared by their ratio are looked at by their logarithm, so that halving and doubling are as large.
pub(crate) fn changes(series: &[&Line], p: f64, least: f64) -> Option<Vec<Changed>> {
    let metric = metrics::find(&series.first()?.metric)?;
    let medians = || series.iter().map(|line| line.median);
    let ratio = metric.scale == metrics::Scale::Ratio && medians().all(|value| value > 0.0);
    let (values, least): (Vec<f64>, f64) = match ratio {
        true => (medians().map(f64::ln).collect(), least.ln_1p()),
        false => (medians().collect(), least),
    };
    let value = |number: f64| if ratio { number.exp() } else { number };
    let found = change_points(&values, p, least)?;
    let ends: Vec<usize> = found.iter().map(|point| point.at).collect();
    let told = found.iter().enumerate().map(|(nth, point)| {
        let begins = nth.checked_sub(1).map_or(0, |before| ends[before]);
        let end = ends.get(nth + 1).copied().unwrap_or(series.len());
        let more = point.after - point.before;
        Changed {
            at: point.at,
            commit: series[point.at].commit.clone(),
            started: series[point.at].started.clone(),
            before: value(point.before),
            after: value(point.after),
            change: if ratio { more.exp_m1() } else { more },
            worse: (more > 0.0) == (metric.better == metrics::Better::Lower),
            p: point.p,
            canary: slower(&series[begins..point.at], &series[point.at..end]),
        }
    });
    Some(told.collect())
}

/// By which share the canary takes longer in the later runs, where all of them asked it.
fn slower(before: &[&Line], after: &[&Line]) -> Option<f64> {
    let middle = |lines: &[&Line]| {
        let all: Option<Vec<f64>> = lines.iter().map(|line| line.canary_ns).collect();
        median(&all?)
    };
    Some(middle(after)? / middle(before)? - 1.0)
}

/// The medians of a series as they were if the machine always had its usual speed, which is that of the middle canary: of what is
/// measured by the clock, in runs that asked the canary. Counts do not depend on it.
pub(crate) fn at_usual_speed(series: &[&Line]) -> Vec<Option<f64>> {
    let canaries: Vec<f64> = series.iter().filter_map(|line| line.canary_ns).collect();
    let usual = median(&canaries);
    let normal = |line: &Line| {
        let slower = line.canary_ns? / usual?;
        match metrics::find(&line.metric)?.unit {
            "items/s" => Some(line.median * slower),
            "ns" => Some(line.median / slower),
            _ => None,
        }
    };
    series.iter().map(|line| normal(line)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::results::{SavedMetric, Values, tests::saved};

    /// The result of a run with this throughput, on the n-th day of a month.
    pub(crate) fn run(day: usize, throughput: f64) -> Saved {
        let metric = metrics::find("throughput").expect("it is a metric");
        let values = Values::of(vec![throughput; 5]).expect("there are values");
        let mut saved = saved();
        saved.run_id = format!("run-{day}");
        saved.started = format!("2026-01-{day:02}T00:00:00Z");
        saved.code = [(
            Side::A,
            crate::results::Code {
                revision: format!("commit{day}"),
                ..Default::default()
            },
        )]
        .into();
        saved.scenarios = vec![SavedScenario {
            id: "throughput/fused".to_owned(),
            seed: 1,
            metrics: vec![SavedMetric::of(metric, true, [(Side::A, values)].into())],
            ..SavedScenario::default()
        }];
        saved
    }

    #[test]
    fn a_change_names_the_first_commit_of_what_is_new() {
        let folder = tempfile::tempdir().expect("a folder");
        // The last ones are added first.
        for day in (1..=20).rev() {
            let rate = if day < 11 { 1000.0 } else { 900.0 };
            let added = append(folder.path(), &run(day, rate + (day % 3) as f64));
            assert_eq!(added.expect("it can be written"), 1);
        }
        assert_eq!(append(folder.path(), &run(3, 5.0)).expect("it is there"), 0);
        let history = History::read(folder.path(), "c").expect("it can be read");
        let series = history.series();
        let lines = series.values().next().expect("there is one");
        assert_eq!((series.len(), lines.len()), (1, 20));
        let found = changes(lines, P, LEAST).expect("there are enough");
        let [found] = found.as_slice() else {
            panic!("there is one: {found:?}");
        };
        assert_eq!((found.at, found.commit.as_str()), (10, "commit11"));
        assert!(
            (found.change + 0.1).abs() < 0.001 && found.worse,
            "{found:?}"
        );
        assert_eq!(changes(&lines[..11], P, LEAST), None, "too few");
        assert_eq!(classes(folder.path()), ["c"]);
    }

    #[test]
    fn a_machine_that_is_slower_itself_is_told_with_the_change() {
        let folder = tempfile::tempdir().expect("a folder");
        for day in 1..=20 {
            let slower = if day < 11 { 1.0 } else { 1.25 };
            let mut run = run(day, (1000.0 + (day % 3) as f64) / slower);
            run.scenarios[0].canary_ns = Some(90_000.0 * slower);
            append(folder.path(), &run).expect("it can be written");
        }
        let history = History::read(folder.path(), "c").expect("it can be read");
        let series = history.series();
        let lines = series.values().next().expect("there is one");
        let found = changes(lines, P, LEAST).expect("there are enough");
        assert_eq!(found.len(), 1, "{found:?}");
        let canary = found[0].canary.expect("it was asked");
        assert!(found[0].worse && (canary - 0.25).abs() < 1e-9, "{found:?}");
        let normal: Vec<f64> = at_usual_speed(lines).into_iter().flatten().collect();
        // The usual speed lies between the two.
        assert_eq!(normal.len(), 20);
        assert!(
            normal.iter().all(|rate| (rate / 889.6 - 1.0).abs() < 0.002),
            "{normal:?}"
        );
        let mut silent: Vec<Line> = lines.iter().map(|line| (*line).clone()).collect();
        silent[19].canary_ns = None;
        let silent: Vec<&Line> = silent.iter().collect();
        let found = changes(&silent, P, LEAST).expect("there are enough");
        assert_eq!(found[0].canary, None, "one of them did not ask");
        assert_eq!(at_usual_speed(&silent)[19], None);
    }

    #[test]
    fn what_is_no_history_is_told_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        append(folder.path(), &run(1, 5.0)).expect("it can be written");
        let path = place(folder.path(), "c");
        let good = fs::read_to_string(&path).expect("it is there");
        let check = |line: &str, expect: &str| {
            fs::write(&path, format!("{good}{line}\n")).expect("a file");
            let error = History::read(folder.path(), "c").expect_err("it is broken");
            let text = error.to_string();
            assert!(text.contains("line 2") && text.contains(expect), "{text}");
            let error = append(folder.path(), &run(2, 5.0)).expect_err("it is broken");
            assert!(error.to_string().contains(expect), "nothing is added to it");
        };
        check("{\"sch", "it is no line of a history");
        check(
            "{\"schema\":\"pipewright.history/2\"}",
            "pipewright.history/2",
        );
        check(&good.trim().replace("2026-01", "soon"), "is no time");
    }

    #[test]
    fn partial_results_and_refused_scenarios_stay_outside() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut partial = run(1, 5.0);
        partial.partial = true;
        assert!(append(folder.path(), &partial).is_err());
        let mut refused = run(1, 5.0);
        refused.scenarios[0].refused = Some("steal".to_owned());
        assert_eq!(append(folder.path(), &refused).expect("nothing fails"), 0);
    }

    #[test]
    fn runs_that_were_set_up_differently_are_different_series() {
        let mut scenario = run(1, 5.0).scenarios.remove(0);
        assert_eq!(setup("quick", &scenario), "quick");
        scenario.details.asked = Some(Request {
            workers: Some(2),
            load: Some(crate::load::Load::steady(4e4, 100)),
            level: Some(crate::load::Level::Heavy),
            ..Request::new("latency/events", 1, [1, 5_000])
        });
        assert_eq!(
            setup("full", &scenario),
            "full, 2 workers, poisson, steady at 40000/s, heavy"
        );
        scenario.details.asked = Some(Request::new("latency/events", 1, [1, 600]));
        assert_eq!(setup("quick", &scenario), "quick");
        assert_eq!(setup("full", &scenario), "full, trials of 600 ms");
    }
}
