//! Reads how much memory is used, and how long tasks wait for it.
//!
//! Limits hold for everything below them, so every level of the control groups counts, and the fullest one decides. Pages
//! of files that the kernel can drop without writing (`inactive_file`) are no use of memory: a process that reads files
//! fills its limit with them and is not short of anything.

use super::state::Reading;
use crate::machine::{Files, Levels};

/// Version 1 says "no limit" with the largest number of whole pages.
const NO_LIMIT: u64 = 1 << 62;
const SYSTEM: &str = "proc/pressure/memory";

/// The files to look at.
#[derive(Clone, Debug)]
pub(crate) struct Gauge {
    files: Files,
    groups: Vec<Group>,
    /// PSI of the nearest group that has it, else of the system.
    stalls: Option<String>,
}

#[derive(Clone, Debug)]
struct Group {
    folder: String,
    names: &'static Names,
}

/// How a version of the control groups calls its files.
#[derive(Debug)]
struct Names {
    used: &'static str,
    limits: &'static [&'static str],
    droppable: &'static str,
}

static V2: Names = Names {
    used: "memory.current",
    limits: &["memory.max", "memory.high"],
    droppable: "inactive_file",
};
static V1: Names = Names {
    used: "memory.usage_in_bytes",
    limits: &["memory.limit_in_bytes"],
    droppable: "total_inactive_file",
};

impl Gauge {
    /// `None` if there is neither a limit nor PSI.
    pub(super) fn find(files: Files) -> Option<Self> {
        let levels = Levels::of(&files, "memory");
        let group = |folder: &String, names| Group {
            folder: folder.clone(),
            names,
        };
        let v2 = levels.v2.iter().map(|folder| group(folder, &V2));
        let v1 = levels.v1.iter().map(|folder| group(folder, &V1));
        let groups: Vec<Group> = v2
            .chain(v1)
            .filter(|group| files.has(&group.path(group.names.used)))
            .collect();
        let nearest = levels
            .v2
            .iter()
            .map(|folder| format!("{folder}/memory.pressure"));
        let mut stalls = nearest.chain([SYSTEM.to_owned()]);
        let gauge = Self {
            stalls: stalls.find(|path| {
                files
                    .text(path)
                    .is_some_and(|text| stall(&text, "some").is_some())
            }),
            groups,
            files,
        };
        let limited = gauge
            .groups
            .iter()
            .any(|group| group.limit(&gauge.files).is_some());
        // Limits can be set later, so groups without one are looked at, too; but not if there is nothing else.
        (limited || gauge.stalls.is_some()).then_some(gauge)
    }

    pub(super) fn read(&self) -> Reading {
        let used = self
            .groups
            .iter()
            .filter_map(|group| group.used(&self.files));
        let stalls = self
            .stalls
            .as_ref()
            .and_then(|path| self.files.text(path))
            .unwrap_or_default();
        Reading {
            used: used.max_by(f64::total_cmp),
            some: stall(&stalls, "some"),
            full: stall(&stalls, "full"),
        }
    }
}

impl Group {
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn number(&self, files: &Files, name: &str) -> Option<u64> {
        files.text(&self.path(name))?.parse().ok()
    }

    /// In bytes.
    fn limit(&self, files: &Files) -> Option<u64> {
        let limits = self
            .names
            .limits
            .iter()
            .filter_map(|name| self.number(files, name));
        limits.filter(|limit| *limit < NO_LIMIT).min()
    }

    /// In percent of the limit; `None` without one.
    fn used(&self, files: &Files) -> Option<f64> {
        let limit = self.limit(files)?;
        let used = self.number(files, self.names.used)?;
        let stat = files.text(&self.path("memory.stat")).unwrap_or_default();
        let droppable = stat
            .lines()
            .filter_map(|line| line.split_once(' '))
            .find(|(name, _)| *name == self.names.droppable);
        let droppable = droppable
            .and_then(|(_, bytes)| bytes.trim().parse().ok())
            .unwrap_or(0);
        Some(used.saturating_sub(droppable) as f64 * 100.0 / limit.max(1) as f64)
    }
}

/// The average of 10 s in a line `some avg10=1.50 avg60=0.40 avg300=0.10 total=12345`.
fn stall(text: &str, line: &str) -> Option<f64> {
    let line = text.lines().find_map(|text| text.strip_prefix(line))?;
    let average = line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("avg10="))?;
    average
        .parse()
        .ok()
        .filter(|average: &f64| average.is_finite())
}

#[cfg(test)]
mod tests {
    use super::{super::MemoryWatch, *};
    use crate::machine::tests::unpack;

    #[track_caller]
    fn check(files: &str, expect: Option<Reading>) {
        let folder = tempfile::tempdir().expect("a folder");
        unpack(folder.path(), files);
        let gauge = MemoryWatch::new().root(folder.path()).gauge();
        assert_eq!(gauge.map(|gauge| gauge.read()), expect, "{files}");
    }

    fn reading(used: Option<f64>, some: Option<f64>, full: Option<f64>) -> Option<Reading> {
        Some(Reading { used, some, full })
    }

    #[test]
    fn the_fullest_level_of_version_2_counts() {
        check(
            "proc/self/cgroup = 0::/app/web
sys/fs/cgroup/cgroup.controllers = memory
sys/fs/cgroup/app/memory.max = 1000
sys/fs/cgroup/app/memory.high = max
sys/fs/cgroup/app/memory.current = 900
sys/fs/cgroup/app/memory.stat = anon 400\\nfile 500\\ninactive_file 300\\nactive_file 200
sys/fs/cgroup/app/memory.pressure = some avg10=9.00 avg60=0.00 avg300=0.00 total=0
sys/fs/cgroup/app/web/memory.max = max
sys/fs/cgroup/app/web/memory.high = 500
sys/fs/cgroup/app/web/memory.current = 400
sys/fs/cgroup/app/web/memory.pressure = some avg10=1.50 avg60=0.40 avg300=0.10 total=12345\\nfull avg10=0.25 avg60=0.00 avg300=0.00 total=99
proc/pressure/memory = some avg10=77.00 avg60=0.00 avg300=0.00 total=0",
            reading(Some(80.0), Some(1.5), Some(0.25)),
        );
    }

    #[test]
    fn version_1_and_the_stalls_of_the_system_are_read() {
        check(
            "proc/self/cgroup = 4:memory:/docker/abc\\n0::/
sys/fs/cgroup/unified/cgroup.procs =
sys/fs/cgroup/memory/memory.usage_in_bytes = 99999
sys/fs/cgroup/memory/memory.limit_in_bytes = 9223372036854771712
sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes = 2000
sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes = 2000
sys/fs/cgroup/memory/docker/abc/memory.stat = inactive_file 7\\ntotal_inactive_file 500
proc/pressure/memory = some avg10=3.00 avg60=0.00 avg300=0.00 total=5\\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=5",
            reading(Some(75.0), Some(3.0), Some(1.0)),
        );
    }

    #[test]
    fn without_a_limit_there_are_stalls_and_without_both_nothing() {
        check(
            "proc/pressure/memory = some avg10=0.00 avg60=0.00 avg300=0.00 total=0",
            reading(None, Some(0.0), None),
        );
        check(
            "sys/fs/cgroup/cgroup.controllers = memory
sys/fs/cgroup/memory.current = 5
sys/fs/cgroup/memory.max = max
proc/pressure/memory = nonsense",
            None,
        );
        check("proc/self/status = Name:", None);
    }

    #[test]
    fn what_makes_no_sense_is_not_there() {
        check(
            "sys/fs/cgroup/cgroup.controllers = memory
sys/fs/cgroup/memory.current = many
sys/fs/cgroup/memory.max = 1000
proc/pressure/memory = some avg10=NaN\\nfull avg10=1e400",
            reading(None, None, None),
        );
        check(
            "sys/fs/cgroup/cgroup.controllers = memory
sys/fs/cgroup/memory.current = 10
sys/fs/cgroup/memory.max = 0
sys/fs/cgroup/memory.stat = inactive_file 100",
            reading(Some(0.0), None, None),
        );
    }
}
