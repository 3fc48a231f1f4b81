//! The functions of the checks, by group.

mod build;
mod cpu;
mod frequency;
mod groups;
mod interrupts;
mod limits;
mod matched;
mod memory;
mod neighbours;
mod placed;
mod scheduler;
mod timed;

use crate::{
    Files,
    check::{Found, Look, Reason, Without, skip},
    parse::listed,
};
use pipewright::machine::kernel::Levels;

/// Looks at a machine, for one check.
pub(crate) type Run = fn(&Look<'_>) -> Found;

/// The function of the check with this id.
pub(crate) fn run_of(id: &str) -> Option<Run> {
    all().find(|(name, _)| *name == id).map(|(_, run)| *run)
}

/// All functions.
pub(crate) fn all() -> impl Iterator<Item = &'static (&'static str, Run)> {
    let groups: [&[(&str, Run)]; 11] = [
        &cpu::ALL,
        &frequency::ALL,
        &scheduler::ALL,
        &interrupts::ALL,
        &memory::ALL,
        &limits::ALL,
        &neighbours::ALL,
        &build::ALL,
        &placed::ALL,
        &matched::ALL,
        &timed::ALL,
    ];
    groups.into_iter().flatten()
}

/// The files of which two states are compared.
pub(crate) const COUNTERS: [&str; 6] = [
    "proc/stat",
    "proc/interrupts",
    "proc/softirqs",
    "proc/*/stat",
    "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count",
    "sys/devices/system/cpu/cpu*/thermal_throttle/package_throttle_count",
];

/// Those of the control groups.
pub(crate) fn group_counters(files: &Files) -> Vec<String> {
    let of = |controller: &str, name: &str| -> Vec<String> {
        let Levels { v2, v1 } = Levels::of(files, controller);
        let folders = v2.into_iter().chain(v1);
        folders.map(|folder| format!("{folder}/{name}")).collect()
    };
    [
        of("cpu", "cpu.stat"),
        of("memory", "memory.events"),
        of("memory", "memory.oom_control"),
    ]
    .concat()
}

/// The cpus that pinned stages have; a check about them says nothing where there are none.
fn hot(look: &Look<'_>) -> Result<Vec<u32>, Without> {
    let hot = look.declared.hot();
    match hot.is_empty() {
        true => skip(Reason::NotDeclared, "no stage is pinned"),
        false => Ok(hot),
    }
}

/// Those of the first that are not among the second.
fn without(all: &[u32], others: &[u32]) -> Vec<u32> {
    all.iter()
        .copied()
        .filter(|cpu| !others.contains(cpu))
        .collect()
}

/// Those of the first that are among the second.
fn within(all: &[u32], others: &[u32]) -> Vec<u32> {
    all.iter()
        .copied()
        .filter(|cpu| others.contains(cpu))
        .collect()
}

/// `cpu 3`, `cpus 0-3`, `no cpu`.
fn cpus(list: &[u32]) -> String {
    match list {
        [] => "no cpu".to_owned(),
        [one] => format!("cpu {one}"),
        many => format!("cpus {}", listed(many)),
    }
}

/// `1 thread`, `2 threads`.
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// Bytes in the largest unit that keeps three digits.
fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{n} B"),
        _ => format!("{value:.1} {}", units[unit]),
    }
}

/// Nanoseconds in the unit that reads best.
fn time(ns: f64) -> String {
    match ns {
        ns if ns >= 1e9 => format!("{:.1} s", ns / 1e9),
        ns if ns >= 1e6 => format!("{:.1} ms", ns / 1e6),
        ns if ns >= 1e3 => format!("{:.1} us", ns / 1e3),
        ns => format!("{ns:.0} ns"),
    }
}
