//! `bench list` and `bench run`.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use super::{
    load::LoadArgs,
    options::{Common, Interrupt, Source, time},
    progress::Progress,
    saving, show,
};
use crate::{
    details::Details,
    error::{Error, code},
    findings::{Drift, Findings},
    history::LONG_MS,
    limit::{Limit, limit},
    machine,
    metrics::{METRICS, Metric},
    process::{Binary, Trial, Watched, canary},
    protocol::{Answer, Request},
    random::Random,
    results::{Saved, SavedMetric, SavedScenario, Values, merged},
    session::Side,
    stats::{mann_kendall, median, theil_sen},
    targets::{Met, Ran, Targets},
};

/// `bench list`.
pub(crate) fn list(source: &Source, json: bool) -> Result<u8, Error> {
    let listing = source.subject("trial")?.binary()?.list()?;
    if json {
        show::json(&listing)?;
        return Ok(code::PASS);
    }
    let lines: Vec<String> = listing
        .scenarios
        .iter()
        .map(|scenario| {
            let interface = scenario
                .interface
                .as_ref()
                .map_or_else(String::new, |name| format!(" (interface `{name}`)"));
            let metrics = scenario.metrics.join(", ");
            format!(
                "{:<26} {}{interface}\n{:<26} {metrics}",
                scenario.id, scenario.about, ""
            )
        })
        .collect();
    show::print(&lines.join("\n"))?;
    Ok(code::PASS)
}

/// One scenario while it is measured.
struct Course {
    /// What it is called in the result.
    id: String,
    request: Request,
    /// Is it given all that it takes?
    saturates: bool,
    trials: Vec<Trial>,
    disturbed: BTreeMap<String, usize>,
    refused: Option<String>,
}

/// `bench run`.
pub(crate) fn run(
    common: &Common,
    source: &Source,
    soak: Option<&str>,
    load: &LoadArgs,
) -> Result<u8, Error> {
    let soak = soak.map(|text| time("--soak", text)).transpose()?;
    let targets = common.targets()?;
    let mode = common.mode();
    let measure_ms = match soak {
        Some(_) => LONG_MS,
        None => mode.run_ms,
    };
    let asked = load.asked(measure_ms)?;
    let subject = source.subject("trial")?;
    let listing = subject.binary()?.list()?;
    common.check(&targets, source, &listing.scenarios)?;
    let chosen = common.choose(&listing.scenarios)?;
    let folder = tempfile::tempdir_in(machine::scratch())
        .map_err(|error| Error::file("make a folder in", &machine::scratch(), &error))?;
    let binary = subject.binary()?.copied(folder.path(), "A")?;
    let mut courses: Vec<Course> = Vec::new();
    for asked in &asked {
        let fitting = asked.fitting(&chosen)?.into_iter();
        courses.extend(fitting.map(|scenario| Course {
            id: asked.called(&scenario.id),
            request: asked.of(Request {
                measure_ms,
                ..common.request(&scenario.id)
            }),
            saturates: !scenario.open_loop,
            trials: Vec::new(),
            disturbed: BTreeMap::new(),
            refused: None,
        }));
    }
    let name = soak.map_or(mode.name, |_| "soak");
    let mut keeper = common.keeper(name, &[(Side::A, &subject)]);
    let rounds = match soak {
        None => mode.trials,
        Some(time) => {
            let round: u64 = courses.iter().map(Course::during_ms).sum();
            (time.as_millis() as u64).div_ceil(round).max(1) as usize
        }
    };
    let ended = measure(common, &targets, &binary, &mut courses, rounds, |courses| {
        keeper.saved.scenarios = courses.iter().map(Course::saved).collect();
        keeper.save()
    });
    if soak.is_some() {
        for (scenario, course) in keeper.saved.scenarios.iter_mut().zip(&courses) {
            scenario.findings.trends = trends(&course.trials);
        }
    }
    let verdict = judge(&mut keeper.saved, &courses, &targets);
    keeper.end(ended, &verdict, saving::text)?;
    let mut found = keeper.saved.scenarios.iter().flat_map(|one| &one.targets);
    Ok(match found.any(|found| found.result == Met::Failed) {
        true => code::TARGET,
        false => code::PASS,
    })
}

/// Rounds of a trial of each scenario, so that a slow minute is shared.
fn measure(
    common: &Common,
    targets: &Targets,
    binary: &Binary,
    courses: &mut [Course],
    rounds: usize,
    mut keep: impl FnMut(&[Course]) -> Result<(), Error>,
) -> Result<(), Error> {
    let watched = common.watched(targets);
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new(rounds * courses.len(), common.output.quiet);
    let mut random = Random(common.seed);
    for _ in 0..rounds {
        let seed = random.next_u64() >> 11;
        for course in courses.iter_mut().filter(|course| course.refused.is_none()) {
            interrupt.check(course.once(&watched, binary, seed))?;
            progress.step(&course.id);
        }
        keep(courses)?;
    }
    progress.end();
    Ok(())
}

impl Course {
    fn during_ms(&self) -> u64 {
        self.request.warmup_ms + self.request.measure_ms
    }

    fn once(&mut self, watched: &Watched, binary: &Binary, seed: u64) -> Result<(), Error> {
        let request = Request {
            seed,
            ..self.request.clone()
        };
        let trial = || watched.trial(binary, &request);
        match watched.undisturbed(|_| true, &mut self.disturbed, trial)? {
            Ok(trial) => self.trials.push(trial),
            Err(why) => self.refused = Some(why),
        }
        Ok(())
    }

    fn saved(&self) -> SavedScenario {
        let metrics = METRICS.iter().filter_map(|metric| {
            let trials = self.trials.iter();
            let values = trials.filter_map(|trial| trial.answer.metrics.get(metric.name).copied());
            let values = Values::of(values.collect())?;
            Some(SavedMetric::of(
                metric,
                metric.gate,
                [(Side::A, values)].into(),
            ))
        });
        let latencies = merged(
            self.trials
                .iter()
                .map(|trial| trial.answer.latencies.as_slice()),
        );
        let trials = self.trials.iter();
        let answers: Vec<_> = trials.map(|trial| (Side::A, &trial.answer)).collect();
        let details = Details {
            asked: Some(self.request.clone()),
            ..Details::of(&answers)
        };
        SavedScenario {
            id: self.id.clone(),
            seed: self.request.seed,
            blocks: 0,
            disturbed: self.disturbed.clone(),
            refused: self.refused.clone(),
            canary_ns: canary(&self.trials.iter().collect::<Vec<_>>()),
            metrics: metrics.collect(),
            latencies: Some((Side::A, latencies))
                .into_iter()
                .filter(|(_, all)| !all.is_empty())
                .collect(),
            targets: Vec::new(),
            unknown_targets: Vec::new(),
            details,
            findings: Findings {
                limit: self.limit(),
                ..Findings::default()
            },
        }
    }

    /// What its targets are judged by.
    fn ran<'a>(&'a self, saved: &SavedScenario) -> Ran<'a> {
        let values = saved.metrics.iter().filter_map(|metric| {
            let values = metric.sides.get(&Side::A)?;
            Some((metric.name.clone(), values.values.clone()))
        });
        let latencies = saved.latencies.values().flatten();
        let latencies: u64 = latencies.map(|(_, count)| count).sum();
        let trials = self.trials.len();
        Ran {
            scenario: &self.request.scenario,
            values: values.collect(),
            latencies: (trials > 0).then(|| latencies as f64 / trials as f64),
            measure_ms: self.request.measure_ms,
        }
    }

    /// The stage that limits it, if its stages are told.
    fn limit(&self) -> Option<Limit> {
        let answers: Vec<&Answer> = self.trials.iter().map(|trial| &trial.answer).collect();
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        limit(&answers, self.request.workers(), cpus, self.saturates)
    }
}

/// The most that a metric may go up or down over a soak by chance.
const CHANCE: f64 = 0.01;

/// The metrics that went up or down from trial to trial, by more than chance. The first fifth does not count: tables grow, and
/// frequencies fall.
fn trends(trials: &[Trial]) -> Vec<Drift> {
    let trials = &trials[trials.len() / 5..];
    let drift = |metric: &Metric| {
        let values = trials
            .iter()
            .filter_map(|trial| trial.answer.metrics.get(metric.name));
        let values: Vec<f64> = values.copied().collect();
        let trend = mann_kendall(&values);
        let points: Vec<(f64, f64)> = (0..).map(f64::from).zip(values.iter().copied()).collect();
        let middle = median(&values).filter(|middle| *middle != 0.0)?;
        let change = theil_sen(&points)? * (values.len() - 1) as f64 / middle;
        (values.len() >= 10 && trend.p < CHANCE).then(|| Drift {
            metric: metric.name.to_owned(),
            change,
            p: trend.p,
        })
    };
    METRICS.iter().filter_map(drift).collect()
}

/// Judges the targets; what is said of all of them.
fn judge(saved: &mut Saved, courses: &[Course], targets: &Targets) -> String {
    let mut wake = None;
    for (scenario, course) in saved.scenarios.iter_mut().zip(courses) {
        let judged = targets.judge(&course.ran(scenario), |_| *wake.get_or_insert_with(wake_up));
        (scenario.targets, scenario.unknown_targets) = (judged.found, judged.unknown);
    }
    verdict(&saved.scenarios).to_owned()
}

/// What is said of the targets of all scenarios, the worst first.
fn verdict(scenarios: &[SavedScenario]) -> &'static str {
    let all = || scenarios.iter().flat_map(|one| &one.targets);
    let has = |result: Met| all().any(|found| found.result == result);
    let any = |is: fn(&SavedScenario) -> bool| scenarios.iter().any(is);
    match () {
        () if has(Met::Failed) => "a target is missed",
        () if any(|one| one.refused.is_some()) => "refused",
        () if any(|one| !one.unknown_targets.is_empty()) => "a target is unknown",
        () if has(Met::Infeasible) => "a target is infeasible on this machine",
        () if has(Met::Marginal) => "a target is marginal",
        () if has(Met::Pass) => "pass",
        // Nothing was wanted of what was measured.
        () => "measured",
    }
}

/// How late a thread that sleeps for a while wakes up, in nanoseconds: the middle of many.
fn wake_up() -> f64 {
    const SLEEP: Duration = Duration::from_micros(200);
    let once = || {
        let begun = Instant::now();
        thread::sleep(SLEEP);
        begun.elapsed().saturating_sub(SLEEP).as_nanos() as f64
    };
    median(&(0..200).map(|_| once()).collect::<Vec<f64>>()).unwrap_or_default()
}
