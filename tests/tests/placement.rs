//! The pool on machines that are made up, and pools that do not fit the machine.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use pipewright::{StartError, machine::Machine, pipeline};
use pipewright_tests::work;

/// What came out, and the threads that worked on it.
#[derive(Debug, Default)]
pub struct Seen {
    sum: AtomicU64,
    threads: Mutex<Vec<String>>,
}

impl Seen {
    fn note(&self, n: u64) {
        self.sum.fetch_add(n, Ordering::Relaxed);
        let name = std::thread::current().name().unwrap_or_default().to_owned();
        let mut threads = self.threads.lock().unwrap();
        if !threads.contains(&name) {
            threads.push(name);
        }
    }
}

const ITEMS: u64 = 2_000;

#[pipeline(env = Arc<Seen>, pool(smt = use))]
mod spread {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn turn(n: u64) -> u64 {
        for _ in 0..20 {
            work(n);
        }
        n
    }

    #[sink(from = turn)]
    pub fn add(n: u64, env: &Arc<Seen>) {
        env.note(n);
    }
}

#[pipeline(pool(workers = 1, cores = "1", smt = avoid, numa = 0))]
mod on_one_core {
    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..100
    }

    #[sink(from = numbers)]
    pub fn done(n: u64) {
        assert!(n < 100);
    }
}

fn machine(text: &str) -> Machine {
    Machine::simulate(text).unwrap()
}

#[test]
fn there_is_a_worker_for_every_cpu_that_the_pool_may_use() {
    #[track_caller]
    fn check(text: &str, tuning: &str, workers: usize) {
        let seen = Arc::new(Seen::default());
        let builder = spread::pipeline().tuning("test.ron", tuning).unwrap();
        let run = builder
            .machine(machine(text))
            .start(Arc::clone(&seen))
            .unwrap();
        let report = run.wait().unwrap();
        let expect = if workers == 1 {
            "on 1 worker\n".into()
        } else {
            format!("on {workers} workers\n")
        };
        assert!(report.to_string().contains(&expect), "{report}");
        assert!(report.ledger().is_balanced());
        assert!(report.warnings().is_empty());
        assert_eq!(seen.sum.load(Ordering::Relaxed), ITEMS * (ITEMS - 1) / 2);
        assert!(seen.threads.lock().unwrap().len() <= workers);
    }
    check("2x4", "()", 8);
    check("2x2x2", "()", 8);
    check("2x2x2", "(pool: (smt: auto))", 4);
    check("2x2x2", "(pool: (numa: 1))", 4);
    check("2x4", "(pool: (cores: \"2,5-6\"))", 3);
    check("2x4", "(pool: (workers: 3))", 3);
    check("1x1", "()", 1);
    check("32x4", "()", 64);
}

#[pipeline(env = Arc<Seen>)]
mod bound {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[sink(from = numbers)]
    pub fn note(_n: u64, env: &Arc<Seen>) {
        let mask = mask();
        let mut threads = env.threads.lock().unwrap();
        if !threads.contains(&mask) {
            threads.push(mask);
        }
    }
}

/// The cpus that the calling thread may run on, as the system lists them; empty where it does not.
fn mask() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap_or_default().trim().to_owned()
}

#[test]
#[cfg(target_os = "linux")]
fn bound_workers_run_on_one_cpu_each_and_others_wherever_the_system_says() {
    let (before, cores) = (mask(), Machine::read().parallelism());
    for pin in [true, false] {
        let seen = Arc::new(Seen::default());
        let builder = bound::pipeline().workers(cores).pin(pin);
        let report = builder.start(Arc::clone(&seen)).unwrap().wait().unwrap();
        assert!(report.warnings().is_empty(), "{report}");
        let masks = seen.threads.lock().unwrap();
        if pin {
            assert!(
                masks.iter().all(|mask| mask.parse::<u32>().is_ok()),
                "{masks:?}"
            );
            assert!(masks.len() <= cores);
        } else {
            assert_eq!(*masks, [before.as_str()]);
        }
    }
    assert_eq!(mask(), before);
}

#[test]
fn workers_that_share_cores_against_the_wish_are_told_in_the_report() {
    let run = spread::pipeline()
        .tuning("test.ron", "(pool: (workers: 3, smt: avoid))")
        .unwrap()
        .machine(machine("1x2x2"))
        .start(Arc::default())
        .unwrap();
    let warning = "3 workers share 2 cores, though `smt = avoid`";
    assert_eq!(run.warnings(), [warning]);
    let report = run.wait().unwrap();
    assert_eq!(report.warnings(), [warning]);
    assert!(
        report
            .to_string()
            .contains(&format!("  warning: {warning}\n")),
        "{report}"
    );
}

#[test]
fn a_pool_that_does_not_fit_the_machine_does_not_start() {
    #[track_caller]
    fn check(text: &str, tuning: &str, message: &str) {
        let builder = on_one_core::pipeline().tuning("test.ron", tuning).unwrap();
        let error = builder
            .machine(machine(text))
            .start(())
            .map(drop)
            .unwrap_err();
        assert!(matches!(error, StartError::Place(_)), "{error:?}");
        assert_eq!(error.to_string(), message);
    }
    check("1x1", "()", "this machine has no core 1; write some of `0`");
    check(
        "2x2",
        "(pool: (cores: \"0-3\", numa: 4))",
        "memory node 4 has no core that this process may use; write one of `0-1`",
    );
    check(
        "1x4",
        "(pool: (workers: 3))",
        "the pool has 3 workers on 1 core; write at most `workers = 1`, or name more cores",
    );
    let fits = on_one_core::pipeline()
        .machine(machine("1x2"))
        .start(())
        .unwrap();
    assert!(fits.wait().unwrap().ledger().is_balanced());
}

#[test]
fn the_environment_can_make_the_machine_up() {
    // The variable is the whole process's, so a process of its own has it: this test again.
    if std::env::var_os("PIPEWRIGHT_TOPO").is_some() {
        match spread::pipeline().start(Arc::default()) {
            Ok(run) => print!("started {}", run.wait().unwrap()),
            Err(error) => print!("refused {error}"),
        }
        return;
    }
    let started = |text: &str| {
        let this = std::env::current_exe().unwrap();
        let output = std::process::Command::new(this)
            .args([
                "--exact",
                "the_environment_can_make_the_machine_up",
                "--nocapture",
            ])
            .env("PIPEWRIGHT_TOPO", text)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let simulated = started("3x2");
    assert!(simulated.contains("on 6 workers"), "{simulated}");
    let refused = started("three");
    let message =
        "refused `PIPEWRIGHT_TOPO`: `three` is not a machine: write `nodes x cores`, like `2x4`";
    assert!(refused.contains(message), "{refused}");
}
