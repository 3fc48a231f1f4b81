//! What the machine did while a trial ran.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    time::{Duration, Instant},
};

use crate::canary::Work;
pub(crate) use crate::fingerprint::Machine;

/// What the machine has counted, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counters {
    /// Ticks of all processors.
    total: u64,
    /// Ticks that the hypervisor gave to others.
    steal: u64,
    /// Ticks in which somebody worked.
    busy: u64,
    /// Ticks in which ended children of this process worked.
    children: u64,
    /// Times that the control group was throttled.
    throttled: u64,
}

/// What the machine did between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Meanwhile {
    /// The share of the time that the hypervisor gave to others.
    pub(crate) steal: f64,
    /// The share of the time in which processes worked that are no trial; `None` for times that are too short to tell.
    pub(crate) foreign: Option<f64>,
    pub(crate) throttled: u64,
}

/// Shorter times have too few ticks to say who worked.
const FEWEST_TICKS: u64 = 40;
/// A single tick is what the clock can tell, and of a short time already a large share.
const FEWEST_STOLEN: u64 = 2;

impl Counters {
    pub(crate) fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        let stat = text("proc/stat");
        let cpu: Vec<u64> = numbers(
            stat.lines()
                .next()
                .unwrap_or_default()
                .strip_prefix("cpu")
                .unwrap_or_default(),
        );
        let at = |index: usize| cpu.get(index).copied().unwrap_or(0);
        let own = text("proc/self/stat");
        // Behind the name, which may have blanks, `cutime` and `cstime` are the 14th and the 15th.
        let own: Vec<&str> = own
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let tick = |index: usize| {
            own.get(index)
                .and_then(|word| word.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let throttled = ["sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/cpu/cpu.stat"].map(|path| {
            let text = text(path);
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("nr_throttled "));
            line.and_then(|value| value.trim().parse::<u64>().ok())
                .unwrap_or(0)
        });
        Self {
            total: cpu.iter().take(8).sum(),
            steal: at(7),
            busy: at(0) + at(1) + at(2) + at(5) + at(6),
            children: tick(13) + tick(14),
            throttled: throttled[0] + throttled[1],
        }
    }

    pub(crate) fn until(self, later: Self) -> Meanwhile {
        let total = later.total.saturating_sub(self.total);
        let share = |ticks: u64| ticks as f64 / total.max(1) as f64;
        let busy = later.busy.saturating_sub(self.busy);
        let ours = later.children.saturating_sub(self.children);
        let stolen = later.steal.saturating_sub(self.steal);
        Meanwhile {
            steal: if stolen >= FEWEST_STOLEN {
                share(stolen)
            } else {
                0.0
            },
            foreign: (total >= FEWEST_TICKS).then(|| share(busy.saturating_sub(ours))),
            throttled: later.throttled.saturating_sub(self.throttled),
        }
    }
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// How long a fixed piece of work takes now: the least of many short tries, since a try of a tenth of a millisecond often slips
/// between the interruptions that a longer one meets. It sees what counters do not: a lower frequency, a neighbour in the same
/// core.
pub(crate) fn canary() -> Duration {
    static WORK: LazyLock<Work> = LazyLock::new(Work::default);
    const TRIES: usize = 40;
    const PART: f64 = 1.0 / 500.0;
    (0..TRIES)
        .map(|_| WORK.round(PART))
        .min()
        .unwrap_or_default()
}

/// By how much `canary` takes longer than it did, as a share, and how long it takes now. Whoever shares a core with a neighbour
/// is slower for some milliseconds now and then, which the blocks average out; a drift is what lasts, so a canary that is off by
/// more than `limit` is asked again, for a tenth of a second.
pub(crate) fn drift(then: Duration, limit: f64, canary: impl Fn() -> Duration) -> (f64, Duration) {
    let begun = Instant::now();
    loop {
        let now = canary();
        let drift = now.as_secs_f64() / then.as_secs_f64() - 1.0;
        if drift.abs() <= limit || begun.elapsed() >= LASTS {
            return (drift, now);
        }
    }
}

/// A machine that is slower or faster for so long has changed.
const LASTS: Duration = Duration::from_millis(100);

/// Where trials are copied to: memory, if there is such a place.
pub(crate) fn scratch() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    if shared.is_dir() {
        shared
    } else {
        std::env::temp_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drift_is_what_lasts() {
        let check = |now: &[u64], expect: f64| {
            let at = std::cell::Cell::new(0);
            let canary = || {
                let value = now[at.get().min(now.len() - 1)];
                at.set(at.get() + 1);
                Duration::from_micros(value)
            };
            let (drift, _) = drift(Duration::from_micros(100), 0.05, canary);
            assert!((drift - expect).abs() < 1e-9, "{now:?}: {drift}");
        };
        check(&[103], 0.03);
        check(&[120, 118, 101], 0.01);
        check(&[120], 0.2);
        check(&[80], -0.2);
    }

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        root
    }

    #[test]
    fn what_others_took_is_told_apart_from_what_trials_took() {
        let at = |user: u64, idle: u64, steal: u64, children: u64, throttled: u64| {
            let stat = format!("cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1\n");
            let own = format!("7 (a b) S{} {children} 0 0", " 0".repeat(12));
            let cpu = format!("nr_periods 5\nnr_throttled {throttled}\n");
            let root = root(&[
                ("proc/stat", &stat),
                ("proc/self/stat", &own),
                ("sys/fs/cgroup/cpu.stat", &cpu),
            ]);
            Counters::read(root.path())
        };
        let found = at(100, 100, 0, 10, 1).until(at(150, 140, 10, 40, 3));
        assert_eq!(
            found,
            Meanwhile {
                steal: 0.1,
                foreign: Some(0.2),
                throttled: 2
            }
        );
        assert_eq!(at(0, 0, 0, 0, 0).until(at(5, 5, 0, 5, 0)).foreign, None);
        assert_eq!(at(0, 0, 0, 0, 0).until(at(5, 5, 1, 5, 0)).steal, 0.0);
    }
}
