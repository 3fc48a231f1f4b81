//! M: memory.

use super::{
    Run, bytes, count,
    groups::{levels, some_levels},
};
use crate::{
    check::{
        Finding, Found, Look, Profile, Reason, Without, impossible, met, noted, skip, test, unknown,
    },
    parse,
};

pub(super) const ALL: [(&str, Run); 17] = [
    ("M01", available),
    ("M02", swap),
    ("M03", transparent_huge_pages),
    ("M04", huge_pages),
    ("M05", numa_balancing),
    ("M06", zone_reclaim),
    ("M07", same_pages),
    ("M08", compaction),
    ("M09", overcommit),
    ("M10", map_count),
    ("M11", stat_interval),
    ("M12", min_free),
    ("M13", pressure),
    ("M14", page_size),
    ("M15", address_randomisation),
    ("M16", reclaim),
    ("M17", build_folder),
];

const VM: &str = "proc/sys/vm";
const MEMINFO: &str = "proc/meminfo";
/// No limit, as version 1 of the control groups says it, or more.
const NO_LIMIT: u64 = 1 << 62;

/// A field of `/proc/meminfo`, in bytes.
pub(super) fn meminfo(look: &Look<'_>, name: &str) -> Result<u64, Without> {
    Ok(look.field(MEMINFO, name)?.saturating_mul(1024))
}

/// The least limit of the control groups, in bytes.
pub(super) fn limit(look: &Look<'_>) -> Result<Option<u64>, Without> {
    let mut least: Option<u64> = None;
    for (path, text) in levels(look, "memory", "memory.max", Some("memory.limit_in_bytes"))? {
        if text == "max" {
            continue;
        }
        match text.parse::<u64>() {
            Ok(limit) if limit < NO_LIMIT => {
                least = Some(least.map_or(limit, |least| least.min(limit)))
            }
            Ok(_) => {}
            Err(_) => return unknown(format!("`/{path}` is not a number: `{text}`")),
        }
    }
    Ok(least)
}

/// The bytes that pipelines may take.
pub(super) fn footprint(look: &Look<'_>) -> Result<u64, Without> {
    match look.declared.memory() {
        Some(bytes) => Ok(bytes),
        None => skip(Reason::NotDeclared, "no pipeline says `memory`"),
    }
}

/// Tells of the pipelines that are not in the footprint because they say no `memory`.
pub(super) fn besides(look: &Look<'_>, found: Finding) -> Finding {
    match look.declared.without_memory().as_slice() {
        [] => found,
        [one] => found.detail(format!("{one} says no `memory`, and comes on top")),
        many => found.detail(format!(
            "{} say no `memory`, and come on top",
            many.join(", ")
        )),
    }
}

fn available(look: &Look<'_>) -> Found {
    let footprint = footprint(look)?;
    let available = meminfo(look, "MemAvailable")?;
    let text = format!("{} for {}", bytes(available), bytes(footprint));
    let found = match look.short_memory(footprint) {
        Some(room) => impossible(format!("{} for {}", bytes(room), bytes(footprint))),
        None => test(
            available as f64 >= look.thresholds.footprint_of_memory * footprint as f64,
            text,
        ),
    };
    Ok(besides(look, found?))
}

fn swap(look: &Look<'_>) -> Found {
    let swappiness: u64 = look.number(&format!("{VM}/swappiness"))?;
    let devices = look
        .text("proc/swaps")?
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .count();
    let swapped = look.field("proc/self/status", "VmSwap")?;
    if swapped > 0 {
        let text = format!(
            "{} of this process are swapped out; swappiness {swappiness}",
            bytes(swapped * 1024)
        );
        let found = impossible(text)?;
        return Ok(match swappiness <= look.thresholds.swappiness {
            true => found.help("host: swapoff -a brings it back, if there is room; then swapon -a"),
            false => found,
        });
    }
    if devices == 0 {
        return met(format!("no swap; swappiness {swappiness}"));
    }
    test(
        swappiness <= look.thresholds.swappiness,
        format!("swappiness {swappiness}, {}", count(devices, "swap device")),
    )
}

fn transparent_huge_pages(look: &Look<'_>) -> Found {
    const FOLDER: &str = "sys/kernel/mm/transparent_hugepage";
    let enabled = look.chosen(&format!("{FOLDER}/enabled"))?;
    let defrag = look.chosen(&format!("{FOLDER}/defrag"))?;
    let is_met = match look.profile {
        Profile::Realtime => {
            enabled == "never" || look.declared.demands.huge_pages.is_some() && enabled == "madvise"
        }
        _ => enabled == "madvise",
    };
    test(
        is_met && defrag != "always",
        format!("{enabled}, defragments {defrag}"),
    )
}

fn huge_pages(look: &Look<'_>) -> Found {
    let Some(wanted) = look.declared.demands.huge_pages else {
        return skip(
            Reason::NotDeclared,
            "nobody asks for huge pages with `--huge-pages`",
        );
    };
    let free: u64 = look.number("sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")?;
    let mut found = match free < wanted {
        true => impossible(format!("{free} of {wanted} are free"))?,
        false => met(format!("{free} free for {wanted}"))?,
    };
    for path in
        look.paths("sys/devices/system/node/node*/hugepages/hugepages-2048kB/free_hugepages")
    {
        let node = path.split('/').nth(4).unwrap_or_default().to_owned();
        let free: u64 = look.number(&path)?;
        found = found.detail(format!("{node}: {free}"));
    }
    Ok(found)
}

/// Is a number of `/proc/sys/vm` zero?
fn is_zero(look: &Look<'_>, name: &str) -> Found {
    let value: u64 = look.number(&format!("{VM}/{name}"))?;
    test(value == 0, value.to_string())
}

fn numa_balancing(look: &Look<'_>) -> Found {
    let nodes = look.list("sys/devices/system/node/online")?;
    let value: u32 = look.number("proc/sys/kernel/numa_balancing")?;
    if nodes.len() <= 1 {
        return met(format!("{value}, and there is one node"));
    }
    test(
        value == 0,
        format!("{value}, and there are {} nodes", nodes.len()),
    )
}

fn zone_reclaim(look: &Look<'_>) -> Found {
    is_zero(look, "zone_reclaim_mode")
}

fn same_pages(look: &Look<'_>) -> Found {
    let run: u32 = look.number("sys/kernel/mm/ksm/run")?;
    test(run != 1, if run == 1 { "merges pages" } else { "off" })
}

fn compaction(look: &Look<'_>) -> Found {
    let value: u64 = look.number(&format!("{VM}/compaction_proactiveness"))?;
    test(
        value == 0 || look.profile != Profile::Realtime,
        value.to_string(),
    )
}

fn overcommit(look: &Look<'_>) -> Found {
    let mode: u32 = look.number(&format!("{VM}/overcommit_memory"))?;
    if mode != 2 {
        return met(mode.to_string());
    }
    let limit = meminfo(look, "CommitLimit")?;
    let left = limit.saturating_sub(meminfo(look, "Committed_AS")?);
    let text = format!("strict, {} left", bytes(left));
    match look.declared.memory() {
        Some(footprint) => Ok(besides(look, test(left > footprint, text)?)),
        None => test(false, text),
    }
}

fn map_count(look: &Look<'_>) -> Found {
    let most: u64 = look.number(&format!("{VM}/max_map_count"))?;
    let threads = look
        .declared
        .threads(look.machine)
        .max(look.machine.usable().count()) as u64;
    // Each thread has a stack with its guard page and an arena of the allocator, and each arena a few mappings.
    let wanted = look.thresholds.map_count.saturating_add(threads * 4);
    test(most >= wanted, format!("{most} for at least {wanted}"))
}

fn stat_interval(look: &Look<'_>) -> Found {
    let seconds: u64 = look.number(&format!("{VM}/stat_interval"))?;
    test(
        seconds >= look.thresholds.stat_interval,
        format!("{seconds} s"),
    )
}

fn min_free(look: &Look<'_>) -> Found {
    let free: u64 = look.number::<u64>(&format!("{VM}/min_free_kbytes"))? * 1024;
    let total = meminfo(look, "MemTotal")?.max(1);
    let part = free as f64 * 100.0 / total as f64;
    test(
        part >= look.thresholds.min_free_pct,
        format!("{}, {part:.2} % of all memory", bytes(free)),
    )
}

fn pressure(look: &Look<'_>) -> Found {
    let text = look.text("proc/pressure/memory")?;
    match (
        parse::pressure(&text, "some"),
        parse::pressure(&text, "full"),
    ) {
        (Some(some), Some(full)) => test(
            some < look.thresholds.memory_pressure,
            format!("some tasks wait {some} % of the time, all of them {full} %"),
        ),
        _ => unknown("`/proc/pressure/memory` has another form"),
    }
}

fn page_size(look: &Look<'_>) -> Found {
    /// What the pools' arenas are made of.
    const HUGE: u64 = 2 << 20;
    match look.facts().page {
        Some(page) if page.is_power_of_two() => {
            look.saw("the system's page", page);
            match HUGE % page {
                0 => noted(bytes(page)),
                _ => test(
                    false,
                    format!("{}, which 2 MiB are no multiple of", bytes(page)),
                ),
            }
        }
        Some(page) => unknown(format!("a page of {page} bytes")),
        None => skip(
            Reason::NotPresent,
            "the system does not tell the size of its pages",
        ),
    }
}

fn address_randomisation(look: &Look<'_>) -> Found {
    let value: u32 = look.number("proc/sys/kernel/randomize_va_space")?;
    test(value == 2, value.to_string())
}

fn reclaim(look: &Look<'_>) -> Found {
    let value = look.text("sys/kernel/mm/lru_gen/enabled")?;
    let off = value
        .trim_start_matches("0x")
        .trim_start_matches('0')
        .is_empty();
    noted(if off {
        "by two lists"
    } else {
        "by generations"
    })
}

fn build_folder(look: &Look<'_>) -> Found {
    let Some(folder) = &look.facts().folder else {
        return skip(
            Reason::NotPresent,
            "it is not known where programs are built",
        );
    };
    let table = look.peek("proc/self/mountinfo")?;
    // `id parent major:minor root mount options fields.. - type source options`
    let mount = |line: &str| {
        let (front, back) = line.split_once(" - ")?;
        let at = front.split(' ').nth(4)?.to_owned();
        let kind = back.split(' ').next()?.to_owned();
        let inside = at == "/" || folder == &at || folder.starts_with(&format!("{at}/"));
        inside.then_some((at.len(), kind))
    };
    // Of two mounts at one place, the later one is seen.
    let Some((_, kind)) = table
        .lines()
        .filter_map(mount)
        .max_by_key(|(length, _)| *length)
    else {
        return unknown(format!("no mount holds `{folder}`"));
    };
    look.saw("/proc/self/mountinfo", &kind);
    let slow = look
        .thresholds
        .slow_filesystems
        .iter()
        .any(|name| kind == *name || kind.starts_with("fuse"));
    test(!slow, kind)
}

/// How often this process's groups killed for want of memory, now; of those files that there are.
pub(super) fn kills(look: &Look<'_>) -> Result<Vec<(String, u64)>, Without> {
    let levels = some_levels(look, "memory", "memory.events", Some("memory.oom_control"))?;
    Ok(levels
        .into_iter()
        .map(|(path, text)| (path, kill_count(&text)))
        .collect())
}

/// The number behind `oom_kill`.
pub(super) fn kill_count(text: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    found
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}
