//! Sources that have nothing for a while: workers sleep and wake by the clock, and a drain does not wait for it.

use pipewright::{Emit, Flow, machine::Machine, pipeline};

use crate::harness::{Seen, any, check, ended, pause, start, uneven};

/// Items of the source.
const ITEMS: u64 = 24;

/// A source that has nothing every other time it is asked.
#[derive(Default)]
pub struct Feed {
    next: u64,
    asked: u64,
}

impl Feed {
    fn poll(&mut self, end: u64, out: &mut Emit<u64>) -> Flow {
        self.asked += 1;
        if self.asked.is_multiple_of(2) {
            return Flow::Idle;
        }
        for _ in 0..1 + any(3) {
            if self.next == end {
                return if end == ITEMS { Flow::Done } else { Flow::Idle };
            }
            out.send(self.next);
            self.next += 1;
        }
        Flow::More
    }
}

#[pipeline(env = Seen<u64>, quantum = "1us")]
mod ending {
    use super::*;

    #[source(idle = "20us")]
    pub fn numbers(feed: &mut Feed, out: &mut Emit<u64>) -> Flow {
        feed.poll(ITEMS, out)
    }

    #[stage(from = numbers)]
    pub fn work(n: u64) -> u64 {
        uneven(n)
    }

    #[sink(from = work)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn a_source_that_rests_is_asked_again() {
    check(|| {
        let seen = Seen::new();
        let report = ended(start(ending::pipeline(), seen.clone()).wait());
        assert_eq!(seen.take(), (0..ITEMS).collect::<Vec<_>>(), "{report}");
    });
}

/// It never ends by itself, and there is an input beside it.
#[pipeline(env = Seen<u64>, quantum = "1us")]
mod endless {
    use super::*;

    #[source(idle = "60min")]
    pub fn numbers(feed: &mut Feed, out: &mut Emit<u64>) -> Flow {
        feed.poll(ITEMS / 2, out)
    }

    #[stage(from = input)]
    pub fn pushed(n: u64) -> u64 {
        uneven(n)
    }

    #[sink(from = [numbers, pushed], order = any)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(uneven(n));
    }
}

#[test]
fn a_drain_ends_a_source_that_rests() {
    check(|| {
        let seen = Seen::new();
        let run = start(endless::pipeline(), seen.clone());
        let input = run.input();
        let sender = shuttle::thread::spawn(move || {
            (0..8).take_while(|n| input.send(1000 + n).is_ok()).count()
        });
        pause(300);
        let report = ended(run.drain());
        let sent = sender.join().unwrap();
        let items = seen.take();
        let pushed = items.iter().copied().filter(|n| *n >= 1000);
        assert!(
            pushed.eq(1000..1000 + sent as u64) || !items.is_sorted(),
            "{items:?}"
        );
        assert_eq!(
            items.iter().filter(|n| **n >= 1000).count(),
            sent,
            "{report}"
        );
        assert_eq!(report.ledger().delivered, items.len() as u64, "{report}");
    });
}

/// How often a source was asked, for whoever waits for that; and where the items go.
pub struct Asked {
    times: shuttle::sync::Mutex<u64>,
    again: shuttle::sync::Condvar,
    done: shuttle::sync::Mutex<shuttle::sync::mpsc::Sender<u64>>,
}

/// Items that do not return before the source was asked again.
#[pipeline(env = Asked, quantum = "1us")]
mod waiting {
    use super::*;

    #[source(idle = "60min")]
    pub fn quiet(env: &Asked, _: &mut (), _: &mut Emit<u64>) -> Flow {
        *env.times.lock().unwrap() += 1;
        env.again.notify_all();
        Flow::Idle
    }

    #[stage(from = input)]
    pub fn wait(n: u64, env: &Asked) -> u64 {
        let times = env.times.lock().unwrap();
        let before = *times;
        drop(env.again.wait_while(times, |now| *now == before).unwrap());
        n
    }

    #[sink(from = [quiet, wait], order = any)]
    pub fn last(n: u64, env: &Asked) {
        env.done.lock().unwrap().send(n).unwrap();
    }
}

#[test]
fn a_source_is_asked_although_the_worker_that_watched_the_clock_waits() {
    check(|| {
        let (done, answers) = shuttle::sync::mpsc::channel();
        let env = Asked {
            times: shuttle::sync::Mutex::new(0),
            again: shuttle::sync::Condvar::new(),
            done: shuttle::sync::Mutex::new(done),
        };
        let pipeline = waiting::pipeline().machine(Machine::simulate("2x2").unwrap());
        let run = pipeline.workers(3).in_parallel().start(env).unwrap();
        for n in 0..4 {
            pause(100);
            run.send(n).unwrap();
            // Whoever sleeps now is woken by nobody else.
            assert_eq!(answers.recv(), Ok(n));
        }
        assert_eq!(ended(run.drain()).ledger().delivered, 4);
    });
}
