//! How runs of all pipelines end: what is known of any run, whatever it was for, and what programs are told of it.

use std::time::Duration;

use pipewright::{Blueprint, Failed, Health, Ledger, Report, Retuning, RunError};
use serde_json::{Value, json};

use crate::allocator;

/// What is on its way when the process is asked to end has so long to get to its end: 25 s, less than the 30 s after which
/// most supervisors kill.
pub const DRAIN: Duration = Duration::from_secs(25);

/// What a run comes back with.
pub type Ended<P> = Result<Report<P>, Box<Failed<P>>>;

/// What any run has at its end.
#[derive(Clone, Debug)]
pub struct Ending {
    /// How long it took.
    pub elapsed: Duration,
    /// The run's account of its items.
    pub ledger: Ledger,
    /// What went wrong in the run itself, whatever the input was: panics, and items that are not accounted for.
    pub problems: Vec<String>,
    /// How the run was when it ended.
    pub health: Health,
    /// What came of changes of the tuning file.
    pub retunings: Vec<Retuning>,
    /// The process was asked to end, and the run was not over in time.
    pub is_late: bool,
}

impl Ending {
    /// Of a run, with its report for what only its own pipeline knows.
    pub fn of<P: Blueprint>(ended: Ended<P>) -> (Self, Report<P>) {
        let (report, error) = match ended {
            Ok(report) => (report, None),
            Err(failed) => (failed.report, Some(failed.error)),
        };
        let ending = Self {
            elapsed: report.elapsed(),
            ledger: report.ledger(),
            problems: problems(&report, error.as_ref()),
            health: report.health().clone(),
            retunings: report.retunings().to_vec(),
            is_late: matches!(error, Some(RunError::Deadline { .. })),
        };
        (ending, report)
    }

    /// So many a second, over the whole run; 0 for a run that took no time.
    pub fn rate(&self, count: u64) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        }
    }

    /// Adds what all runs tell to the object that `--json` prints: `allocator`, `elapsed_s`, `health` and `ledger`.
    ///
    /// # Panics
    ///
    /// If it is no object.
    pub fn add_to(&self, mut object: Value) -> Value {
        object["allocator"] = allocator::to_json();
        object["elapsed_s"] = json!(self.elapsed.as_secs_f64());
        object["health"] = json!(self.health.to_string());
        object["ledger"] = accounts(&self.ledger);
        object
    }
}

fn problems<P: Blueprint>(report: &Report<P>, error: Option<&RunError>) -> Vec<String> {
    let notes = report.panics().iter();
    let mut problems: Vec<_> = notes
        .map(|note| format!("`{}` panicked: {}", note.stage, note.message))
        .collect();
    let more = report
        .ledger()
        .panicked
        .saturating_sub(problems.len() as u64);
    if more > 0 {
        problems.push(format!("and {more} more panics"));
    }
    // A panic that ended the run is already among the notes.
    let error = error.map(ToString::to_string);
    problems.extend(error.filter(|error| !problems.contains(error)));
    problems
}

fn accounts(ledger: &Ledger) -> Value {
    json!({
        "balanced": ledger.is_balanced(),
        "received": ledger.received,
        "created": ledger.created,
        "delivered": ledger.delivered,
        "filtered": ledger.filtered,
        "failed": ledger.failed,
        "panicked": ledger.panicked,
        "dropped": ledger.dropped,
        "in_flight": ledger.in_flight,
    })
}

#[cfg(test)]
mod tests {
    use pipewright::pipeline;

    use super::*;

    #[pipeline]
    mod fragile {
        #[source]
        fn numbers() -> impl Iterator<Item = u32> {
            0..100
        }

        #[sink(from = numbers, on_panic = isolate)]
        fn handle(number: u32) {
            assert_eq!(number % 2, 0, "odd");
        }
    }

    #[pipeline]
    mod brittle {
        #[source]
        fn numbers() -> impl Iterator<Item = u32> {
            0..100
        }

        #[sink(from = numbers, on_panic = stop)]
        fn handle(number: u32) {
            assert!(number < 7, "seven");
        }
    }

    #[test]
    fn panics_are_told_one_by_one_and_those_beyond_as_a_number() {
        let run = fragile::pipeline().workers(1).start(()).expect("starts");
        let (ending, report) = Ending::of(run.wait());
        assert_eq!(ending.ledger.panicked, 50);
        let told = report.panics().len();
        let expect = format!("and {} more panics", 50 - told);
        assert_eq!(
            (ending.problems.len(), ending.problems.last()),
            (told + 1, Some(&expect))
        );
        assert!(!ending.is_late);
    }

    #[test]
    fn the_panic_that_ended_a_run_is_told_once() {
        let run = brittle::pipeline().workers(1).start(()).expect("starts");
        let (ending, _) = Ending::of(run.wait());
        let [only] = &ending.problems[..] else {
            panic!("{:?}", ending.problems);
        };
        assert!(only.starts_with("`handle` panicked: "), "{only}");
    }

    #[test]
    fn programs_are_told_the_same_of_all_runs() {
        let run = fragile::pipeline().workers(1).start(()).expect("starts");
        let (mut ending, _) = Ending::of(run.wait());
        ending.elapsed = Duration::from_millis(500);
        let object = ending.add_to(json!({"own": 1}));
        assert_eq!(
            (
                &object["own"],
                &object["elapsed_s"],
                &object["ledger"]["panicked"]
            ),
            (&json!(1), &json!(0.5), &json!(50))
        );
        assert_eq!(ending.rate(100), 200.0);
        ending.elapsed = Duration::ZERO;
        assert_eq!(ending.rate(100), 0.0);
    }
}
