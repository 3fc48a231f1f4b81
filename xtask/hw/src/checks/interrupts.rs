//! I: interrupts.

use std::collections::BTreeMap;

use super::{Run, cpus, hot, within, without};
use crate::{
    check::{Found, Look, Reason, Without, met, noted, skip, test, unknown},
    parse,
};

pub(super) const ALL: [(&str, Run); 5] = [
    ("I01", irqbalance),
    ("I02", default_affinity),
    ("I03", on_hot_cpus),
    ("I04", rates),
    ("I05", smi),
];

fn irqbalance(look: &Look<'_>) -> Found {
    let mut running = false;
    for name in look.names("proc")? {
        let is_process = name.bytes().all(|b| b.is_ascii_digit());
        // A process that ends meanwhile is not it.
        if is_process
            && look
                .peek(&format!("proc/{name}/comm"))
                .is_ok_and(|comm| comm == "irqbalance")
        {
            look.saw(format_args!("/proc/{name}/comm"), "irqbalance");
            running = true;
        }
    }
    if !running {
        return met("not running");
    }
    let hot = look.declared.hot();
    for path in ["etc/default/irqbalance", "etc/sysconfig/irqbalance"] {
        let text = look.maybe(path)?.unwrap_or_default();
        let banned = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("IRQBALANCE_BANNED_CPULIST="));
        let banned = banned.and_then(|list| parse::list(list.trim_matches('"')));
        if let Some(banned) = banned
            && !hot.is_empty()
            && without(&hot, &banned).is_empty()
        {
            return met(format!("running, and it keeps away from {}", cpus(&hot)));
        }
    }
    Ok(
        test(false, "running, and it may move interrupts to any cpu")?
            .affects(look.declared.on(&hot)),
    )
}

fn default_affinity(look: &Look<'_>) -> Found {
    let hot = hot(look)?;
    let list = look.mask("proc/irq/default_smp_affinity")?;
    let hit = within(&hot, &list);
    let text = format!("new interrupts go to {}", cpus(&list));
    Ok(test(hit.is_empty(), text)?.affects(look.declared.on(&hit)))
}

/// The interrupts of devices that hit one of these cpus: number, name, and which of the cpus.
pub(super) fn hitting(
    look: &Look<'_>,
    hot: &[u32],
) -> Result<Vec<(u32, String, Vec<u32>)>, Without> {
    let table = look.peek("proc/interrupts")?;
    if columns(&table).is_empty() {
        return unknown("`/proc/interrupts` lists no cpus");
    }
    let names = names(&table);
    let mut hits = Vec::new();
    for number in look
        .names("proc/irq")?
        .iter()
        .filter_map(|name| name.parse::<u32>().ok())
    {
        let files = ["effective_affinity_list", "smp_affinity_list"];
        let path = files.map(|file| format!("proc/irq/{number}/{file}"));
        let path = path.iter().find(|path| look.has(path));
        // An interrupt without a device has no name in the table.
        let (Some(path), Some(name)) = (path, names.get(&number.to_string())) else {
            continue;
        };
        let text = look.peek(path)?;
        let Some(list) = parse::list(&text) else {
            return unknown(format!("`/{path}` is not a list of cpus"));
        };
        let hit = within(hot, &list);
        if !hit.is_empty() {
            look.saw(format_args!("/{path}"), text);
            hits.push((number, name.clone(), hit));
        }
    }
    hits.sort_unstable();
    Ok(hits)
}

/// What the lines of `/proc/interrupts` are for.
fn names(table: &str) -> BTreeMap<String, String> {
    let columns = columns(table).len();
    let lines = table.lines().skip(1).filter_map(|line| {
        let (label, rest) = line.split_once(':')?;
        let words: Vec<&str> = rest.split_whitespace().skip(columns).collect();
        let name = words.last().copied().unwrap_or_default();
        Some((label.trim().to_owned(), name.to_owned()))
    });
    lines.collect()
}

/// The cpus of the columns.
fn columns(table: &str) -> Vec<u32> {
    let head = table.lines().next().unwrap_or_default();
    let cpu = |word: &str| word.strip_prefix("CPU")?.parse().ok();
    head.split_whitespace().filter_map(cpu).collect()
}

fn on_hot_cpus(look: &Look<'_>) -> Found {
    let hot = hot(look)?;
    let hits = hitting(look, &hot)?;
    if hits.is_empty() {
        return met("no interrupt of a device goes to a pinned cpu");
    }
    let mut all: Vec<u32> = hits
        .iter()
        .flat_map(|(.., cpus)| cpus.iter().copied())
        .collect();
    all.sort_unstable();
    all.dedup();
    let text = format!(
        "{} to {}",
        super::count(hits.len(), "interrupt"),
        cpus(&all)
    );
    let mut found = test(false, text)?.affects(look.declared.on(&all));
    for (number, name, cpus) in hits.iter().take(8) {
        found = found.detail(format!("{number} {name}: {}", parse::listed(cpus)));
    }
    Ok(found)
}

/// How many times each line of `/proc/interrupts` came on these cpus.
fn counts(table: &str, on: &[u32]) -> BTreeMap<String, u64> {
    let columns = columns(table);
    let mut counts = BTreeMap::new();
    for line in table.lines().skip(1) {
        let Some((label, rest)) = line.split_once(':') else {
            continue;
        };
        let numbers = rest
            .split_whitespace()
            .map_while(|word| word.parse::<u64>().ok());
        let counted: u64 = columns
            .iter()
            .zip(numbers)
            .filter(|(cpu, _)| on.contains(cpu))
            .map(|(_, number)| number)
            .sum();
        counts.insert(label.trim().to_owned(), counted);
    }
    counts
}

fn rates(look: &Look<'_>) -> Found {
    let hot = look.declared.hot();
    let usable = || look.machine.usable().map(|cpu| cpu.id).collect();
    let online = |cpu: &u32| look.machine.cpu(*cpu).is_some_and(|cpu| cpu.online);
    let on: Vec<u32> = match hot.is_empty() {
        true => usable(),
        false => hot.iter().copied().filter(online).collect(),
    };
    if on.is_empty() {
        return skip(
            Reason::NotPresent,
            "the machine has none of the pinned cpus",
        );
    }
    let now = look.peek("proc/interrupts")?;
    let (before, seconds) = look.before("proc/interrupts")?;
    let (now, before) = (counts(&now, &on), counts(&before, &on));
    if now.is_empty() {
        return unknown("`/proc/interrupts` lists none");
    }
    // The tick is not counted: it is what S02 and S14 are about.
    let rate = |(label, count): (&String, &u64)| {
        let since = count.saturating_sub(*before.get(label)?);
        Some((
            since as f64 / seconds / on.len().max(1) as f64,
            label.clone(),
        ))
    };
    let mut rates: Vec<(f64, String)> = now
        .iter()
        .filter(|(label, _)| *label != "LOC")
        .filter_map(rate)
        .collect();
    rates.sort_by(|a, b| b.0.total_cmp(&a.0));
    let sum: f64 = rates.iter().map(|(rate, _)| rate).sum();
    let most: Vec<String> = rates
        .iter()
        .take(3)
        .filter(|(rate, _)| *rate > 0.0)
        .map(|(rate, label)| format!("{label} {rate:.0}"))
        .collect();
    look.saw("/proc/interrupts", format!("{sum:.0} a second"));
    let most = match most.is_empty() {
        true => String::new(),
        false => format!(" ({})", most.join(", ")),
    };
    let text = format!("{sum:.0} a second on each of {}{most}", cpus(&on));
    match hot.is_empty() {
        true => noted(text),
        false => {
            Ok(test(sum < look.thresholds.irqs_per_second, text)?.affects(look.declared.on(&hot)))
        }
    }
}

fn smi(look: &Look<'_>) -> Found {
    match look.smi() {
        Some((before, now)) => {
            look.saw("register 0x34", now);
            test(
                now == before,
                format!(
                    "{} meanwhile, {now} since the start",
                    now.saturating_sub(before)
                ),
            )
        }
        None => skip(
            Reason::NoPermission,
            "the processor's count is not shown to this process",
        ),
    }
}
