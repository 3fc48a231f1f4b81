//! Urgent items come while slow batches of others run: batches are suspended for them, and nothing is lost on either side.

use pipewright::{Priority, pipeline};

use crate::harness::{Seen, check, ended, pause, slow, start, uneven};

/// Items of each thread.
const EACH: u64 = 24;

const LANES: [Priority; 4] = [
    Priority::Critical,
    Priority::High,
    Priority::Normal,
    Priority::Low,
];

/// The lane in which an item was sent.
fn lane(n: u64) -> Priority {
    LANES[(n / 1000) as usize]
}

#[pipeline(env = Seen<u64>, quantum = "1us")]
mod pushed {
    use super::*;

    #[stage(from = input, queue = 64)]
    pub fn work(n: u64) -> u64 {
        if lane(n) == Priority::Critical {
            n
        } else {
            slow(n)
        }
    }

    #[stage(from = work, key = |n| n % 3)]
    pub fn keyed(n: u64, count: &mut u64) -> (u64, u64) {
        *count += 1;
        (uneven(n), *count)
    }

    #[stage(from = keyed, priority = high)]
    pub fn count((n, _): (u64, u64), count: &mut u64) -> u64 {
        *count += 1;
        n
    }

    #[sink(from = count)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

#[test]
fn urgent_items_suspend_slow_batches_and_nothing_is_lost() {
    check(|| {
        let seen = Seen::new();
        let run = start(pushed::pipeline(), seen.clone());
        let normal = run.input();
        let slow = shuttle::thread::spawn(move || {
            for n in 0..EACH {
                normal.send_at(Priority::Normal, 2000 + n).unwrap();
            }
        });
        let others = run.input();
        let urgent = shuttle::thread::spawn(move || {
            for n in 0..EACH {
                pause(20);
                let at = [0, 1, 3][n as usize % 3];
                others.send_at(LANES[at], at as u64 * 1000 + n).unwrap();
            }
        });
        slow.join().unwrap();
        urgent.join().unwrap();
        let mut report = ended(run.drain());
        let items = seen.take();
        assert_eq!(items.len() as u64, 2 * EACH, "{report}");
        for of in LANES {
            for key in 0..3 {
                let mine = items.iter().filter(|n| lane(**n) == of && **n % 3 == key);
                assert!(mine.is_sorted(), "{of}, key {key}: {items:?}");
            }
        }
        assert_eq!(report.take_state::<pushed::count>(), Some(2 * EACH));
    });
}

/// Two sources of different lanes, whose items meet.
#[pipeline(env = Seen<u64>, quantum = "1us")]
mod sources {
    use super::*;

    #[source(priority = low, batch = 6)]
    pub fn patient() -> impl Iterator<Item = u64> {
        3000..3000 + EACH
    }

    #[source(priority = critical, batch = 2)]
    pub fn hasty() -> impl Iterator<Item = u64> {
        0..EACH
    }

    #[stage(from = patient)]
    pub fn work(n: u64) -> u64 {
        slow(n)
    }

    #[sink(from = [work, hasty], order = any)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(uneven(n));
    }
}

#[test]
fn sources_of_all_lanes_are_read_to_their_end() {
    check(|| {
        let seen = Seen::new();
        let report = ended(start(sources::pipeline(), seen.clone()).wait());
        let mut items = seen.take();
        items.sort_unstable();
        let expect: Vec<u64> = (0..EACH).chain(3000..3000 + EACH).collect();
        assert_eq!(items, expect, "{report}");
    });
}
