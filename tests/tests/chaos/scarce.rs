//! Memory that becomes scarce and is there again, as the kernel tells it.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use pipewright::{
    Emit, Flow, pipeline,
    pressure::{Level, MemoryWatch},
};
use pipewright_tests::{
    eventually, faults,
    oracle::{Case, InOrder},
};

#[derive(Debug, Default)]
pub struct Env {
    given: AtomicU64,
    over: AtomicBool,
}

#[pipeline(env = Arc<Env>, pool(workers = 2))]
mod endless {
    use super::*;

    #[source]
    pub fn numbers(next: &mut u64, out: &mut Emit<u64>, env: &Arc<Env>) -> Flow {
        if env.over.load(Relaxed) {
            return Flow::Done;
        }
        out.send(*next);
        *next += 1;
        env.given.fetch_add(1, Relaxed);
        Flow::More
    }

    #[stage(from = numbers, batch = 64, linger = "1ms")]
    pub fn pack(_: &mut pipewright::Batch<u64>) {}

    #[sink(from = pack)]
    pub fn last(n: u64, seen: &mut InOrder) {
        seen.see(n);
    }
}

/// The kernel says that tasks waited for memory so many percent of the time.
fn say(root: &Path, percent: f64) {
    let text = format!(
        "some avg10={percent:.2} avg60=0.00 avg300=0.00 total=1\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"
    );
    let new = root.join("new");
    fs::write(&new, text).unwrap();
    // As a whole, so that no reader finds half of it.
    fs::rename(new, root.join("proc/pressure/memory")).unwrap();
}

#[test]
fn c17_every_level_of_memory_pressure_is_entered_and_left_and_nothing_is_lost() {
    let case = Case::begin("C17");
    let (mut random, cycles) = (case.random(), faults(100));
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("proc/pressure")).unwrap();
    say(root, 0.0);
    let watch = MemoryWatch::new().root(root);
    let watch = watch
        .every(Duration::from_millis(1))
        .hold(Duration::from_millis(10));
    let env = Arc::new(Env::default());
    let run = endless::pipeline()
        .watch_memory(watch)
        .start(Arc::clone(&env))
        .unwrap();
    let level = || run.metrics().memory().unwrap().level;
    let mut expect = 0;
    for _ in 0..cycles {
        let up = [(Level::Some, 10), (Level::High, 30), (Level::Critical, 60)];
        // Signs between the marks of entering and leaving change nothing.
        let down = [(Level::High, 20), (Level::Some, 6), (Level::None, 0)];
        for (next, from) in up.into_iter().chain(down) {
            say(root, from as f64 + random.below(4) as f64);
            eventually(|| level() == next);
            expect += 1;
            let given = || env.given.load(Relaxed);
            if next == Level::Critical {
                // What was pulled at that moment is all that still comes: a source that goes on never rests so long.
                eventually(|| {
                    let before = given();
                    std::thread::park_timeout(Duration::from_millis(5));
                    given() == before
                });
            } else {
                let before = given();
                eventually(|| given() > before);
            }
        }
    }
    env.over.store(true, Relaxed);
    let mut report = run.wait().unwrap();
    let memory = report.metrics().memory().unwrap();
    let seen = report.take_state::<endless::last>().unwrap();
    println!(
        "C17: {cycles} cycles through 4 levels, {} changes, {} items, 0 lost",
        memory.changes, seen.items
    );
    // Each level once up and once down in each cycle: no flicker between them.
    assert_eq!((memory.changes, memory.highest), (expect, Level::Critical));
    let given = env.given.load(Relaxed);
    assert_eq!(
        (seen.items, seen.sum, seen.disordered),
        (given, (0..given).sum(), 0),
        "{report}"
    );
    assert!(report.ledger().is_balanced());
    drop(folder);
    case.end();
}
