//! Starting, pushing, draining, stopping and dropping: nothing is lost, nothing keeps running.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use pipewright::{Emit, Flow, StartError, TrySendError, pipeline};
use pipewright_tests::{Seen, WORKERS, work};

#[pipeline(env = Seen<u64>)]
mod pushed {
    use super::*;

    #[stage(from = input, queue = 64)]
    pub fn double(n: u64) -> u64 {
        work(n) * 2
    }

    #[sink(from = double)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn what_several_threads_push_arrives_once_and_in_the_order_of_each() {
    const EACH: u64 = 5_000;
    for workers in WORKERS {
        let seen = Seen::new();
        let run = pushed::pipeline()
            .workers(workers)
            .start(seen.clone())
            .unwrap();
        std::thread::scope(|scope| {
            for thread in 0..3u64 {
                let input = run.input();
                scope.spawn(move || {
                    for n in 0..EACH {
                        input.send(thread * EACH + n).unwrap();
                    }
                });
            }
        });
        let report = run.drain().unwrap();
        let items = seen.take();
        assert_eq!(items.len() as u64, 3 * EACH, "{report}");
        for thread in 0..3 {
            let range = 2 * thread * EACH..2 * (thread + 1) * EACH;
            let mine: Vec<u64> = items
                .iter()
                .copied()
                .filter(|n| range.contains(n))
                .collect();
            assert!(
                mine.len() as u64 == EACH && mine.is_sorted(),
                "thread {thread}, {workers} workers"
            );
        }
        assert_eq!(report.ledger().received, 3 * EACH);
    }
}

#[test]
fn a_batch_of_items_is_pushed_whole() {
    let seen = Seen::new();
    let run = pushed::pipeline().start(seen.clone()).unwrap();
    assert_eq!(run.send_all(0..10_000).unwrap(), 10_000);
    let _ = run.drain().unwrap();
    assert_eq!(seen.take(), (0..10_000).map(|n| n * 2).collect::<Vec<_>>());
}

#[test]
fn a_drained_pipeline_gives_items_back() {
    let run = pushed::pipeline().start(Seen::new()).unwrap();
    let input = run.input();
    let _ = run.drain().unwrap();
    assert_eq!(input.send(7).unwrap_err().into_inner(), 7);
    assert!(matches!(input.try_send(8), Err(TrySendError::Closed(8))));
    assert_eq!(input.send_all([1, 2, 3]).unwrap_err().into_inner(), 1);
}

pub struct Valve {
    /// The sink waits for this before it takes its first item.
    open: Mutex<mpsc::Receiver<()>>,
    /// The sink says that it waits.
    reached: AtomicBool,
    seen: Seen<u64>,
}

#[pipeline(env = Arc<Valve>)]
mod blocked {
    use super::*;

    #[stage(from = input, queue = 4)]
    pub fn pass(n: u64) -> u64 {
        n
    }

    #[sink(from = pass)]
    pub fn last(n: u64, env: &Arc<Valve>) {
        if !env.reached.swap(true, Ordering::Relaxed) {
            // If the test has failed it has dropped the sender, and the run may end.
            let _ = env.open.lock().expect("nobody panics with it").recv();
        }
        env.seen.see(n);
    }
}

#[test]
fn a_full_input_refuses_and_blocks_until_there_is_room() {
    let seen = Seen::new();
    let (env, open) = {
        let (open, valve) = mpsc::channel();
        (
            Arc::new(Valve {
                open: Mutex::new(valve),
                reached: AtomicBool::new(false),
                seen: seen.clone(),
            }),
            open,
        )
    };
    let run = blocked::pipeline()
        .workers(1)
        .start(Arc::clone(&env))
        .unwrap();
    // Moved behind the run, so that a failing test lets the sink go before it waits for the run's end.
    let open = open;
    // The sink holds what was pulled first; the input fills up behind it.
    let mut sent = 0;
    loop {
        match run.try_send(sent) {
            Ok(()) => sent += 1,
            Err(TrySendError::Full(back)) => {
                assert_eq!(back, sent);
                if env.reached.load(Ordering::Relaxed)
                    && run.input().len() == run.input().capacity()
                {
                    break;
                }
            }
            Err(other) => panic!("{other}"),
        }
    }
    let input = run.input();
    assert!(
        input
            .send_timeout(sent, Duration::from_millis(1))
            .unwrap_err()
            .is_full()
    );
    std::thread::scope(|scope| {
        scope.spawn(move || (sent..sent + 100).for_each(|n| input.send(n).unwrap()));
        open.send(()).unwrap();
    });
    let report = run.drain().unwrap();
    assert_eq!(seen.take(), (0..sent + 100).collect::<Vec<_>>(), "{report}");
}

#[pipeline(env = Arc<AtomicU64>)]
mod endless {
    use super::*;

    #[source]
    pub fn numbers(env: &Arc<AtomicU64>) -> impl Iterator<Item = u64> {
        (0..).inspect(|_| {
            env.fetch_add(1, Ordering::Relaxed);
        })
    }

    #[stage(from = numbers)]
    pub fn heavy(n: u64) -> u64 {
        work(n)
    }

    #[sink(from = heavy)]
    pub fn last(n: u64, count: &mut u64) {
        assert_eq!(n, *count);
        *count += 1;
    }
}

#[test]
fn drain_finishes_what_an_endless_source_gave_and_nothing_is_lost() {
    for workers in WORKERS {
        let pulled = Arc::new(AtomicU64::new(0));
        let run = endless::pipeline()
            .workers(workers)
            .start(Arc::clone(&pulled))
            .unwrap();
        while run.metrics().stage::<endless::last>().sent < 1000 {
            std::thread::yield_now();
        }
        let mut report = run.drain().unwrap();
        let pulled = pulled.load(Ordering::Relaxed);
        assert_eq!(report.ledger().received, pulled, "{report}");
        assert_eq!(report.ledger().delivered, pulled, "{report}");
        assert_eq!(report.take_state::<endless::last>(), Some(pulled));
    }
}

#[test]
fn a_snapshot_never_shows_an_item_received_before_it_was_sent() {
    for workers in WORKERS {
        let run = endless::pipeline()
            .workers(workers)
            .start(Arc::default())
            .unwrap();
        let mut last = 0;
        while last < 20_000 {
            let metrics = run.metrics();
            let (numbers, heavy, sink) = (
                metrics.stage::<endless::numbers>(),
                metrics.stage::<endless::heavy>(),
                metrics.stage::<endless::last>(),
            );
            assert!(heavy.received <= numbers.sent, "{metrics:?}");
            assert!(heavy.sent <= heavy.received, "{metrics:?}");
            assert!(sink.received <= heavy.sent, "{metrics:?}");
            assert!(sink.sent >= last, "a count went down: {metrics:?}");
            last = sink.sent;
        }
        let _ = run.drain().unwrap();
    }
}

#[test]
fn stop_drops_what_is_on_its_way_and_counts_it() {
    for workers in WORKERS {
        let run = endless::pipeline()
            .workers(workers)
            .start(Arc::default())
            .unwrap();
        while run.metrics().stage::<endless::last>().sent == 0 {
            std::thread::yield_now();
        }
        let report = run.stop().unwrap();
        let ledger = report.ledger();
        assert!(ledger.is_balanced(), "{report}");
        assert_eq!(
            ledger.received,
            ledger.delivered + ledger.dropped,
            "{report}"
        );
    }
}

#[test]
fn dropping_the_handle_stops_the_run_and_joins_its_threads() {
    let pulled = Arc::new(AtomicU64::new(0));
    drop(
        endless::pipeline()
            .workers(2)
            .start(Arc::clone(&pulled))
            .unwrap(),
    );
    // The environment is dropped with the last thread.
    assert_eq!(Arc::strong_count(&pulled), 1);
}

#[pipeline(env = Option<u64>)]
mod opening {
    #[derive(Debug)]
    pub struct Book;

    fn open(env: &Option<u64>) -> Result<Book, String> {
        env.map(|_| Book).ok_or("no book".to_owned())
    }

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..10
    }

    #[sink(from = numbers, state = open)]
    pub fn last(n: u64, book: &mut Book) {
        let _ = (n, book);
    }
}

#[test]
fn a_state_that_cannot_be_made_stops_the_start_and_leaves_nothing_running() {
    let error = opening::pipeline().start(None).unwrap_err();
    assert!(matches!(&error, StartError::State(state) if state.stage() == "last"));
    assert_eq!(
        error.to_string(),
        "the state of `last` could not be made: no book"
    );
    let report = opening::pipeline().start(Some(1)).unwrap().wait().unwrap();
    assert_eq!(report.ledger().delivered, 10);
}

#[test]
fn a_number_of_workers_out_of_range_is_refused() {
    for workers in [0, 65, 10_000] {
        let error = opening::pipeline()
            .workers(workers)
            .start(Some(1))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("a pool has 1 to 64 workers, not {workers}")
        );
    }
}

#[pipeline(env = Arc<AtomicU64>)]
mod idling {
    use super::*;

    pub struct Polls(u64);

    fn begin() -> Polls {
        Polls(0)
    }

    #[source(state = begin, idle = "1ms")]
    pub fn poll(polls: &mut Polls, out: &mut Emit<u64>) -> Flow {
        polls.0 += 1;
        match polls.0 {
            10 => Flow::Done,
            n if n % 2 == 0 => Flow::Idle,
            n => {
                out.send(n);
                Flow::More
            }
        }
    }

    #[sink(from = poll)]
    pub fn last(n: u64, env: &Arc<AtomicU64>) {
        env.fetch_add(n, Ordering::Relaxed);
    }
}

#[test]
fn a_source_that_idles_is_asked_again_until_it_is_done() {
    for workers in WORKERS {
        let sum = Arc::new(AtomicU64::new(0));
        let report = idling::pipeline()
            .workers(workers)
            .start(Arc::clone(&sum))
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(sum.load(Ordering::Relaxed), 1 + 3 + 5 + 7 + 9, "{report}");
    }
}

#[pipeline]
mod empty {
    #[source]
    pub fn nothing() -> Vec<u64> {
        Vec::new()
    }

    #[sink(from = nothing)]
    pub fn last(n: u64) {
        unreachable!("{n}")
    }
}

#[test]
fn an_empty_source_ends_at_once() {
    for workers in WORKERS {
        let report = empty::pipeline()
            .workers(workers)
            .start(())
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(report.ledger().received, 0);
    }
}
