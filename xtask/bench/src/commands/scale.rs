//! `bench scale`: throughput by the number of workers, in interleaved rounds.

use super::{
    build::Subject,
    options::{Interrupt, matching, time},
    progress::Progress,
};
use crate::{
    error::{Error, code},
    metrics::find,
    process::Binary,
    protocol::Request,
    random::Random,
    stats::{FEWEST_WORKERS, Usl, median},
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
    /// A binary of trials [default: that of the repository, which is built]
    #[arg(long, value_name = "FILE")]
    bin: Option<std::path::PathBuf>,
}

/// `bench scale`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let measure_ms = time("--during", &args.during)?.as_millis() as u64;
    let subject = Subject::named_or_built(args.bin.as_deref())?;
    let binary = subject.binary()?;
    let scenarios = matching(&args.patterns, &binary.list()?.scenarios)?;
    if let Some(open) = scenarios.iter().find(|scenario| scenario.open_loop) {
        return Err(Error::Usage(format!(
            "`{}` takes items at their own times, so its throughput does not scale",
            open.id
        )));
    }
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u32;
    let workers: Vec<u32> = match args.workers.as_slice() {
        [] => (1..=cpus).collect(),
        given => given.to_vec(),
    };
    let interrupt = Interrupt::watch()?;
    let progress = Progress::new(scenarios.len() * ROUNDS * workers.len(), false);
    for scenario in &scenarios {
        let request = Request {
            scenario: scenario.id.clone(),
            seed: args.seed,
            warmup_ms: 100,
            measure_ms,
            workers: None,
            load: None,
            plant: None,
        };
        let mut values = vec![Vec::new(); workers.len()];
        let mut random = Random(args.seed);
        for _ in 0..ROUNDS {
            let seed = random.next_u64() >> 11;
            for (values, workers) in values.iter_mut().zip(&workers) {
                values.push(interrupt.check(once(&binary, &request, *workers, seed))?);
                progress.step(&format!("{} with {workers}", scenario.id));
            }
        }
        println!("{}", told(&scenario.id, &workers, &values, cpus));
    }
    progress.end();
    Ok(code::PASS)
}

fn once(binary: &Binary, request: &Request, workers: u32, seed: u64) -> Result<f64, Error> {
    let answer = binary.run(&Request {
        workers: Some(workers as usize),
        seed,
        ..request.clone()
    })?;
    let value = answer.metrics.get("throughput").copied();
    value.ok_or_else(|| Error::Tool("the trial told no throughput".to_owned()))
}

/// A line for each number of workers, and the law where there are enough of them.
fn told(scenario: &str, workers: &[u32], values: &[Vec<f64>], cpus: u32) -> String {
    let mut text = scenario.to_owned();
    let first = values.first().cloned().unwrap_or_default();
    let mut points = Vec::new();
    for (workers, values) in workers.iter().zip(values) {
        let ratios: Vec<f64> = values
            .iter()
            .zip(&first)
            .map(|(value, first)| value / first)
            .collect();
        let (Some(middle), Some(ratio)) = (median(values), median(&ratios)) else {
            continue;
        };
        points.push((f64::from(*workers), middle));
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
    // With more workers than processors they wait for each other's processor, which is no property of the pipeline.
    points.retain(|(workers, _)| *workers <= f64::from(cpus));
    text.push_str(&match Usl::fit(&points) {
        Some(law) => format!(
            "  USL: contention {:.4}, coherency {:.6}, {}",
            law.contention,
            law.coherency,
            law.best().map_or_else(
                || "no number of workers is too large".to_owned(),
                |best| format!("fastest with about {best:.0} workers")
            )
        ),
        None => format!(
            "  USL not fitted: {} numbers of workers on {cpus} processors, and it takes {FEWEST_WORKERS}",
            points.len()
        ),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_processors_are_told_and_not_fitted() {
        let text = told(
            "throughput/x",
            &[1, 2, 4],
            &[vec![1e6; 3], vec![1.9e6; 3], vec![1.8e6; 3]],
            2,
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
        let text = told("throughput/x", &workers, &values, 8);
        assert!(
            text.contains("contention 0.1000, coherency 0.020000, fastest with about 7 workers"),
            "{text}"
        );
    }
}
