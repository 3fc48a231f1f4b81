//! The control groups that this process is in: which cpus they leave it, and how much of them.
//!
//! Version 2 has one tree, version 1 one for each controller; a machine may have both. Limits hold for everything below,
//! so every level from the process's group up to the root counts. In a container the group's path may be that of the host,
//! while the mount shows the container's part of the tree only; then the levels that exist are the ones to read.

use super::files::{Files, Reader, parse_list};

const MOUNT: &str = "sys/fs/cgroup";

/// The folders of this process's groups with one controller, the nearest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Of version 2.
    pub v2: Vec<String>,
    /// Of version 1.
    pub v1: Vec<String>,
}

impl Levels {
    /// Those with a controller, such as `cpu`.
    pub fn of(files: &Files, controller: &str) -> Self {
        let groups = files.text("proc/self/cgroup").unwrap_or_default();
        let (mut unified, mut own) = (None, None);
        for line in groups.lines() {
            // `hierarchy:controllers:path`; version 2 is hierarchy 0 and names no controller.
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(names), Some(path)) = (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            if names.is_empty() {
                unified = Some(path);
            } else if names.split(',').any(|name| name == controller) {
                own = Some((names, path));
            }
        }
        let mount = if files.has("sys/fs/cgroup/cgroup.controllers") {
            MOUNT.to_owned()
        } else {
            format!("{MOUNT}/unified")
        };
        let (names, path) = own.unwrap_or((controller, "/"));
        let mut v1 = up(files, &format!("{MOUNT}/{names}"), path);
        if v1.is_empty() {
            v1 = up(files, &format!("{MOUNT}/{controller}"), path);
        }
        Self {
            v2: up(files, &mount, unified.unwrap_or("/")),
            v1,
        }
    }
}

/// The folders from `path` below `mount` up to `mount` itself that exist.
fn up(files: &Files, mount: &str, path: &str) -> Vec<String> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .collect();
    let folders = (0..=parts.len()).rev().map(|n| {
        let mut folder = mount.to_owned();
        for part in &parts[..n] {
            folder.push('/');
            folder.push_str(part);
        }
        folder
    });
    folders.filter(|folder| files.has(folder)).collect()
}

/// The cpus that the groups leave to this process; `None` if they say nothing.
pub(super) fn cpuset(reader: &mut Reader) -> Option<Vec<u32>> {
    let levels = Levels::of(&reader.files, "cpuset");
    let v2 = levels
        .v2
        .iter()
        .map(|dir| format!("{dir}/cpuset.cpus.effective"));
    let v1 = levels.v1.iter().flat_map(|dir| {
        ["cpuset.effective_cpus", "cpuset.cpus"].map(|name| format!("{dir}/{name}"))
    });
    // What is effective at a level is within what is effective above it, so the nearest one decides.
    let paths: Vec<String> = v2.chain(v1).collect();
    paths
        .iter()
        .find_map(|path| reader.list(path).filter(|cpus| !cpus.is_empty()))
}

/// How many cpus' worth of time this process gets; `None` if there is no limit.
pub(super) fn quota(reader: &mut Reader) -> Option<f64> {
    let levels = Levels::of(&reader.files, "cpu");
    let mut least: Option<f64> = None;
    let mut limit = |cpus: f64| least = Some(least.map_or(cpus, |least| least.min(cpus)));
    for dir in &levels.v2 {
        if let Some(Some(cpus)) = reader.read(&format!("{dir}/cpu.max"), "a cpu limit", cpu_max) {
            limit(cpus);
        }
    }
    for dir in &levels.v1 {
        let quota = reader.number(&format!("{dir}/cpu.cfs_quota_us"));
        let period = reader.number(&format!("{dir}/cpu.cfs_period_us"));
        if let (Some(quota @ 1..), Some(period @ 1..)) = (quota, period) {
            limit(quota as f64 / period as f64);
        }
    }
    least
}

/// `max 100000` or `150000 100000`, time and period in microseconds, as cpus' worth of time; `Some(None)` is no limit.
pub fn cpu_max(text: &str) -> Option<Option<f64>> {
    let mut words = text.split_whitespace();
    let quota = words.next()?;
    let period: u64 = words
        .next()
        .map_or(Some(100_000), |word| word.parse().ok())?;
    if quota == "max" {
        return Some(None);
    }
    let quota: u64 = quota.parse().ok()?;
    (quota > 0 && period > 0).then(|| Some(quota as f64 / period as f64))
}

/// The cpus that the affinity mask of the calling thread has.
pub(super) fn allowed(reader: &mut Reader) -> Option<Vec<u32>> {
    let status = ["proc/thread-self/status", "proc/self/status"];
    let text = status.iter().find_map(|path| reader.files.text(path))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let cpus = parse_list(line);
    if cpus.is_none() {
        reader.note(format!(
            "the affinity mask is not a list of cpus: `{}`",
            line.trim()
        ));
    }
    cpus.filter(|cpus| !cpus.is_empty())
}
