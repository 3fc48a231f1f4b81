//! `bench scale`: throughput by the number of workers, in interleaved rounds. Trials that the machine disturbed are made again.

use std::{collections::BTreeMap, time::Duration};

use super::{
    load::ItemArgs,
    options::{Guarded, Interrupt, Output, Source, during_ms, matching},
    progress::Progress,
    show,
};
use crate::{
    error::{Error, code},
    findings::{Findings, Scaling},
    guards::{Guards, Reason},
    metrics::find,
    process::{Binary, Watched},
    protocol::{Answer, Request},
    random::Random,
    results::{Saved, SavedScenario},
    session::Side,
    stats::{FEWEST_WORKERS, Fitted, median},
};

/// Rounds that every number of workers takes part in.
const ROUNDS: usize = 7;

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only scenarios that have one of these in their name
    #[arg(value_name = "PATTERN", default_value = "throughput/")]
    patterns: Vec<String>,
    /// Numbers of workers, such as `1,2,4` [default: from 1 to that of the processors]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Vec<u32>,
    /// How long a trial counts
    #[arg(long, value_name = "TIME", default_value = "600ms")]
    during: String,
    /// What is drawn comes from this number
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    items: ItemArgs,
    #[command(flatten)]
    guarded: Guarded,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    source: Source,
}

/// `bench scale`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let measure_ms = during_ms(&args.during, Duration::from_millis(1))?;
    let asked = args.items.asked()?;
    let subject = args.source.subject("trial")?;
    let binary = subject.binary()?;
    let scenarios = matching(&args.patterns, &binary.list()?.scenarios)?;
    if let Some(open) = scenarios.iter().find(|scenario| scenario.open_loop) {
        return Err(Error::Usage(format!(
            "`{}` takes items at their own times, so its throughput does not scale",
            open.id
        )));
    }
    scenarios.iter().try_for_each(|one| asked.fits(one))?;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let workers: Vec<u32> = match args.workers.as_slice() {
        [] => (1..=cpus).collect(),
        given => given.to_vec(),
    };
    let subjects = [(Side::A, &subject)];
    let mut keeper = args.guarded.keeper(&args.output, "scale", &subjects);
    let watched = args.guarded.watched(Guards::default());
    let interrupt = Interrupt::watch()?;
    let steps = scenarios.len() * ROUNDS * workers.len();
    let progress = Progress::new(steps, args.output.quiet);
    let mut measure = || -> Result<(), Error> {
        for scenario in &scenarios {
            let request = Request::new(&scenario.id, args.seed, [100, measure_ms]);
            let mut course = Course::new(asked.of(request), &workers, cpus);
            let mut random = Random(args.seed);
            for _ in 0..ROUNDS {
                let seed = random.next_u64() >> 11;
                let ended = course.round(&watched, &binary, seed, &interrupt, &progress);
                keeper.keep(course.saved())?;
                ended?;
                if course.refused.is_some() {
                    break;
                }
            }
        }
        Ok(())
    };
    let ended = measure();
    progress.end();
    let refused = keeper
        .saved
        .scenarios
        .iter()
        .any(|one| one.refused.is_some());
    let verdict = if refused { "refused" } else { "measured" };
    keeper.end(ended, verdict, |saved| text(saved, cpus))?;
    Ok(code::PASS)
}

/// A scenario while it is measured.
struct Course<'a> {
    request: Request,
    workers: &'a [u32],
    cpus: u32,
    /// Of whole rounds, for each number of workers.
    values: Vec<Vec<f64>>,
    disturbed: BTreeMap<String, usize>,
    refused: Option<String>,
}

impl<'a> Course<'a> {
    fn new(request: Request, workers: &'a [u32], cpus: u32) -> Self {
        Self {
            request,
            workers,
            cpus,
            values: vec![Vec::new(); workers.len()],
            disturbed: BTreeMap::new(),
            refused: None,
        }
    }

    /// A trial with each number of workers. They count together or not at all: they are compared with each other.
    fn round(
        &mut self,
        watched: &Watched,
        binary: &Binary,
        seed: u64,
        interrupt: &Interrupt,
        progress: &Progress,
    ) -> Result<(), Error> {
        let mut round = Vec::new();
        for workers in self.workers {
            let request = Request {
                workers: Some(*workers as usize),
                seed,
                ..self.request.clone()
            };
            let trial = || interrupt.check(watched.trial(binary, &request));
            match watched.undisturbed(Reason::is_of_machine, &mut self.disturbed, trial)? {
                Ok(trial) => round.push(throughput(&trial.answer)?),
                Err(why) => {
                    self.refused = Some(why);
                    return Ok(());
                }
            }
            progress.step(&format!("{} with {workers}", self.request.scenario));
        }
        for (values, value) in self.values.iter_mut().zip(round) {
            values.push(value);
        }
        Ok(())
    }

    /// The rounds so far, as they are saved.
    fn saved(&self) -> SavedScenario {
        let has_rounds = self.values.iter().any(|values| !values.is_empty());
        let rounds = self
            .workers
            .iter()
            .copied()
            .zip(self.values.iter().cloned());
        SavedScenario {
            id: self.request.scenario.clone(),
            seed: self.request.seed,
            disturbed: self.disturbed.clone(),
            refused: self.refused.clone(),
            findings: Findings {
                scaling: has_rounds.then(|| Scaling {
                    rounds: rounds.collect(),
                    law: law(self.workers, &self.values, self.cpus),
                }),
                ..Findings::default()
            },
            ..SavedScenario::default()
        }
    }
}

fn throughput(answer: &Answer) -> Result<f64, Error> {
    let value = answer.metrics.get("throughput").copied();
    value.ok_or_else(|| Error::Tool("the trial told no throughput".to_owned()))
}

fn text(saved: &Saved, cpus: u32) -> String {
    let mut texts = Vec::new();
    for scenario in &saved.scenarios {
        let head = show::head(scenario);
        if let Some(scaling) = &scenario.findings.scaling {
            let (workers, values): (Vec<u32>, Vec<Vec<f64>>) =
                scaling.rounds.iter().cloned().unzip();
            texts.push(told(&head, &workers, &values, cpus, scaling.law.as_ref()));
        } else {
            texts.push(head);
        }
        if let Some(why) = &scenario.refused {
            texts.push(format!("  refused: {why}"));
        }
    }
    texts.extend(saved.limits.iter().map(|limit| format!("note: {limit}")));
    if saved.partial {
        texts.push("note: partial: not everything was measured".to_owned());
    }
    texts.join("\n")
}

/// The law of what was measured. With more workers than processors they wait for each other's processor, which is no property of
/// the pipeline.
fn law(workers: &[u32], values: &[Vec<f64>], cpus: u32) -> Option<Fitted> {
    let all = workers.iter().zip(values);
    let within = all.filter(|(workers, _)| **workers <= cpus);
    let (workers, values): (Vec<f64>, Vec<Vec<f64>>) = within
        .map(|(workers, values)| (f64::from(*workers), values.clone()))
        .unzip();
    Fitted::of(&workers, &values)
}

/// A line for each number of workers, and the law where there are enough of them.
fn told(
    head: &str,
    workers: &[u32],
    values: &[Vec<f64>],
    cpus: u32,
    law: Option<&Fitted>,
) -> String {
    let mut text = head.to_owned();
    let first = values.first().cloned().unwrap_or_default();
    for (workers, values) in workers.iter().zip(values) {
        let ratios: Vec<f64> = values
            .iter()
            .zip(&first)
            .map(|(value, first)| value / first)
            .collect();
        let (Some(middle), Some(ratio)) = (median(values), median(&ratios)) else {
            continue;
        };
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        let shown = find("throughput").map_or_else(String::new, |metric| metric.value(middle));
        let more = if *workers > cpus {
            "  more workers than processors"
        } else {
            ""
        };
        text.push_str(&format!(
            "\n  {workers:>4} workers {shown:>14}  {ratio:.2}x [{least:.2} - {most:.2}]{more}"
        ));
    }
    text.push('\n');
    let within = workers.iter().filter(|workers| **workers <= cpus).count();
    text.push_str(&match law {
        Some(law) => format!("  USL: {law}"),
        None => format!(
            "  USL not fitted: {within} numbers of workers on {cpus} processors, and it takes {FEWEST_WORKERS}"
        ),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Usl;

    #[test]
    fn few_processors_are_told_and_not_fitted() {
        let text = told(
            "throughput/x",
            &[1, 2, 4],
            &[vec![1e6; 3], vec![1.9e6; 3], vec![1.8e6; 3]],
            2,
            None,
        );
        let expect = "throughput/x\n\
            \x20    1 workers       1.00 M/s  1.00x [1.00 - 1.00]\n\
            \x20    2 workers       1.90 M/s  1.90x [1.90 - 1.90]\n\
            \x20    4 workers       1.80 M/s  1.80x [1.80 - 1.80]  more workers than processors\n\
            \x20 USL not fitted: 2 numbers of workers on 2 processors, and it takes 6";
        assert_eq!(text, expect);
    }

    #[test]
    fn many_processors_are_fitted() {
        let workers: Vec<u32> = (1..=8).collect();
        let law = Usl {
            one: 1e6,
            contention: 0.1,
            coherency: 0.02,
        };
        let values: Vec<Vec<f64>> = workers
            .iter()
            .map(|n| vec![law.at(f64::from(*n)); 3])
            .collect();
        let fitted = super::law(&workers, &values, 8);
        let text = told("throughput/x", &workers, &values, 8, fitted.as_ref());
        let expect = "contention 0.1000; coherency 0.020000; fastest with about 7 workers; what was measured is at most 0.0 % off";
        assert!(text.contains(expect), "{text}");
    }
}
