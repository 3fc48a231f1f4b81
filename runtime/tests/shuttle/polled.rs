//! Sources that have nothing for a while: workers sleep and wake by the clock, and a drain does not wait for it.

use pipewright::{Emit, Flow, pipeline};

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
