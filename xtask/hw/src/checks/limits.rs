//! L: limits, control groups and permissions.

use pipewright::machine::kernel;
use pipewright_spec::options::Wait;

use super::{
    Run, bytes, count, cpus,
    groups::{levels, some_levels},
    memory, without,
};
use crate::{
    check::{Found, Look, Reason, Without, impossible, met, noted, skip, test, unknown},
    host::{IPC_LOCK, PERFMON, SYS_NICE},
    parse,
};

pub(super) const ALL: [(&str, Run); 13] = [
    ("L01", locked),
    ("L02", realtime),
    ("L03", files),
    ("L04", threads),
    ("L05", stack),
    ("L06", quota),
    ("L07", throttled),
    ("L08", cpuset),
    ("L09", memory_limit),
    ("L10", weight),
    ("L11", seccomp),
    ("L12", counters),
    ("L13", oom_score),
];

const LIMITS: &str = "proc/self/limits";
const STATUS: &str = "proc/self/status";

/// The soft limit with this name, as `ulimit` shows it; `None` is no limit.
fn soft(look: &Look<'_>, name: &str) -> Result<Option<u64>, Without> {
    let text = look.peek(LIMITS)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    let Some(word) = word else {
        return unknown(format!("`/{LIMITS}` has no `{name}`"));
    };
    look.saw(format_args!("/{LIMITS} {name}"), word);
    match (word, word.parse()) {
        ("unlimited", _) => Ok(None),
        (_, Ok(limit)) => Ok(Some(limit)),
        _ => unknown(format!("`{name}` of `/{LIMITS}` is `{word}`")),
    }
}

pub(super) fn locked(look: &Look<'_>) -> Found {
    let Some(wanted) = look.declared.demands.locked else {
        return skip(
            Reason::NotDeclared,
            "nobody asks for locked memory with `--locked`",
        );
    };
    let limit = soft(look, "Max locked memory")?;
    if look.place.may(IPC_LOCK) {
        return met("CAP_IPC_LOCK: no limit");
    }
    match limit {
        None => met("no limit"),
        Some(limit) if limit < wanted => {
            impossible(format!("{} for {}", bytes(limit), bytes(wanted)))
        }
        Some(limit) => met(format!("{} for {}", bytes(limit), bytes(wanted))),
    }
}

pub(super) fn realtime(look: &Look<'_>) -> Found {
    let pinned = look.declared.pinned();
    let asked: Vec<_> = pinned.iter().filter(|p| p.realtime.is_some()).collect();
    let Some(most) = asked.iter().filter_map(|p| p.realtime).max() else {
        return skip(Reason::NotDeclared, "no stage asks for real-time priority");
    };
    let names: Vec<String> = asked.iter().map(|p| p.name.clone()).collect();
    let limit = soft(look, "Max realtime priority")?;
    let text = format!("priority {most} asked for");
    if let Some(Err(why)) = &look.facts().realtime {
        return Ok(impossible(format!("{text}: {why}"))?.affects(names));
    }
    for (path, value) in levels(look, "cpu", "no such file", Some("cpu.rt_runtime_us"))? {
        if value == "0" && path.matches('/').count() > 3 {
            return Ok(impossible(format!(
                "{text}: the control group gives real-time threads no time"
            ))?
            .affects(names));
        }
    }
    let allowed = limit.is_none_or(|limit| limit >= u64::from(most)) || look.place.may(SYS_NICE);
    match (allowed, &look.facts().realtime) {
        (true, _) | (_, Some(Ok(()))) => met(text),
        _ => Ok(impossible(format!("{text}, {} allowed", limit.unwrap_or(0)))?.affects(names)),
    }
}

/// The threads of the pipelines, or one for each cpu.
fn wanted_threads(look: &Look<'_>) -> u64 {
    let machine = look.machine;
    look.declared.threads(machine).max(machine.usable().count()) as u64
}

fn files(look: &Look<'_>) -> Found {
    let wanted = look.thresholds.spare_files + 4 * wanted_threads(look);
    match soft(look, "Max open files")? {
        None => met("no limit"),
        Some(limit) => test(limit >= wanted, format!("{limit} for at least {wanted}")),
    }
}

fn threads(look: &Look<'_>) -> Found {
    let wanted = wanted_threads(look) + look.thresholds.spare_threads;
    let mut limits = Vec::new();
    limits.extend(soft(look, "Max processes")?.map(|limit| (limit, "RLIMIT_NPROC".to_owned())));
    for name in ["threads-max", "pid_max"] {
        limits.push((
            look.number(&format!("proc/sys/kernel/{name}"))?,
            name.to_owned(),
        ));
    }
    for (path, text) in levels(look, "pids", "pids.max", Some("pids.max"))? {
        let used: u64 = look.number(&path.replace("pids.max", "pids.current"))?;
        if text != "max" {
            let Ok(most) = text.parse::<u64>() else {
                return unknown(format!("`/{path}` is not a number: `{text}`"));
            };
            limits.push((most.saturating_sub(used), "pids.max".to_owned()));
        }
    }
    let Some((least, name)) = limits.into_iter().min() else {
        return met("no limit");
    };
    let text = format!("{least} more by {name}, for {wanted}");
    match least < wanted && !look.declared.is_empty() {
        true => impossible(text),
        false => test(least >= wanted, text),
    }
}

fn stack(look: &Look<'_>) -> Found {
    let environ = look.peek("proc/self/environ")?;
    let said = environ
        .split('\0')
        .find_map(|one| one.strip_prefix("RUST_MIN_STACK="));
    let wanted = said
        .and_then(|n| n.parse().ok())
        .unwrap_or(look.thresholds.thread_stack);
    match soft(look, "Max stack size")? {
        None => met(format!("no limit, threads have {}", bytes(wanted))),
        Some(limit) => test(
            limit >= wanted,
            format!("{} for threads with {}", bytes(limit), bytes(wanted)),
        ),
    }
}

fn quota(look: &Look<'_>) -> Found {
    some_levels(look, "cpu", "cpu.max", Some("cpu.cfs_quota_us")).or_else(|none| {
        // The group at the top of version 2 has no such file: nothing limits it.
        let at_top = look.has("sys/fs/cgroup/cgroup.controllers");
        if at_top { Ok(Vec::new()) } else { Err(none) }
    })?;
    let Some(quota) = look.machine.quota() else {
        return met("no limit");
    };
    let text = format!("time for {quota:.1} cpus");
    let spinning: Vec<String> = look
        .declared
        .pinned()
        .into_iter()
        .filter(|pinned| pinned.wait == Wait::Spin)
        .map(|pinned| pinned.name)
        .collect();
    if look.declared.is_empty() {
        return test(false, text);
    }
    let threads = look.declared.threads(look.machine);
    match kernel::short_quota(look.machine, threads, !spinning.is_empty()) {
        Some(_) if !spinning.is_empty() => {
            let text = format!("{text}, and threads that spin use it up");
            Ok(impossible(text)?.affects(spinning))
        }
        short => test(
            short.is_none(),
            format!("{text}, for {}", count(threads, "thread")),
        ),
    }
}

fn throttled(look: &Look<'_>) -> Found {
    let number = |text: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("nr_throttled "));
        line.and_then(|number| number.trim().parse::<u64>().ok())
    };
    let (mut times, mut seconds, mut counted) = (0, 0.0, false);
    for (path, now) in some_levels(look, "cpu", "cpu.stat", Some("cpu.stat"))? {
        // A group without a limit does not count.
        let Some(now) = number(&now) else { continue };
        let (before, ago) = look.before(&path)?;
        times += now.saturating_sub(number(&before).unwrap_or(now));
        (seconds, counted) = (ago, true);
    }
    match counted {
        true => test(
            times == 0,
            format!("{} in {seconds:.0} s", count(times as usize, "time")),
        ),
        false => skip(Reason::NotPresent, "no control group counts it"),
    }
}

fn cpuset(look: &Look<'_>) -> Found {
    let Some(text) = look
        .peek(STATUS)?
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:").map(str::to_owned))
    else {
        return unknown("`/proc/self/status` has no `Cpus_allowed_list`");
    };
    look.saw("/proc/self/status Cpus_allowed_list", text.trim());
    let Some(allowed) = parse::list(&text) else {
        return unknown(format!(
            "the affinity mask is not a list of cpus: `{}`",
            text.trim()
        ));
    };
    let hot = look.declared.hot();
    // Cpus that are kept free are not in the mask of a thread, and a thread may be bound to them all the same.
    let kept = super::scheduler::isolated_cpus(look).unwrap_or_default();
    let missing = without(&without(&hot, &allowed), &kept);
    let text = cpus(&allowed);
    match (hot.is_empty(), missing.is_empty()) {
        (true, _) => noted(text),
        (_, true) => met(text),
        _ => Ok(impossible(format!("{text}, without {}", cpus(&missing)))?
            .affects(look.declared.on(&missing))),
    }
}

fn memory_limit(look: &Look<'_>) -> Found {
    let mut killed = 0;
    for (path, now) in memory::kills(look)? {
        if let Ok((before, _)) = look.before(&path) {
            killed += now.saturating_sub(memory::kill_count(&before));
        }
    }
    let limit = memory::limit(look)?;
    let high = levels(look, "memory", "memory.high", None)?;
    let slowed = high.iter().find_map(|(_, text)| text.parse::<u64>().ok());
    let text = match (limit, slowed) {
        (None, None) => "no limit".to_owned(),
        (Some(limit), None) => bytes(limit),
        (limit, Some(high)) => {
            let limit = limit.map_or("no limit".to_owned(), bytes);
            format!("{limit}, slowed down from {} on", bytes(high))
        }
    };
    if killed > 0 {
        return test(
            false,
            format!(
                "{text}; {} killed meanwhile",
                count(killed as usize, "process").replace("sss", "sses")
            ),
        );
    }
    let footprint = look.declared.memory();
    let found = match (limit.into_iter().chain(slowed).min(), footprint) {
        (None, _) => return met(text),
        (Some(_), None) => return noted(text),
        (Some(least), Some(wanted)) if least < wanted => {
            impossible(format!("{text}, for {}", bytes(wanted)))
        }
        (Some(least), Some(wanted)) => {
            let enough = least as f64 >= look.thresholds.footprint_of_limit * wanted as f64;
            test(enough, format!("{text}, for {}", bytes(wanted)))
        }
    };
    Ok(memory::besides(look, found?))
}

fn weight(look: &Look<'_>) -> Found {
    let idle = levels(look, "cpu", "cpu.idle", Some("cpu.idle"))?;
    if idle.iter().any(|(_, text)| text == "1") {
        return test(
            false,
            "a group of this process gets only time that nobody wants",
        );
    }
    let found = some_levels(look, "cpu", "cpu.weight", Some("cpu.shares"))?;
    let mut shown = Vec::new();
    let mut few = false;
    for (path, text) in found {
        let Ok(weight) = text.parse::<u64>() else {
            return unknown(format!("`/{path}` is not a number: `{text}`"));
        };
        // 1024 shares are a weight of 100.
        let usual = if path.ends_with("shares") { 1024 } else { 100 };
        few |= weight * 100 < usual * look.thresholds.cpu_weight;
        shown.push(text);
    }
    test(!few, format!("weight {}", shown.join(", ")))
}

fn seccomp(look: &Look<'_>) -> Found {
    let filters = look.word(STATUS, "Seccomp_filters")?;
    match look.word(STATUS, "Seccomp")?.as_deref() {
        Some("0") => noted("no filter"),
        Some("2") => {
            let n = filters.and_then(|n| n.parse().ok()).unwrap_or(1);
            noted(format!("{} for each system call", count(n, "filter")))
        }
        Some(mode) => noted(format!("mode {mode}")),
        None => skip(Reason::NotPresent, "the kernel does not tell of filters"),
    }
}

fn counters(look: &Look<'_>) -> Found {
    let level: i64 = look.number("proc/sys/kernel/perf_event_paranoid")?;
    let devices = look.names("sys/bus/event_source/devices")?;
    let has_unit = devices
        .iter()
        .any(|name| name.starts_with("cpu") || name.starts_with("armv8"));
    if !has_unit {
        let found = test(false, format!("no counting unit, paranoid {level}"))?;
        return Ok(found.help("host: let the hypervisor show its guest the counting unit"));
    }
    let may = level <= look.thresholds.perf_paranoid || look.place.may(PERFMON);
    test(may, format!("a counting unit, paranoid {level}"))
}

fn oom_score(look: &Look<'_>) -> Found {
    let score: i64 = look.number("proc/self/oom_score_adj")?;
    test(score <= 0, score.to_string())
}
