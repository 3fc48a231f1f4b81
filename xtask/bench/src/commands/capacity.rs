//! `bench capacity`: how many items a second a pipeline can take for good.
//!
//! A rate is sustainable if all of its items were taken, their latency kept to the limit, and little was left when the last one
//! had come. The search doubles the rate until it is not, and halves the gap in ratio until its ends are 3 % apart; each rate has
//! three trials, of which two decide. Nothing of it depends on what was tried before, as a feedback loop does.

use std::path::Path;

use super::{
    build::Subject,
    options::{Interrupt, rate, time},
};
use crate::{
    error::{Error, code},
    guards::{Guards, Reason},
    load::Load,
    process::Watched,
    protocol::{Answer, Request},
};

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A scenario with an open loop
    #[arg(default_value = "latency/events")]
    scenario: String,
    /// The largest 99th percentile of the latency
    #[arg(long, value_name = "TIME", default_value = "10ms")]
    p99: String,
    /// The rate that is tried first
    #[arg(long, value_name = "RATE", default_value = "5k/s")]
    from: String,
    /// How long a trial counts
    #[arg(long, value_name = "TIME", default_value = "3s")]
    during: String,
    /// How many workers the pipeline has [default: the scenario's own number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: Option<u32>,
    /// A binary of trials [default: that of the repository, which is built]
    #[arg(long, value_name = "FILE")]
    bin: Option<std::path::PathBuf>,
}

/// What a trial at a rate said.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Sustainable,
    /// Why not.
    Not(String),
    /// The generator cannot offer so much: that says nothing of the pipeline.
    GeneratorLate,
}

/// Where the limit lies.
#[derive(Clone, Debug, PartialEq)]
enum Limit {
    /// Between these rates, and what the upper one broke.
    Between(f64, f64, String),
    /// Not even the first rate.
    Below(f64, String),
    /// Above it; the generator has no more.
    Above(f64),
}

/// How far the ends of the bracket are apart at last.
const CLOSE: f64 = 1.03;
/// No pipeline takes more: the plan would not fit into memory.
const MOST: f64 = 1e7;

/// `bench capacity`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let p99 = time("--p99", &args.p99)?.as_nanos() as f64;
    let measure_ms = time("--during", &args.during)?.as_millis() as u64;
    let from = rate("--from", &args.from)?;
    let subject = Subject::named_or_built(args.bin.as_deref())?;
    let binary = subject.binary()?;
    let listing = binary.list()?;
    let scenario = listing
        .scenarios
        .iter()
        .find(|scenario| scenario.id == args.scenario);
    if !scenario.is_some_and(|scenario| scenario.open_loop) {
        return Err(Error::Usage(format!(
            "`{}` is no scenario with an open loop",
            args.scenario
        )));
    }
    let interrupt = Interrupt::watch()?;
    let watched = Watched::new(Some(Guards::default()));
    let request = |rate: f64, seed: u64| Request {
        scenario: args.scenario.clone(),
        seed,
        warmup_ms: 200,
        measure_ms,
        workers: args.workers.map(|workers| workers as usize),
        load: Some(Load::steady(rate, measure_ms)),
        plant: None,
    };
    let limit = search(from, |rate| {
        let said = majority(|seed| {
            let trial = interrupt.check(watched.trial(&binary, &request(rate, seed)))?;
            Ok(judge(
                &trial.answer,
                trial.reasons.contains(&Reason::GeneratorLate),
                p99,
            ))
        })?;
        eprintln!("{rate:>10.0} /s  {}", word(&said));
        Ok(said)
    })?;
    tell(&limit, Path::new(&args.scenario), &args.p99);
    Ok(code::PASS)
}

fn word(said: &Said) -> &str {
    match said {
        Said::Sustainable => "sustainable",
        Said::Not(why) => why,
        Said::GeneratorLate => "the generator cannot keep up",
    }
}

fn tell(limit: &Limit, scenario: &Path, p99: &str) {
    let name = scenario.display();
    match limit {
        Limit::Between(low, high, why) => {
            println!(
                "{name}: {low:.0} to {high:.0} items a second with p99 of at most {p99}; above it: {why}"
            );
        }
        Limit::Below(rate, why) => println!("{name}: not even {rate:.0} items a second: {why}"),
        Limit::Above(rate) => {
            println!(
                "{name}: more than {rate:.0} items a second; the generator has no more on this machine"
            );
        }
    }
}

/// How long what is left may take when the last item has come, in nanoseconds.
const DRAIN_NS: u64 = 1_000_000_000;

fn judge(answer: &Answer, late: bool, most_p99: f64) -> Said {
    let Some(generator) = answer.generator else {
        return Said::Not("the trial has no open loop".to_owned());
    };
    let p99 = answer.metrics.get("latency_p99").copied();
    match p99 {
        _ if generator.refused > 0 => Said::Not(format!(
            "{} of {} items found the input full",
            generator.refused, generator.offered
        )),
        _ if generator.drain_ns > DRAIN_NS => {
            Said::Not("what was left took more than a second".to_owned())
        }
        None => Said::Not("too few items for a p99; use a longer `--during`".to_owned()),
        Some(p99) if p99 > most_p99 && late => Said::GeneratorLate,
        Some(p99) if p99 > most_p99 => Said::Not(format!("p99 is {:.2} ms", p99 / 1e6)),
        Some(_) => Said::Sustainable,
    }
}

/// What two of three trials say.
fn majority(mut trial: impl FnMut(u64) -> Result<Said, Error>) -> Result<Said, Error> {
    let (first, second) = (trial(1)?, trial(2)?);
    let same = |a: &Said, b: &Said| std::mem::discriminant(a) == std::mem::discriminant(b);
    if same(&first, &second) {
        return Ok(second);
    }
    let third = trial(3)?;
    Ok(if same(&first, &third) {
        first
    } else if same(&second, &third) {
        second
    } else {
        third
    })
}

fn search(from: f64, mut at: impl FnMut(f64) -> Result<Said, Error>) -> Result<Limit, Error> {
    let (mut low, mut high, mut why) = (None, from, String::new());
    loop {
        match at(high)? {
            Said::Sustainable if high >= MOST => return Ok(Limit::Above(high)),
            Said::Sustainable => {
                low = Some(high);
                high *= 2.0;
            }
            Said::Not(reason) => {
                why = reason;
                break;
            }
            Said::GeneratorLate => break,
        }
    }
    let Some(mut low) = low else {
        let why = if why.is_empty() {
            "the generator cannot keep up".to_owned()
        } else {
            why
        };
        return Ok(Limit::Below(from, why));
    };
    let mut generator = why.is_empty();
    while high / low > CLOSE {
        let middle = (low * high).sqrt();
        match at(middle)? {
            Said::Sustainable => low = middle,
            Said::Not(reason) => (high, why, generator) = (middle, reason, false),
            Said::GeneratorLate => (high, generator) = (middle, true),
        }
    }
    Ok(match generator {
        true => Limit::Above(low),
        false => Limit::Between(low, high, why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Generator;

    #[test]
    fn the_limit_is_bracketed_to_three_per_cent() {
        let check = |capacity: f64| {
            let mut tried = 0;
            let found = search(1000.0, |rate| {
                tried += 1;
                Ok(if rate <= capacity {
                    Said::Sustainable
                } else {
                    Said::Not("full".to_owned())
                })
            });
            let Limit::Between(low, high, why) = found.expect("nothing fails") else {
                panic!("{capacity} was not bracketed");
            };
            assert!(
                low <= capacity && capacity < high && high / low <= CLOSE,
                "{low} {high}"
            );
            assert_eq!(why, "full");
            assert!(tried < 25, "{tried}");
        };
        for capacity in [1000.0, 1500.0, 77_777.0, 2_000_000.0] {
            check(capacity);
        }
    }

    #[test]
    fn below_and_above_are_told_apart_from_the_limit() {
        let below = search(1000.0, |_| Ok(Said::Not("slow".to_owned()))).expect("nothing fails");
        assert_eq!(below, Limit::Below(1000.0, "slow".to_owned()));
        let late = |rate: f64| {
            Ok(if rate < 5000.0 {
                Said::Sustainable
            } else {
                Said::GeneratorLate
            })
        };
        let above = search(1000.0, late).expect("nothing fails");
        assert!(
            matches!(above, Limit::Above(rate) if rate > 4800.0 && rate < 5000.0),
            "{above:?}"
        );
        let above = search(1000.0, |_| Ok(Said::Sustainable)).expect("nothing fails");
        assert!(
            matches!(above, Limit::Above(rate) if rate >= MOST),
            "{above:?}"
        );
    }

    #[test]
    fn two_of_three_decide() {
        let not = || Said::Not("x".to_owned());
        let check = |said: [Said; 3], expect: Said| {
            let found = majority(|seed| Ok(said[seed as usize - 1].clone()));
            assert_eq!(found.expect("nothing fails"), expect);
        };
        check(
            [Said::Sustainable, Said::Sustainable, not()],
            Said::Sustainable,
        );
        check([not(), Said::Sustainable, not()], not());
        check(
            [Said::Sustainable, not(), Said::Sustainable],
            Said::Sustainable,
        );
    }

    #[test]
    fn each_criterion_can_break_a_rate() {
        let answer = |refused: u64, drain_ns: u64, p99: Option<f64>| Answer {
            metrics: p99
                .map(|p99| ("latency_p99".to_owned(), p99))
                .into_iter()
                .collect(),
            generator: Some(Generator {
                offered: 1000,
                refused,
                drain_ns,
                ..Generator::default()
            }),
            ..Answer::default()
        };
        let check = |answer: Answer, late: bool, expect: &str| {
            let said = judge(&answer, late, 1e6);
            assert!(word(&said).contains(expect), "{said:?}");
        };
        check(answer(0, 0, Some(5e5)), false, "sustainable");
        check(answer(3, 0, Some(5e5)), false, "3 of 1000 items");
        check(
            answer(0, 2 * DRAIN_NS, Some(5e5)),
            false,
            "more than a second",
        );
        check(answer(0, 0, Some(5e6)), false, "p99 is 5.00 ms");
        check(answer(0, 0, Some(5e6)), true, "generator");
        check(answer(0, 0, None), false, "too few items");
        check(Answer::default(), false, "no open loop");
    }
}
