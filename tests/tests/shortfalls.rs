//! What a run asks of the machine and does not get: told, denied, or passed over in silence, as the pipeline says.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::sync::{Arc, Mutex};

use pipewright::{
    Builder, StartError,
    machine::{Machine, Shortfall},
    pipeline,
};

const ITEMS: u64 = 10_000;

/// Three pinned stages of different urgency, and a pool before and behind them.
#[pipeline]
mod chain {
    use super::ITEMS;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, cores = "1", priority = low)]
    pub fn counted(n: u64, count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[stage(from = counted, cores = "2", wait = spin)]
    pub fn doubled(n: u64) -> u64 {
        2 * n
    }

    #[stage(from = doubled, cores = "3", wait = spin)]
    pub fn halved(n: u64) -> u64 {
        n / 2
    }

    #[sink(from = halved)]
    pub fn last(n: u64, next: &mut u64) {
        assert_eq!(n, *next);
        *next += 1;
    }
}

fn on(machine: &str, tuning: &str) -> Builder<chain::Pipeline> {
    let machine = Machine::simulate(machine).unwrap();
    chain::pipeline()
        .machine(machine)
        .tuning("test.ron", tuning)
        .unwrap()
}

/// Runs, and returns what was told.
#[track_caller]
fn told(builder: Builder<chain::Pipeline>) -> Vec<String> {
    let run = builder.start(()).unwrap();
    let warnings = run.warnings();
    let mut report = run.wait().unwrap();
    assert!(report.ledger().is_balanced(), "{report}");
    assert_eq!(report.take_state::<chain::counted>(), Some(ITEMS));
    assert_eq!(report.take_state::<chain::last>(), Some(ITEMS));
    assert_eq!(report.warnings(), warnings);
    for warning in &warnings {
        assert!(
            report
                .to_string()
                .contains(&format!("warning: {warning}\n")),
            "{report}"
        );
    }
    warnings
}

#[test]
fn of_pinned_stages_that_do_not_fit_the_least_urgent_share_and_then_the_last() {
    const WHY: &str = "3 pinned threads and 2 workers are more than the 4 usable cores";
    assert!(told(on("1x4", "()")).is_empty());
    assert_eq!(
        told(on("1x4", "(pool: (workers: 2))")),
        [format!("`counted` shares core 1: {WHY}")]
    );
    let low = "(pool: (workers: 2), stages: { \"doubled\": (priority: low) })";
    assert_eq!(
        told(on("1x4", low)),
        [format!(
            "`doubled` shares core 2: {WHY}; it waits as `adaptive`, not as `spin`"
        )]
    );
    let urgent = "(pool: (workers: 2), stages: { \"counted\": (priority: critical) })";
    assert_eq!(
        told(on("1x4", urgent)),
        [format!(
            "`halved` shares core 3: {WHY}; it waits as `adaptive`, not as `spin`"
        )]
    );
}

#[test]
fn a_core_is_the_more_urgent_stages() {
    let one_core = "(stages: { \"counted\": (cores: \"2\") })";
    assert_eq!(
        told(on("1x4", one_core)),
        ["`counted` shares core 2, which `doubled` has"]
    );
}

#[test]
fn a_pipeline_can_pass_over_what_it_does_not_get() {
    assert!(told(on("1x4", "(pool: (workers: 2), hw: (enforce: off))")).is_empty());
}

#[test]
fn a_pipeline_can_demand_what_it_asks_for() {
    #[track_caller]
    fn denied(machine: &str, tuning: &str) -> StartError {
        let started = on(machine, tuning).start(());
        started
            .map(|run| run.warnings())
            .expect_err("it must not start")
    }
    let error = denied("1x4", "(pool: (workers: 2), hw: (enforce: deny))");
    assert_eq!(
        error.to_string(),
        "`counted` shares core 1: 3 pinned threads and 2 workers are more than the 4 usable cores; \
         remove `cores` of `counted`, give stages in a row the same cores, or run it on 5 cores, \
         or `hw(enforce = warn)` to run like that"
    );
    let StartError::Machine(short) = error else {
        panic!("{error}");
    };
    let [
        Shortfall::Shares {
            stage,
            cores,
            threads,
            workers,
            usable,
            ..
        },
    ] = &*short
    else {
        panic!("{short:?}");
    };
    assert_eq!(
        (*stage, cores.as_slice(), *threads, *workers, *usable),
        ("counted", [1].as_slice(), 3, 2, 4)
    );
    let error = denied(
        "1x4",
        "(stages: { \"halved\": (cores: \"2\") }, hw: (enforce: deny))",
    );
    let StartError::Machine(short) = error else {
        panic!("{error}");
    };
    assert!(matches!(
        *short,
        [Shortfall::Taken {
            stage: "halved",
            core: 2,
            owner: "doubled",
            spins: true,
            ..
        }]
    ));
    // All that falls short is told at once.
    let error = denied(
        "1x3",
        "(pool: (workers: 4, smt: avoid), stages: { \"halved\": (cores: \"2\") , \"counted\": (cores: \"0\") }, hw: (enforce: deny))",
    );
    let text = error.to_string();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(
        text.contains("`halved` shares core 2, which `doubled` has"),
        "{text}"
    );
    assert!(
        text.contains("4 workers share 3 cores, though `smt = avoid`"),
        "{text}"
    );
    // Nothing falls short: it starts.
    assert!(told(on("1x5", "(pool: (workers: 2), hw: (enforce: deny))")).is_empty());
}

/// How the system schedules the calling thread: its real-time priority and its policy, of which 1 is `SCHED_FIFO`.
#[cfg(target_os = "linux")]
fn scheduling() -> (u32, u32) {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The name of the thread, in parentheses, may hold anything; the state behind it is field 3.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let field = |n: usize| {
        fields
            .split_whitespace()
            .nth(n - 3)
            .unwrap()
            .parse()
            .unwrap()
    };
    (field(40), field(41))
}

/// A stage before others, which says how it was scheduled when its state was made and when it worked.
#[cfg(target_os = "linux")]
#[pipeline(env = Scheduled)]
mod ahead {
    use super::*;

    pub type Scheduled = Arc<Mutex<Vec<(u32, u32)>>>;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..ITEMS
    }

    pub fn made(env: &Scheduled) -> u64 {
        env.lock().unwrap().push(scheduling());
        0
    }

    #[sink(from = numbers, cores = "0", realtime = 7, state = made)]
    pub fn last(_: u64, env: &Scheduled, count: &mut u64) {
        if *count == 0 {
            env.lock().unwrap().push(scheduling());
        }
        *count += 1;
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_pinned_stage_has_real_time_priority_or_the_run_says_why_not() {
    let allowed = std::thread::scope(|scope| {
        let asked = scope.spawn(|| pipewright::machine::realtime(7));
        asked.join().unwrap()
    });
    let cores = std::thread::available_parallelism().unwrap().get();
    let seen = Arc::default();
    // One worker is enough, so that the pinned thread has a core where there are two.
    let start = |tuning: &str| {
        let builder = ahead::pipeline()
            .workers(1)
            .tuning("test.ron", tuning)
            .unwrap();
        builder.start(Arc::clone(&seen))
    };
    let mut report = start("()").unwrap().wait().unwrap();
    assert_eq!(report.take_state::<ahead::last>(), Some(ITEMS));
    let scheduled = std::mem::take(&mut *seen.lock().unwrap());
    let warnings = report.warnings().to_vec();
    if cores < 2 {
        println!("one core: the stage shares it, and has no real-time priority");
        assert!(
            warnings[0].ends_with("it has no real-time priority"),
            "{warnings:?}"
        );
        assert_eq!(scheduled, [(0, 0), (0, 0)]);
        return;
    }
    let denied = start("(hw: (enforce: deny))").map(|run| run.wait().unwrap());
    match allowed {
        Ok(()) => {
            println!("this process may use real-time priority 7");
            // States are made before.
            assert_eq!(scheduled, [(0, 0), (7, 1)]);
            assert!(warnings.is_empty(), "{warnings:?}");
            assert!(denied.unwrap().warnings().is_empty());
        }
        Err(error) => {
            println!("this process may not use real-time priority 7: {error}");
            assert_eq!(scheduled, [(0, 0), (0, 0)]);
            assert_eq!(
                warnings,
                [format!("`last` has no real-time priority: {error}")]
            );
            let denied = denied.unwrap_err();
            let StartError::Machine(short) = &denied else {
                panic!("{denied}");
            };
            assert!(
                matches!(**short, [Shortfall::NotRealtime { stage: "last", .. }]),
                "{denied}"
            );
            let text = denied.to_string();
            assert!(text.contains("or remove `realtime` of `last`"), "{text}");
        }
    }
}

#[test]
fn what_a_tuning_file_says_of_threads_that_sleep_is_checked() {
    #[track_caller]
    fn wrong(tuning: &str, expect: &str) {
        let error = chain::pipeline()
            .tuning("test.ron", tuning)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expect), "{error}");
    }
    wrong(
        "( stages: { \"counted\": (realtime: 5, wait: spin) } )",
        "`wait = spin` of `counted` does not go with `realtime`",
    );
    wrong(
        "( stages: { \"doubled\": (realtime: 5) } )",
        "`wait = spin` of `doubled` does not go with `realtime`",
    );
    wrong(
        "( stages: { \"counted\": (realtime: 50) } )",
        "`realtime` must be at most 49",
    );
    wrong(
        "( stages: { \"last\": (realtime: 5) } )",
        "`realtime` of `last` needs `cores`",
    );
    // Of two files the second one does not fit the first.
    let builder = chain::pipeline().machine(Machine::simulate("1x4").unwrap());
    let builder = builder
        .tuning("first.ron", "( stages: { \"counted\": (realtime: 5) } )")
        .unwrap();
    let builder = builder
        .tuning("second.ron", "( stages: { \"counted\": (wait: spin) } )")
        .unwrap();
    let error = builder.start(()).map(drop).unwrap_err();
    assert!(matches!(error, StartError::Cores(_)), "{error}");
}

#[test]
fn more_is_looked_at_where_the_pipeline_says_what_follows() {
    // Cpus 1 and 5 are one core.
    let cores = "stages: { \"halved\": (cores: \"5\") }";
    let saying = |hw: &str| format!("({cores}, pool: (workers: 2){hw})");
    let one_core = "cpu 1 of `counted` and cpu 5 of `halved` are one physical core";
    assert!(told(on("1x4x2", &saying(""))).is_empty());
    assert!(told(on("1x4x2", &saying(", hw: (enforce: off)"))).is_empty());
    assert_eq!(
        told(on("1x4x2", &saying(", hw: (enforce: warn)"))),
        [one_core]
    );
    let denied = on("1x4x2", &saying(", hw: (enforce: deny)")).start(());
    let Err(StartError::Machine(short)) = denied.map(|run| run.warnings()) else {
        panic!("it must not start");
    };
    assert_eq!((short.len(), short[0].id()), (1, "P04"));
    assert!(
        matches!(
            short[0],
            Shortfall::OneCore {
                stage: "counted",
                other: "halved",
                cpus: (1, 5)
            }
        ),
        "{short:?}"
    );
}

#[test]
fn memory_that_no_machine_has_is_denied() {
    // On this machine, whose memory is looked at; its other shortcomings are none of this test's business.
    let start = |tuning: &str| {
        let builder = plain::pipeline().tuning("test.ron", tuning).unwrap();
        builder.start(()).map(|run| run.wait().unwrap())
    };
    let Err(StartError::Machine(short)) = start("(memory: \"524288Gi\", hw: (enforce: deny))")
    else {
        panic!("it must not start");
    };
    let memory = short.iter().find(|short| short.id() == "M01");
    assert!(
        matches!(memory, Some(Shortfall::Memory { asked, room }) if *asked == 512 << 40 && room < asked),
        "{short:?}"
    );
    assert!(
        start("(memory: \"524288Gi\")").is_ok(),
        "nothing is looked at"
    );
}

/// A pipeline without pinned stages.
#[pipeline]
mod plain {
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[sink(from = numbers)]
    pub fn last(_: u64) {}
}
