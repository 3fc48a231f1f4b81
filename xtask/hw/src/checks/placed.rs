//! P: where a pipeline's threads are to run, and where they can. The questions that `start()` asks as well are the runtime's.

use std::collections::BTreeMap;

use pipewright::machine::{Cpu, Machine, kernel};
use pipewright_spec::options::Wait;

use super::{Run, count, cpus, interrupts, within, without};
use crate::{
    check::{Finding, Found, Look, Reason, Verdict, Without, impossible, met, skip, test, unknown},
    declared::Pinned,
    parse::listed,
};

pub(super) const ALL: [(&str, Run); 12] = [
    ("P01", exists),
    ("P02", allowed),
    ("P03", booked_twice),
    ("P04", shared_cores),
    ("P05", distance),
    ("P06", too_many),
    ("P07", isolation),
    ("P08", mixed),
    ("P09", housekeeping),
    ("P10", interrupted),
    ("P22", first_touch),
    ("P25", one_cache),
];

/// The loops with threads of their own, of which there has to be one.
fn pinned(look: &Look<'_>) -> Result<Vec<Pinned>, Without> {
    let pinned = look.declared.pinned();
    match pinned.is_empty() {
        true => skip(Reason::NotDeclared, "no stage is pinned"),
        false => Ok(pinned),
    }
}

/// The pinned cpus that the machine has, of which there has to be one.
fn present(look: &Look<'_>) -> Result<Vec<u32>, Without> {
    pinned(look)?;
    known(look)?;
    let online = |core: &u32| look.machine.cpu(*core).is_some_and(|cpu| cpu.online);
    let hot: Vec<u32> = look.declared.hot().into_iter().filter(online).collect();
    match hot.is_empty() {
        true => skip(
            Reason::NotPresent,
            "the machine has none of the pinned cpus",
        ),
        false => Ok(hot),
    }
}

/// The cpus are known only where `/sys` lists them.
fn known(look: &Look<'_>) -> Result<(), Without> {
    look.list("sys/devices/system/cpu/online").map(drop)
}

/// One finding of what is wrong, stage by stage: the worst counts, and nothing wrong is met.
struct Wrong {
    verdict: Verdict,
    lines: Vec<String>,
    stages: Vec<String>,
}

impl Wrong {
    fn nothing() -> Self {
        Self {
            verdict: Verdict::Met,
            lines: Vec::new(),
            stages: Vec::new(),
        }
    }

    fn add(&mut self, verdict: Verdict, stage: &str, line: String) {
        self.verdict = self.verdict.max(verdict);
        self.lines.push(line);
        if !self.stages.iter().any(|known| known == stage) {
            self.stages.push(stage.to_owned());
        }
    }

    fn found(self, nothing: impl Into<String>) -> Finding {
        let Self {
            verdict,
            mut lines,
            stages,
        } = self;
        let current = match lines.is_empty() {
            true => nothing.into(),
            false => lines.remove(0),
        };
        let mut finding = Finding::new(verdict, current).affects(stages);
        finding.details = lines;
        finding
    }
}

/// So many cpus near each other, each a core of its own: of one third-level cache, fast, and not the first, if possible.
fn better(machine: &Machine, n: usize) -> Option<Vec<u32>> {
    let mut domains: BTreeMap<u32, Vec<&Cpu>> = BTreeMap::new();
    for cpu in machine.usable() {
        let domain = domains.entry(cpu.l3).or_default();
        if !domain.iter().any(|other| other.core == cpu.core) {
            domain.push(cpu);
        }
    }
    let choose = |domain: &Vec<&Cpu>| -> Option<Vec<u32>> {
        let mut cpus = domain.clone();
        cpus.sort_by_key(|cpu| (cpu.kind, cpu.core == 0, cpu.id));
        let mut chosen: Vec<u32> = cpus.iter().take(n).map(|cpu| cpu.id).collect();
        chosen.sort_unstable();
        (chosen.len() == n).then_some(chosen)
    };
    domains.values().find_map(choose)
}

/// `write cores = "2-5"`, if there are better cpus for a loop.
fn suggest(look: &Look<'_>, pinned: &Pinned) -> Option<String> {
    let cores = better(look.machine, pinned.cores.len())?;
    (cores != pinned.cores)
        .then(|| format!("write `cores = \"{}\"` for {}", listed(&cores), pinned.name))
}

fn exists(look: &Look<'_>) -> Found {
    let pinned = pinned(look)?;
    known(look)?;
    let mut wrong = Wrong::nothing();
    let mut help = None;
    for one in &pinned {
        let gone = |core: &&u32| look.machine.cpu(**core).is_none_or(|cpu| !cpu.online);
        let gone: Vec<u32> = one.cores.iter().filter(gone).copied().collect();
        if !gone.is_empty() {
            let line = format!(
                "{} is pinned to {}, which {} not online",
                one.name,
                cpus(&gone),
                are(&gone)
            );
            wrong.add(Verdict::Impossible, &one.name, line);
            help = help.or_else(|| suggest(look, one));
        }
    }
    let found = wrong.found(format!("all of {} are online", cpus(&look.declared.hot())));
    Ok(match help {
        Some(help) => found.help(help),
        None => found,
    })
}

fn are(cpus: &[u32]) -> &'static str {
    if cpus.len() == 1 { "is" } else { "are" }
}

fn allowed(look: &Look<'_>) -> Found {
    let pinned = pinned(look)?;
    known(look)?;
    let usable: Vec<u32> = look.machine.usable().map(|cpu| cpu.id).collect();
    let isolated = super::scheduler::isolated_cpus(look)?;
    let mut wrong = Wrong::nothing();
    let mut help = None;
    for one in &pinned {
        let online = |core: &u32| look.machine.cpu(*core).is_some_and(|cpu| cpu.online);
        let missing: Vec<u32> = without(&without(&one.cores, &usable), &isolated);
        // Those that are not there are what P01 tells.
        let missing: Vec<u32> = missing.into_iter().filter(online).collect();
        if !missing.is_empty() {
            let line = format!(
                "{} is pinned to {}; allowed {}",
                one.name,
                cpus(&missing),
                listed(&usable)
            );
            wrong.add(Verdict::Impossible, &one.name, line);
            help = help.or_else(|| suggest(look, one));
        }
    }
    let found = wrong.found(format!("allowed {}", listed(&usable)));
    Ok(match help {
        Some(help) => found.help(help),
        None => found,
    })
}

fn booked_twice(look: &Look<'_>) -> Found {
    let pinned = pinned(look)?;
    let mut wrong = Wrong::nothing();
    for (n, one) in pinned.iter().enumerate() {
        for other in &pinned[n + 1..] {
            let both = within(&one.cores, &other.cores);
            if both.is_empty() {
                continue;
            }
            let spin = [one, other].iter().all(|loop_| loop_.wait == Wait::Spin);
            let verdict = if spin {
                Verdict::Impossible
            } else {
                Verdict::Unmet
            };
            let line = format!(
                "{} and {} are both pinned to {}",
                one.name,
                other.name,
                cpus(&both)
            );
            wrong.add(verdict, &other.name, line);
        }
    }
    Ok(wrong.found("each pinned cpu has one owner"))
}

fn shared_cores(look: &Look<'_>) -> Found {
    present(look)?;
    let pinned = pinned(look)?;
    let loops: Vec<&[u32]> = pinned.iter().map(|one| one.cores.as_slice()).collect();
    let mut wrong = Wrong::nothing();
    let mut help = None;
    for kernel::Sharing {
        first,
        second,
        cpus: (a, b),
    } in kernel::sharing(look.machine, &loops)
    {
        let (one, other) = (&pinned[first], &pinned[second]);
        let line = match first == second {
            true => format!("cpus {a} and {b} of {} are one core", one.name),
            false => format!(
                "cpu {a} of {} and cpu {b} of {} are one core",
                one.name, other.name
            ),
        };
        wrong.add(Verdict::Unmet, &one.name, line);
        help = help.or_else(|| suggest(look, one));
    }
    let found = wrong.found("each pinned thread has a core");
    Ok(match help {
        Some(help) => found.help(help),
        None => found,
    })
}

/// How far apart two cpus are, in words, and whether they are in one node.
fn apart(machine: &Machine, a: u32, b: u32) -> Option<(&'static str, u32)> {
    let (one, other) = (machine.cpu(a)?, machine.cpu(b)?);
    Some(match () {
        _ if a == b => ("on one cpu", 0),
        _ if one.core == other.core => ("on one core", 1),
        _ if one.l3 == other.l3 => ("below one third-level cache", 2),
        _ if one.node == other.node => ("on one node", 3),
        _ if one.package == other.package => ("on two nodes", 4),
        _ => ("in two packages", 5),
    })
}

fn distance(look: &Look<'_>) -> Found {
    present(look)?;
    let edges = look.declared.edges();
    if edges.is_empty() {
        return skip(Reason::NotDeclared, "no pinned stage feeds another one");
    }
    let rate = look.declared.demands.rate;
    let per_second = rate.map(|rate| rate.count as f64 * 1e9 / rate.per.ns().max(1) as f64);
    let mut wrong = Wrong::nothing();
    let mut shown = Vec::new();
    for edge in &edges {
        let pairs = edge
            .from
            .cores
            .iter()
            .flat_map(|a| edge.to.cores.iter().map(move |b| (*a, *b)));
        let far = pairs.filter_map(|(a, b)| Some((apart(look.machine, a, b)?, a, b)));
        let Some(((words, distance), a, b)) = far.max_by_key(|((_, distance), ..)| *distance)
        else {
            continue;
        };
        let ns = look.floor.and_then(|floor| floor.handoff(a, b));
        let cost = match (ns, per_second) {
            (Some(ns), Some(rate)) => {
                format!(", {ns:.0} ns each, {:.1} % of the time", ns * rate / 1e7)
            }
            (Some(ns), None) => format!(", {ns:.0} ns each"),
            (None, _) => String::new(),
        };
        let line = format!("{} to {}: {words}{cost}", edge.from.name, edge.to.name);
        let stalls = ns
            .zip(per_second)
            .is_some_and(|(ns, rate)| ns * rate > look.thresholds.stall_ns_per_second);
        match distance >= 4 || stalls {
            true => wrong.add(Verdict::Unmet, &edge.to.name, line),
            false => shown.push(line),
        }
    }
    if shown.is_empty() && wrong.lines.is_empty() {
        return skip(
            Reason::NotPresent,
            "the machine has not both ends of any hand-over",
        );
    }
    let mut found = wrong.found(shown.first().cloned().unwrap_or_default());
    found.details.extend(shown.into_iter().skip(1));
    Ok(found)
}

fn too_many(look: &Look<'_>) -> Found {
    if look.declared.is_empty() {
        return skip(Reason::NotDeclared, "there is no pipeline");
    }
    known(look)?;
    let usable = look.machine.usable().count();
    let threads = look.declared.threads(look.machine);
    let mut text = format!("{} on {}", count(threads, "thread"), count(usable, "cpu"));
    let short = kernel::short_quota(look.machine, threads, false);
    if let Some(quota) = short {
        text.push_str(&format!(", with time for {quota:.1}"));
    }
    if threads <= usable && short.is_none() {
        return met(text);
    }
    let spinning = look.declared.spinning();
    let names = look.declared.on(&spinning);
    match names.is_empty() {
        true => test(false, text),
        false => Ok(impossible(text)?.affects(names)),
    }
}

fn isolation(look: &Look<'_>) -> Found {
    if look.declared.is_empty() {
        return skip(Reason::NotDeclared, "there is no pipeline");
    }
    let isolated = super::scheduler::isolated_cpus(look)?;
    let mut wrong = Wrong::nothing();
    if kernel::is_all_isolated(look.machine) {
        for pool in look
            .declared
            .pools()
            .iter()
            .filter(|pool| pool.cores.is_none() && pool.numa.is_none())
        {
            let line = format!(
                "the workers of {} may run on isolated cpus only, and stay on the one that they begin on",
                pool.name
            );
            wrong.add(Verdict::Impossible, &pool.name, line);
        }
    }
    for one in look
        .declared
        .pinned()
        .iter()
        .filter(|one| one.wait == Wait::Spin)
    {
        let missing = without(&one.cores, &isolated);
        if !missing.is_empty() {
            let line = format!(
                "{} spins on {}, which others may use",
                one.name,
                cpus(&missing)
            );
            wrong.add(Verdict::Unmet, &one.name, line);
        }
    }
    Ok(wrong.found("no thread that spins is beside others"))
}

fn mixed(look: &Look<'_>) -> Found {
    if look.declared.is_empty() {
        return skip(Reason::NotDeclared, "there is no pipeline");
    }
    known(look)?;
    let usable: Vec<u32> = look.machine.usable().map(|cpu| cpu.id).collect();
    if kernel::efficient(look.machine, &usable).is_empty() {
        return met("one kind of core");
    }
    let mut wrong = Wrong::nothing();
    for one in look.declared.pinned() {
        let slow = kernel::efficient(look.machine, &one.cores);
        let line = format!(
            "{} is pinned to {}, {} efficient",
            one.name,
            cpus(&slow),
            are(&slow)
        );
        match (slow.is_empty(), one.is_critical) {
            (true, _) => {}
            (_, true) => wrong.add(
                Verdict::Impossible,
                &one.name,
                format!("{line}, and is critical"),
            ),
            (_, false) if slow.len() < one.cores.len() => {
                wrong.add(Verdict::Unmet, &one.name, line)
            }
            _ => {}
        }
    }
    for pool in look.declared.pools() {
        let own = pool.cores.as_ref().unwrap_or(&usable);
        let slow = kernel::efficient(look.machine, own);
        let few = pool
            .workers
            .is_some_and(|workers| workers <= own.len() - slow.len());
        if !slow.is_empty() && slow.len() < own.len() && !few {
            let line = format!("the workers of {} run on both kinds of core", pool.name);
            wrong.add(Verdict::Unmet, &pool.name, line);
        }
    }
    Ok(wrong.found("no pool mixes both kinds of core"))
}

fn housekeeping(look: &Look<'_>) -> Found {
    let pinned = pinned(look)?;
    let watchdog = look.maybe("proc/sys/kernel/watchdog")?;
    let watched = match watchdog.as_deref() {
        Some("1") => look.list("proc/sys/kernel/watchdog_cpumask")?,
        Some("0") | None => Vec::new(),
        Some(other) => {
            return unknown(format!(
                "`/proc/sys/kernel/watchdog` is `{}`",
                other.escape_debug()
            ));
        }
    };
    let mut wrong = Wrong::nothing();
    for one in &pinned {
        if one.cores.contains(&0) {
            wrong.add(
                Verdict::Unmet,
                &one.name,
                format!(
                    "{} is pinned to cpu 0, where the kernel does its own work",
                    one.name
                ),
            );
        }
        // Where all cpus are watched, none is better than another.
        let all = look.machine.usable().all(|cpu| watched.contains(&cpu.id));
        let hit = within(&one.cores, &watched);
        if !hit.is_empty() && !all {
            wrong.add(
                Verdict::Unmet,
                &one.name,
                format!(
                    "{} is pinned to {}, which the watchdog wakes",
                    one.name,
                    cpus(&hit)
                ),
            );
        }
    }
    match watchdog {
        None if wrong.lines.is_empty() => skip(
            Reason::NotPresent,
            "no stage is pinned to cpu 0, and the kernel has no watchdog",
        ),
        _ => Ok(wrong.found("no stage is pinned to the kernel's own cpus")),
    }
}

fn interrupted(look: &Look<'_>) -> Found {
    let pinned = pinned(look)?;
    let hits = interrupts::hitting(look, &look.declared.hot())?;
    let mut wrong = Wrong::nothing();
    for one in &pinned {
        let on = |(_, _, cpus): &&(u32, String, Vec<u32>)| {
            cpus.iter().any(|cpu| one.cores.contains(cpu))
        };
        let names: Vec<&str> = hits
            .iter()
            .filter(on)
            .map(|(_, name, _)| name.as_str())
            .collect();
        if let Some(first) = names.first() {
            let line = format!(
                "{} is interrupted by {} ({first}{})",
                one.name,
                count(names.len(), "device"),
                if names.len() > 1 { ", .." } else { "" }
            );
            wrong.add(Verdict::Unmet, &one.name, line);
        }
    }
    Ok(wrong.found("no device interrupts a pinned stage"))
}

fn first_touch(look: &Look<'_>) -> Found {
    if look.declared.is_empty() {
        return skip(Reason::NotDeclared, "there is no pipeline");
    }
    let nodes = look.list("sys/devices/system/node/online")?;
    if nodes.len() <= 1 {
        return met("1 node");
    }
    let mut wrong = Wrong::nothing();
    for edge in look.declared.edges() {
        let node = |core: &u32| look.machine.cpu(*core).map(|cpu| cpu.node);
        let (from, to): (Vec<_>, Vec<_>) = (
            edge.from.cores.iter().map(node).collect(),
            edge.to.cores.iter().map(node).collect(),
        );
        if from.iter().any(|node| !to.contains(node)) {
            let line = format!(
                "{} fills buffers on its node, and {} reads them from another",
                edge.from.name, edge.to.name
            );
            wrong.add(Verdict::Unmet, &edge.to.name, line);
        }
    }
    for pool in look
        .declared
        .pools()
        .iter()
        .filter(|pool| pool.numa.is_none() && pool.cores.is_none())
    {
        let line = format!(
            "the workers of {} are on {}, and buffers on that of who filled them first",
            pool.name,
            count(look.machine.nodes().len(), "node")
        );
        if look.machine.nodes().len() > 1 {
            wrong.add(Verdict::Unmet, &pool.name, line);
        }
    }
    Ok(wrong.found("buffers are on the node of who reads them"))
}

fn one_cache(look: &Look<'_>) -> Found {
    let hot = present(look)?;
    let mut domains: Vec<u32> = hot
        .iter()
        .filter_map(|core| look.machine.cpu(*core))
        .map(|cpu| cpu.l3)
        .collect();
    domains.sort_unstable();
    domains.dedup();
    let text = format!(
        "{} below {}",
        cpus(&hot),
        count(domains.len(), "third-level cache")
    );
    if domains.len() <= 1 {
        return met(text);
    }
    match better(look.machine, hot.len()) {
        Some(cores) => Ok(
            test(false, format!("{text}, and {} are below one", cpus(&cores)))?
                .affects(look.declared.on(&hot))
                .help(format!("pin them to `{}`", listed(&cores))),
        ),
        None => met(format!("{text}, and no cache has as many cores")),
    }
}
