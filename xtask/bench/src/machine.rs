//! The machine: what has to be the same for two results to be comparable, and what it did while a trial ran.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::random::Random;

/// What a machine is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Machine {
    /// A digest of the fields: results of different classes are not compared.
    pub(crate) class: String,
    pub(crate) fields: BTreeMap<String, String>,
}

/// Files with one value.
const FILES: &[(&str, &str)] = &[
    (
        "clocksource",
        "sys/devices/system/clocksource/clocksource0/current_clocksource",
    ),
    (
        "governor",
        "sys/devices/system/cpu/cpufreq/policy0/scaling_governor",
    ),
    ("no_turbo", "sys/devices/system/cpu/intel_pstate/no_turbo"),
    ("numa_nodes", "sys/devices/system/node/online"),
    ("cpus_online", "sys/devices/system/cpu/online"),
    ("smt", "sys/devices/system/cpu/smt/control"),
    ("thp", "sys/kernel/mm/transparent_hugepage/enabled"),
    (
        "mitigations",
        "sys/devices/system/cpu/vulnerabilities/spectre_v2",
    ),
];

impl Machine {
    /// The machine below this root, which is `/` outside of tests.
    pub(crate) fn read(root: &Path) -> Self {
        let mut fields = BTreeMap::new();
        let mut set = |name: &str, value: Option<String>| {
            fields.insert(
                name.to_owned(),
                value.unwrap_or_else(|| "unknown".to_owned()),
            );
        };
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        for (name, path) in FILES {
            set(name, text(path).map(|text| text.trim().to_owned()));
        }
        let cpuinfo = text("proc/cpuinfo").unwrap_or_default();
        set(
            "cpu_model",
            field(&cpuinfo, "model name").or_else(|| field(&cpuinfo, "CPU part")),
        );
        let flags = field(&cpuinfo, "flags");
        let guest = |flags: String| flags.split(' ').any(|flag| flag == "hypervisor");
        set("hypervisor", flags.map(|flags| guest(flags).to_string()));
        let status = text("proc/self/status").unwrap_or_default();
        set("cpus_allowed", field(&status, "Cpus_allowed_list"));
        let release = text("proc/sys/kernel/osrelease");
        set("kernel", release.as_deref().map(major_minor));
        set("arch", Some(std::env::consts::ARCH.to_owned()));
        let quota = text("sys/fs/cgroup/cpu.max").map(|text| text.trim().to_owned());
        set("quota", quota);
        Self {
            class: class(&fields),
            fields,
        }
    }

    /// The fields that differ, with both values.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut names: Vec<&String> = self.fields.keys().chain(other.fields.keys()).collect();
        names.sort();
        names.dedup();
        let value = |machine: &Self, name: &str| {
            machine
                .fields
                .get(name)
                .map_or("absent", String::as_str)
                .to_owned()
        };
        let different = names
            .into_iter()
            .filter(|name| self.fields.get(*name) != other.fields.get(*name));
        different
            .map(|name| {
                format!(
                    "{name}: `{}` and `{}`",
                    value(self, name),
                    value(other, name)
                )
            })
            .collect()
    }
}

fn field(text: &str, name: &str) -> Option<String> {
    let line = text
        .lines()
        .find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// `6.18.44-foo` is 6.18.
fn major_minor(release: &str) -> String {
    release
        .trim()
        .split('.')
        .take(2)
        .collect::<Vec<&str>>()
        .join(".")
}

/// The first half of the digest of all fields.
fn class(fields: &BTreeMap<String, String>) -> String {
    let mut hasher = Sha256::new();
    for (name, value) in fields {
        hasher.update(format!("{name}={value}\n"));
    }
    hasher.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

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
        Meanwhile {
            steal: share(later.steal.saturating_sub(self.steal)),
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
    let once = |seed: u64| {
        let begun = Instant::now();
        let mut random = Random(seed);
        let sum = (0..40_000).fold(0_u64, |sum, _| sum.wrapping_add(random.next_u64()));
        std::hint::black_box(sum);
        begun.elapsed()
    };
    (0..40).map(once).min().unwrap_or_default()
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

    const CPUINFO: &str = "processor : 0\nmodel name\t: Fast 9000\nflags\t\t: fpu hypervisor sse\n";

    #[test]
    fn the_fields_are_read_and_what_is_not_there_is_unknown() {
        let root = root(&[
            ("proc/cpuinfo", CPUINFO),
            ("proc/sys/kernel/osrelease", "6.18.44-any\n"),
            ("proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-1\n"),
        ]);
        let machine = Machine::read(root.path());
        let check = |name: &str, expect: &str| assert_eq!(machine.fields[name], expect, "{name}");
        check("cpu_model", "Fast 9000");
        check("hypervisor", "true");
        check("kernel", "6.18");
        check("cpus_allowed", "0-1");
        check("governor", "unknown");
    }

    #[test]
    fn another_machine_is_another_class_and_the_fields_say_why() {
        let one = Machine::read(root(&[("proc/cpuinfo", CPUINFO)]).path());
        let other = Machine::read(root(&[("proc/cpuinfo", &CPUINFO.replace("9000", "1"))]).path());
        assert_ne!(one.class, other.class);
        assert_eq!(
            one.differences(&other),
            ["cpu_model: `Fast 9000` and `Fast 1`"]
        );
        assert!(one.differences(&one).is_empty());
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
    }
}
