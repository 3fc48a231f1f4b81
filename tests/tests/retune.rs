//! Numbers change while a run goes on: between batches, wholly or not at all, and every change is told.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{sync::mpsc, thread, time::Duration};

use pipewright::{Batch, Emit, Flow, Running, pipeline};
use pipewright_tests::{Seen, eventually};

type Env = Seen<usize>;

#[pipeline(env = Env, pool(workers = 1))]
mod packs {
    use super::*;

    #[stage(from = input, batch = 10, linger = "60min")]
    pub fn pack(batch: &mut Batch<u64>, env: &Env) {
        env.see(batch.len());
    }

    #[sink(from = pack, priority = low)]
    pub fn last(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

/// The size of a full batch, of the next thousand items.
fn largest(run: &Running<packs::Pipeline>, seen: &Env) -> usize {
    let before = seen.len();
    run.send_batch(&mut (0..1000).collect()).unwrap();
    eventually(|| seen.len() > before + 30);
    seen.take().into_iter().max().unwrap()
}

#[test]
fn the_next_batch_has_the_new_size() {
    let seen = Seen::new();
    let run = packs::pipeline().start(seen.clone()).unwrap();
    assert_eq!(largest(&run, &seen), 10);
    let changes = run
        .retune("by hand", r#"(stages: { "pack": (batch: 25) })"#)
        .unwrap();
    let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["pack.batch 10 -> 25"]);
    // What waited for a batch of ten.
    let _ = largest(&run, &seen);
    assert_eq!(largest(&run, &seen), 25);
    let mut report = run.drain().unwrap();
    assert_eq!(report.take_state::<packs::last>(), Some(3 * 499_500));
}

#[test]
fn what_does_not_fit_is_refused_whole_and_the_running_numbers_stay() {
    let seen = Seen::new();
    let run = packs::pipeline().start(seen.clone()).unwrap();
    for (text, code, place, help) in [
        (
            r#"(hw: (enforce: off), stages: { "pack": (batch: 25) })"#,
            "E_FIXED",
            "bad.tuning.ron:1:16",
            "leave it at warn, or start the run again",
        ),
        (
            r#"(pool: (workers: 2), stages: { "pack": (batch: 25) })"#,
            "E_FIXED",
            "bad.tuning.ron:1:18",
            "leave it at 1, or start the run again",
        ),
        (
            r#"(pool: (workers: 1, numa: 0), stages: { "pack": (batch: 25) })"#,
            "`pool.numa` is fixed when a run starts: its threads take their seats then",
            "bad.tuning.ron:1:27",
            "leave it at its default, or start the run again",
        ),
        (
            r#"(stages: { "pack": (batch: 25), "lost": (batch: 1) })"#,
            "E_UNKNOWN_STAGE",
            "bad.tuning.ron:1:34",
            "did you mean `last`?",
        ),
        (
            r#"(stages: { "pack": (batch: 25, linger: "1") })"#,
            "E_",
            "bad.tuning.ron:1:40",
            "1us",
        ),
    ] {
        let why = run.retune("bad.tuning.ron", text).unwrap_err().to_string();
        for part in [code, place, help] {
            assert!(why.contains(part), "{part} in {why}");
        }
        let last = run.retunings().pop().unwrap();
        assert_eq!(
            (last.source.as_str(), last.outcome),
            ("bad.tuning.ron", Err(why))
        );
    }
    assert_eq!(largest(&run, &seen), 10);
    let report = run.drain().unwrap();
    assert_eq!(report.retunings().len(), 5);
    assert!(
        report
            .to_string()
            .contains("`bad.tuning.ron` was refused: error[E_FIXED]")
    );
}

#[test]
fn what_is_fixed_may_stand_in_the_file_as_it_is() {
    let run = packs::pipeline().workers(2).start(Seen::new()).unwrap();
    // The number of workers was said by code, which goes over every file.
    let text = r#"(
        pool: (workers: 1),
        hw: (enforce: warn),
        quantum: "1ms",
        memory: "64Mi",
        stages: { "pack": (linger: "2ms", on_panic: stop, queue: 4096), "last": (priority: low, on_panic: keep) },
    )"#;
    let changes = run.retune("all.tuning.ron", text).unwrap();
    let told: Vec<String> = changes.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "quantum 64us -> 1ms",
            "memory its default -> 64Mi",
            "pack.on_panic isolate -> stop",
            "pack.linger 60min -> 2ms",
            "last.on_panic stop -> keep",
        ]
    );
    assert_eq!(run.metrics().buffers().limit, Some(64 << 20));
    assert_eq!(run.retune("all.tuning.ron", text).unwrap(), []);
    let report = run.drain().unwrap();
    assert!(
        report
            .to_string()
            .contains("`all.tuning.ron` changed nothing")
    );
}

#[pipeline(pool(workers = 1))]
mod fragile {
    #[sink(from = input, on_panic = stop)]
    pub fn take(n: u64) {
        assert!(n != 13, "unlucky");
    }
}

#[test]
fn what_follows_a_panic_can_change() {
    let run = fragile::pipeline().start(()).unwrap();
    run.retune("by hand", r#"(stages: { "take": (on_panic: isolate) })"#)
        .unwrap();
    for n in 10..20 {
        run.send(n).unwrap();
    }
    let ledger = run.drain().unwrap().ledger();
    assert_eq!((ledger.delivered, ledger.panicked), (9, 1));
}

#[pipeline(env = mpsc::Sender<u64>, pool(workers = 1))]
mod sleepy {
    use super::*;

    /// Gives one item each time, and rests between.
    #[source(idle = "60min", state = super::zero)]
    pub fn poll(calls: &mut u64, out: &mut Emit<u64>, told: &mpsc::Sender<u64>) -> Flow {
        *calls += 1;
        let _ = told.send(*calls);
        out.send(*calls);
        Flow::Idle
    }

    #[sink(from = poll)]
    pub fn take(_: u64) {}
}

fn zero() -> u64 {
    0
}

#[test]
fn a_source_that_rests_is_asked_as_its_new_idle_time_says() {
    let (told, heard) = mpsc::channel();
    let run = sleepy::pipeline().start(told).unwrap();
    let next = || heard.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(next(), 1);
    run.retune("by hand", r#"(stages: { "poll": (idle: "1us") })"#)
        .unwrap();
    assert_eq!((next(), next()), (2, 3));
    let _ = run.drain().unwrap();
}

#[test]
fn nothing_is_lost_and_no_batch_is_changed_in_its_middle_while_numbers_change_all_the_time() {
    let seen = Seen::new();
    let run = packs::pipeline().start(seen.clone()).unwrap();
    let mut rounds = 0u32;
    thread::scope(|scope| {
        let sender = scope.spawn(|| run.send_all(0..200_000).unwrap());
        while !sender.is_finished() {
            for batch in [7, 300] {
                let text = format!(r#"(stages: {{ "pack": (batch: {batch}, linger: "60min") }})"#);
                run.retune("by hand", &text).unwrap();
            }
            rounds += 1;
        }
    });
    let mut report = run.drain().unwrap();
    assert_eq!(report.take_state::<packs::last>(), Some((0..200_000).sum()));
    let sizes = seen.take();
    assert_eq!(sizes.iter().sum::<usize>(), 200_000);
    // Ten from the beginning; a worker that rests and the end flush what there is, which is never more than a whole batch.
    assert!(sizes.iter().all(|size| *size <= 300), "{rounds} rounds");
    assert!(
        sizes.contains(&7) || sizes.contains(&300),
        "{rounds} rounds"
    );
    assert!(report.retunings().len() <= 256);
}

#[test]
fn a_dry_run_can_be_retuned() {
    let seen = Seen::new();
    let mut run = packs::pipeline().dry_run(seen.clone());
    run.feed::<packs::pack>(0..9);
    run.run();
    assert!(seen.is_empty());
    run.retune(
        "by hand",
        r#"(stages: { "pack": (batch: 10, linger: "5us") })"#,
    )
    .unwrap();
    run.advance("5us");
    run.run();
    assert_eq!(seen.take(), [9]);
    assert!(run.retune("by hand", "(quantum: 1)").is_err());
}

#[test]
fn a_watched_file_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fast.tuning.ron");
    let write = |text: &str| {
        // As deployments do: a new file in the place of the old one.
        let new = folder.path().join("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, &path).unwrap();
    };
    write(r#"(stages: { "pack": (batch: 20) })"#);
    let seen = Seen::new();
    let run = packs::pipeline()
        .watch_tuning(&path)
        .unwrap()
        .start(seen.clone())
        .unwrap();
    assert_eq!(largest(&run, &seen), 20);

    write(r#"(stages: { "pack": (batch: 40) })"#);
    eventually(|| run.retunings().len() == 1);
    write(r#"(stages: { "pack": (batch: none) })"#);
    eventually(|| run.retunings().len() == 2);
    std::fs::remove_file(&path).unwrap();
    eventually(|| run.retunings().len() == 3);
    write(r#"(stages: { "pack": (batch: 50) })"#);
    eventually(|| run.retunings().len() == 4);

    let log = run.retunings();
    assert_eq!(
        log[0].outcome.as_ref().unwrap()[0].to_string(),
        "pack.batch 20 -> 40"
    );
    assert!(
        log[1]
            .outcome
            .as_ref()
            .unwrap_err()
            .contains("fast.tuning.ron:1:28"),
        "{}",
        log[1]
    );
    assert!(
        log[2].outcome.as_ref().unwrap_err().contains("cannot read"),
        "{}",
        log[2]
    );
    assert_eq!(
        log[3].outcome.as_ref().unwrap()[0].to_string(),
        "pack.batch 40 -> 50"
    );
    let _ = run.drain().unwrap();
}
