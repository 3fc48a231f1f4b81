//! `bench list` and `bench run`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use super::{
    build::{self, Subject},
    history,
    options::{Common, Interrupt, LoadArgs, time},
    progress::Progress,
    promote, show,
};
use crate::{
    details::Details,
    error::{Error, code},
    machine::{self, Machine},
    metrics::METRICS,
    process::{Binary, Trial, Watched},
    protocol::{Request, Scenario},
    random::Random,
    results::{SCHEMA, Saved, SavedMetric, SavedScenario, Values, merged},
    session::Side,
    stats::median,
    targets::{Met, Targets},
};

/// `bench list`.
pub(crate) fn list(bin: Option<&Path>) -> Result<u8, Error> {
    let listing = Subject::named_or_built(bin)?.binary()?.list()?;
    for scenario in listing.scenarios {
        println!("{:<20} {}", scenario.id, scenario.about);
        println!("{:<20} {}", "", scenario.metrics.join(", "));
    }
    Ok(code::PASS)
}

/// How long the trials of a soak count.
const SOAK_MS: u64 = 5_000;

/// One scenario while it is measured.
struct Course {
    request: Request,
    trials: Vec<Trial>,
    disturbed: BTreeMap<String, usize>,
    refused: Option<String>,
}

/// `bench run`.
pub(crate) fn run(
    common: &Common,
    bin: Option<&Path>,
    soak: Option<&str>,
    load: &LoadArgs,
) -> Result<u8, Error> {
    let soak = soak.map(|text| time("--soak", text)).transpose()?;
    let targets = common.targets()?;
    let mode = common.mode();
    let measure_ms = if soak.is_some() {
        SOAK_MS
    } else {
        mode.measure_ms
    };
    let load = load.load(measure_ms)?;
    let subject = Subject::named_or_built(bin)?;
    let listing = subject.binary()?.list()?;
    let scenarios = common.choose(&listing.scenarios)?;
    let scenarios: Vec<Scenario> = match load {
        None => scenarios,
        Some(_) => scenarios
            .into_iter()
            .filter(|scenario| scenario.open_loop)
            .collect(),
    };
    if scenarios.is_empty() {
        return Err(Error::Usage(
            "a load is for open loops, and no such scenario is meant".to_owned(),
        ));
    }
    let folder = tempfile::tempdir_in(machine::scratch())
        .map_err(|error| Error::file("make a folder in", &machine::scratch(), &error))?;
    let binary = subject.binary()?.copied(folder.path(), "A")?;
    let mut courses: Vec<Course> = scenarios
        .iter()
        .map(|scenario| Course {
            request: Request {
                measure_ms,
                load: load.clone(),
                ..common.request(&scenario.id)
            },
            trials: Vec::new(),
            disturbed: BTreeMap::new(),
            refused: None,
        })
        .collect();
    let mut saved = begin(
        common,
        "run",
        soak.map_or(mode.name, |_| "soak"),
        &[(Side::A, &subject)],
    );
    let place = place(common, &saved);
    let rounds = match soak {
        None => mode.trials,
        Some(time) => {
            let round = courses.len() as u64 * (mode.warmup_ms + measure_ms);
            (time.as_millis() as u64).div_ceil(round).max(1) as usize
        }
    };
    let ended = measure(common, &targets, &binary, &mut courses, rounds, |courses| {
        fill(&mut saved, courses);
        saved.save(&place)
    });
    judge(&mut saved, &targets);
    saved.partial = ended.is_err();
    saved.save(&place)?;
    let told = tell(common, &saved, &place);
    ended?;
    told?;
    keep(common, &saved)?;
    let failed = saved
        .scenarios
        .iter()
        .flat_map(|scenario| &scenario.targets);
    let failed = failed.filter(|found| found.result == Met::Failed).count();
    Ok(if failed > 0 { code::TARGET } else { code::PASS })
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
    let progress = Progress::new(rounds * courses.len(), common.quiet);
    let mut random = Random(common.seed);
    for _ in 0..rounds {
        let seed = random.next_u64() >> 11;
        for course in courses.iter_mut().filter(|course| course.refused.is_none()) {
            let tries = targets.guards.repeats;
            interrupt.check(course.once(&watched, binary, seed, tries))?;
            progress.step(&course.request.scenario);
        }
        keep(courses)?;
    }
    progress.end();
    Ok(())
}

impl Course {
    fn once(
        &mut self,
        watched: &Watched,
        binary: &Binary,
        seed: u64,
        repeats: usize,
    ) -> Result<(), Error> {
        let request = Request {
            seed,
            ..self.request.clone()
        };
        let mut why = Vec::new();
        for _ in 0..=repeats {
            let trial = watched.trial(binary, &request)?;
            if trial.reasons.is_empty() {
                self.trials.push(trial);
                return Ok(());
            }
            for reason in trial.reasons {
                *self.disturbed.entry(reason.name().to_owned()).or_default() += 1;
                why.push(format!("{}: {}", reason.name(), reason.advice()));
            }
        }
        why.sort();
        why.dedup();
        self.refused = Some(format!(
            "a trial was disturbed {} times ({})",
            repeats + 1,
            why.join("; ")
        ));
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
            id: self.request.scenario.clone(),
            seed: self.request.seed,
            blocks: 0,
            disturbed: self.disturbed.clone(),
            refused: self.refused.clone(),
            metrics: metrics.collect(),
            latencies: Some((Side::A, latencies))
                .into_iter()
                .filter(|(_, all)| !all.is_empty())
                .collect(),
            targets: Vec::new(),
            details,
        }
    }
}

fn fill(saved: &mut Saved, courses: &[Course]) {
    saved.scenarios = courses.iter().map(Course::saved).collect();
}

/// Judges the targets.
fn judge(saved: &mut Saved, targets: &Targets) {
    let mut wake = None;
    for scenario in &mut saved.scenarios {
        let values = scenario.metrics.iter().filter_map(|metric| {
            let values = metric.sides.get(&Side::A)?;
            Some((metric.name.clone(), values.values.clone()))
        });
        let values: BTreeMap<String, Vec<f64>> = values.collect();
        scenario.targets =
            targets.judge(&scenario.id, &values, |_| *wake.get_or_insert_with(wake_up));
    }
    let found: Vec<Met> = saved
        .scenarios
        .iter()
        .flat_map(|one| &one.targets)
        .map(|found| found.result)
        .collect();
    let refused = saved
        .scenarios
        .iter()
        .any(|scenario| scenario.refused.is_some());
    saved.verdict = match (found.contains(&Met::Failed), refused) {
        (true, _) => "a target is missed",
        (_, true) => "refused",
        _ if found.contains(&Met::Infeasible) => "a target is infeasible on this machine",
        _ if found.contains(&Met::Marginal) => "a target is marginal",
        _ => "pass",
    }
    .to_owned();
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

/// A result without scenarios.
pub(crate) fn begin(
    common: &Common,
    command: &str,
    mode: &str,
    subjects: &[(Side, &Subject)],
) -> Saved {
    let now = jiff::Timestamp::now();
    let code: BTreeMap<_, _> = subjects
        .iter()
        .map(|(side, subject)| (*side, subject.code.clone()))
        .collect();
    let newest = code
        .values()
        .last()
        .map_or("", |code| code.revision.as_str());
    let short: String = newest
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(8)
        .collect();
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let mut limits = Vec::new();
    if common.no_guards {
        limits.push(format!("{} were counted", promote::UNGUARDED));
    }
    if cpus < 3 {
        limits.push(format!(
            "{cpus} processors: generators share them with workers"
        ));
    }
    Saved {
        schema: SCHEMA.to_owned(),
        run_id: format!("{}-{short}", now.strftime("%Y%m%dT%H%M%SZ")),
        started: now.to_string(),
        mode: mode.to_owned(),
        command: std::iter::once(command.to_owned())
            .chain(common.patterns.iter().cloned())
            .collect(),
        partial: true,
        code,
        env: Machine::read(Path::new("/")),
        limits,
        scenarios: Vec::new(),
        verdict: "unfinished".to_owned(),
    }
}

/// The file of a result.
pub(crate) fn place(common: &Common, saved: &Saved) -> PathBuf {
    let folder = common.out.clone();
    folder
        .unwrap_or_else(|| build::home().join(&saved.run_id))
        .join("run.json")
}

/// Adds a result to the history, where that is asked for.
pub(crate) fn keep(common: &Common, saved: &Saved) -> Result<(), Error> {
    let Some(folder) = &common.save else {
        return Ok(());
    };
    let folder = Some(folder.as_path()).filter(|folder| !folder.as_os_str().is_empty());
    let told = history::add(saved, &history::home(folder))?;
    // The output of `--json` and `--quiet` is for programs.
    if !common.json && !common.quiet {
        println!("{told}");
    }
    Ok(())
}

/// Prints a result.
pub(crate) fn tell(common: &Common, saved: &Saved, place: &Path) -> Result<(), Error> {
    if common.json {
        let text =
            serde_json::to_string_pretty(saved).map_err(|error| Error::Tool(error.to_string()))?;
        show::print(&text)
    } else if common.quiet {
        show::print(&saved.verdict)
    } else {
        show::print(&format!(
            "{}\nsaved: {}",
            show::text(saved),
            place.display()
        ))
    }
}
