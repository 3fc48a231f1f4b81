//! What every run under faults is checked by: each item has one end, order is kept, and the run leaves neither a thread nor an
//! open file behind.
//!
//! A [`Case`] is one test at a time in its process, because threads and files are the process's. Its seed is printed;
//! `PIPEWRIGHT_SEED` repeats it.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

use crate::{eventually, faults};

/// What panics say that a case wants.
pub const CHAOS: &str = "chaos";

/// The case that runs.
static ALONE: Mutex<()> = Mutex::new(());

/// One case of the fault programme.
#[derive(Debug)]
pub struct Case {
    _alone: MutexGuard<'static, ()>,
    seed: u64,
    before: Open,
}

impl Case {
    /// Waits until no other case runs, and prints the seed.
    ///
    /// # Panics
    ///
    /// If `PIPEWRIGHT_SEED` is no number.
    pub fn begin(name: &str) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let seed = seed();
        println!("{name}: PIPEWRIGHT_SEED={seed}");
        // Panics that are part of the case would fill the screen; they say so.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !matches!(panic.payload_as_str(), Some(CHAOS | "failpoint")) {
                hook(panic);
            }
        }));
        Self {
            _alone: alone,
            seed,
            before: Open::now(),
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Random numbers by the seed.
    pub fn random(&self) -> Random {
        Random::new(self.seed)
    }

    /// The case is over: waits until all threads and files that it has opened are gone.
    ///
    /// # Panics
    ///
    /// If they stay.
    #[track_caller]
    pub fn end(self) {
        // Those of the test harness that was about to start threads may have been counted before.
        eventually(|| {
            let now = Open::now();
            now.threads <= self.before.threads && now.files <= self.before.files
        });
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::panic::take_hook();
        }
    }
}

/// The seed of this process: that of `PIPEWRIGHT_SEED`, else any.
///
/// # Panics
///
/// If `PIPEWRIGHT_SEED` is no number.
pub fn seed() -> u64 {
    match std::env::var("PIPEWRIGHT_SEED") {
        Ok(text) => text.parse().expect("PIPEWRIGHT_SEED is a number"),
        Err(_) => RandomState::new().hash_one(()),
    }
}

/// What a process has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Threads, without those of the test harness.
    pub threads: usize,
    /// File descriptors.
    pub files: usize,
}

impl Open {
    /// What this process has open now.
    pub fn now() -> Self {
        let names = fs::read_dir("/proc/self/task").into_iter().flatten();
        let names =
            names.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
        Self {
            threads: names.filter(|name| !is_test(name)).count(),
            files: fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
        }
    }
}

/// A test's thread has its name: a path, or that of a case, such as `c11_a_process`.
fn is_test(name: &str) -> bool {
    let case = name.strip_prefix('c').and_then(|rest| rest.split_once('_'));
    name.contains("::") || case.is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// Random numbers that a seed decides (SplitMix64; Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    /// One below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.any() % most.max(1)
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// Is item `n` struck at a stage, by the seed? One in `times` is.
pub fn strikes(seed: u64, stage: u64, n: u64, times: u64) -> bool {
    let x = seed
        ^ (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ stage.wrapping_mul(0xD1B5_4A32_D192_ED03);
    mixed(x).is_multiple_of(times)
}

fn mixed(x: u64) -> u64 {
    let x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ x >> 31
}

/// How often each of some items came to an end.
#[derive(Debug)]
pub struct Ends(Box<[AtomicU8]>);

impl Ends {
    /// Of items `0..items`.
    pub fn new(items: u64) -> Self {
        Self((0..items).map(|_| AtomicU8::new(0)).collect())
    }

    /// An item has come to an end. More than 255 of an item are not told apart.
    pub fn end(&self, n: u64) {
        let more = |times: u8| times.checked_add(1);
        let _ = self.0[n as usize].fetch_update(Relaxed, Relaxed, more);
    }

    /// Has it?
    pub fn has_ended(&self, n: u64) -> bool {
        self.0[n as usize].load(Relaxed) > 0
    }

    /// Items that came to an end, and those that came to several.
    pub fn counts(&self) -> (u64, u64) {
        let times = self.0.iter().map(|times| times.load(Relaxed));
        times.fold((0, 0), |(ended, twice), times| {
            (ended + u64::from(times > 0), twice + u64::from(times > 1))
        })
    }

    /// Each came to exactly one end.
    ///
    /// # Panics
    ///
    /// If one did not.
    #[track_caller]
    pub fn check(&self) {
        let wrong = |(n, times): (usize, &AtomicU8)| match times.load(Relaxed) {
            1 => None,
            times => Some((n, times)),
        };
        let wrong: Vec<_> = self
            .0
            .iter()
            .enumerate()
            .filter_map(wrong)
            .take(8)
            .collect();
        assert!(
            wrong.is_empty(),
            "items that ended not once but so often: {wrong:?}"
        );
    }
}

/// Whether items come in order, once each, and what they add up to.
#[derive(Debug, Default)]
pub struct InOrder {
    /// How many came.
    pub items: u64,
    /// Their sum.
    pub sum: u64,
    /// Those that came behind a later one.
    pub disordered: u64,
    last: Option<u64>,
}

impl InOrder {
    /// An item came.
    pub fn see(&mut self, n: u64) {
        self.items += 1;
        self.sum = self.sum.wrapping_add(n);
        self.disordered += u64::from(self.last.is_some_and(|last| last >= n));
        self.last = Some(n);
    }
}

/// Does a whole programme run, and not the quick form of it?
pub fn is_full() -> bool {
    faults(10) == 10
}
