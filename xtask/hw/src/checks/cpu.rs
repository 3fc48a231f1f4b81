//! C: the cpus and their clock.

use pipewright::machine::{CoreKind, kernel};

use super::{Run, count, cpus, within};
use crate::check::{Found, Look, Profile, Reason, impossible, met, noted, skip, test, unknown};

pub(super) const ALL: [(&str, Run); 11] = [
    ("C01", identity),
    ("C02", counted),
    ("C03", smt),
    ("C04", hybrid),
    ("C05", caches),
    ("C06", nodes),
    ("C07", features),
    ("C08", tsc),
    ("C09", clocksource),
    ("C10", mitigations),
    ("C11", split_lock),
];

const CPU: &str = "sys/devices/system/cpu";
const CPUINFO: &str = "proc/cpuinfo";

fn identity(look: &Look<'_>) -> Found {
    let text = look.peek(CPUINFO)?;
    let field = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .map(|(_, value)| value.trim())
    };
    let model = field("model name").or_else(|| field("CPU part"));
    let Some(model) = model else {
        return unknown("`/proc/cpuinfo` names no model");
    };
    look.saw("/proc/cpuinfo model name", model);
    let microcode = field("microcode").map_or(String::new(), |code| format!(", microcode {code}"));
    noted(format!("{model}{microcode}, {}", look.facts().arch))
}

fn counted(look: &Look<'_>) -> Found {
    let online = look.list(&format!("{CPU}/online"))?;
    let usable = look.machine.usable().count();
    let shown = format!("{usable} of {} that are online", count(online.len(), "cpu"));
    if look.declared.is_empty() {
        return noted(shown);
    }
    let threads = look.declared.threads(look.machine);
    let wanted = threads + usize::from(look.profile == Profile::Bench);
    let text = format!("{shown}, for {}", count(threads, "thread"));
    test(usable >= wanted, text)
}

fn smt(look: &Look<'_>) -> Found {
    let control = look.maybe(&format!("{CPU}/smt/control"))?;
    if control.as_deref() == Some("notsupported") && look.place.guest.is_some() {
        return skip(
            Reason::Guest,
            "each cpu of a guest looks like a core; `hw probe` finds those that are none (A11)",
        );
    }
    match look.number::<u32>(&format!("{CPU}/smt/active"))? {
        0 => met("off"),
        1 => {
            let hot = look.declared.hot();
            let beside: Vec<u32> = hot
                .iter()
                .flat_map(|cpu| look.machine.siblings(*cpu).filter(|other| other.id != *cpu))
                .filter(|other| other.usable)
                .map(|other| other.id)
                .collect();
            if !hot.is_empty() && beside.is_empty() {
                return met("on, and the siblings of pinned cpus are off or not usable");
            }
            let found = test(false, "on")?;
            Ok(match beside.is_empty() {
                true => found,
                false => found
                    .detail(format!("{} share cores with pinned stages", cpus(&beside)))
                    .affects(look.declared.on(&hot)),
            })
        }
        other => unknown(format!("`/{CPU}/smt/active` is {other}")),
    }
}

fn hybrid(look: &Look<'_>) -> Found {
    look.list(&format!("{CPU}/online"))?;
    let slow: Vec<u32> = look
        .machine
        .cpus()
        .iter()
        .filter(|cpu| cpu.kind == CoreKind::Efficient)
        .map(|cpu| cpu.id)
        .collect();
    if slow.is_empty() {
        return met("one kind of core");
    }
    let text = format!("{} are efficient cores", cpus(&slow));
    let hot = look.declared.hot();
    let pinned = within(&hot, &slow);
    match (hot.is_empty(), pinned.is_empty()) {
        (false, true) => met(format!("{text}, and no stage is pinned to one")),
        (_, false) => {
            let text = format!("{text}, and stages are pinned to {}", cpus(&pinned));
            Ok(impossible(text)?.affects(look.declared.on(&pinned)))
        }
        (true, true) => test(false, text),
    }
}

fn caches(look: &Look<'_>) -> Found {
    let mut lines = Vec::new();
    let mut shown = Vec::new();
    for path in look.some_paths(&format!("{CPU}/cpu0/cache/index*/level"))? {
        let folder = path.trim_end_matches("/level");
        let level: u32 = look.number(&path)?;
        let line: Option<u32> = look.maybe_number(&format!("{folder}/coherency_line_size"))?;
        let size = look.maybe(&format!("{folder}/size"))?.unwrap_or_default();
        lines.extend(line);
        if level >= 2 {
            shown.push(format!("L{level} {size}"));
        }
    }
    let Some(line) = lines.iter().copied().max().filter(|line| *line > 0) else {
        return unknown("no cache tells the size of its lines");
    };
    let mut domains: Vec<u32> = look.machine.usable().map(|cpu| cpu.l3).collect();
    domains.sort_unstable();
    domains.dedup();
    // The padding that keeps two threads' counters apart is compiled in.
    let padding = kernel::PADDING as u32;
    let text = format!(
        "lines of {line} bytes, {}, {}",
        shown.join(", "),
        count(domains.len(), "third-level domain")
    );
    let fits = padding.is_multiple_of(line);
    Ok(test(fits, text)?.detail(format!("counters of threads are {padding} bytes apart")))
}

fn nodes(look: &Look<'_>) -> Found {
    let online = look.list("sys/devices/system/node/online")?;
    if online.len() <= 1 {
        return met("1 node");
    }
    let text = count(online.len(), "node");
    let pools = look.declared.pools();
    let placed = |pool: &crate::declared::Pool| pool.numa.is_some() || pool.cores.is_some();
    if !look.declared.is_empty() && pools.iter().all(placed) {
        return met(format!("{text}, and pools say where they run"));
    }
    let open = pools
        .iter()
        .filter(|pool| !placed(pool))
        .map(|pool| pool.name.clone());
    Ok(test(false, text)?.affects(open))
}

/// What Rust calls features and the kernel calls otherwise.
const OTHER_NAMES: [(&str, &str); 11] = [
    ("sse3", "pni"),
    ("sse4.1", "sse4_1"),
    ("sse4.2", "sse4_2"),
    ("cmpxchg16b", "cx16"),
    ("lzcnt", "abm"),
    ("sha", "sha_ni"),
    ("avx512vbmi2", "avx512_vbmi2"),
    ("neon", "asimd"),
    ("lse", "atomics"),
    ("crc", "crc32"),
    ("pclmulqdq", "pclmulqdq"),
];

fn features(look: &Look<'_>) -> Found {
    let flags = flags(look)?;
    let compiled = &look.facts().compiled;
    let lacks = |feature: &&String| {
        let other = OTHER_NAMES.iter().find(|(name, _)| name == feature);
        let name = other.map_or(feature.as_str(), |(_, name)| name);
        !flags.split_whitespace().any(|flag| flag == name)
    };
    let missing: Vec<&str> = compiled.iter().filter(lacks).map(String::as_str).collect();
    match missing.as_slice() {
        [] if compiled.is_empty() => met("programs are built for the plainest processor"),
        [] => met(format!("the processor has all of {}", compiled.join(", "))),
        missing => impossible(format!(
            "programs are built for {}, which the processor has not",
            missing.join(", ")
        )),
    }
}

/// The names of the processor's features.
fn flags(look: &Look<'_>) -> Result<String, crate::check::Without> {
    let text = look.peek(CPUINFO)?;
    let line = text
        .lines()
        .find(|line| line.starts_with("flags") || line.starts_with("Features"));
    match line.and_then(|line| line.split_once(':')) {
        Some((_, flags)) => Ok(flags.trim().to_owned()),
        None => unknown("`/proc/cpuinfo` lists no features"),
    }
}

fn tsc(look: &Look<'_>) -> Found {
    if look.facts().arch == "aarch64" {
        return met("the architecture's counter runs steadily");
    }
    if look.facts().arch != "x86_64" {
        return skip(Reason::NotPresent, "there is no time stamp counter");
    }
    let flags = flags(look)?;
    let wanted = ["constant_tsc", "nonstop_tsc"];
    let has = |name: &&str| flags.split_whitespace().any(|flag| flag == *name);
    let (there, gone): (Vec<&str>, Vec<&str>) = wanted.into_iter().partition(has);
    look.saw("/proc/cpuinfo flags", there.join(" "));
    match gone.is_empty() {
        true => met(there.join(", ")),
        false => test(false, format!("without {}", gone.join(" and "))),
    }
}

fn clocksource(look: &Look<'_>) -> Found {
    const FOLDER: &str = "sys/devices/system/clocksource/clocksource0";
    let now = look.text(&format!("{FOLDER}/current_clocksource"))?;
    let others = look
        .maybe(&format!("{FOLDER}/available_clocksource"))?
        .unwrap_or_default();
    match now.as_str() {
        "tsc" | "arch_sys_counter" => met(now),
        quick if kernel::is_quick_clock(quick) => met(format!("{now}, read without a system call")),
        _ => Ok(test(false, now)?.detail(format!("available: {others}"))),
    }
}

fn mitigations(look: &Look<'_>) -> Found {
    let mut exposed = Vec::new();
    let mut all = 0;
    for path in look.some_paths(&format!("{CPU}/vulnerabilities/*"))? {
        all += 1;
        if look.text(&path)?.starts_with("Vulnerable") {
            exposed.extend(path.rsplit('/').next().map(str::to_owned));
        }
    }
    let cmdline = look.maybe("proc/cmdline")?.unwrap_or_default();
    let said = cmdline
        .split_whitespace()
        .find(|word| word.starts_with("mitigations="));
    let said = said.map_or("default mitigations", |word| word);
    let exposed = match exposed.is_empty() {
        true => "none open".to_owned(),
        false => format!("open: {}", exposed.join(", ")),
    };
    noted(format!(
        "{said}, {} known, {exposed}",
        count(all, "vulnerability").replace("ys", "ies")
    ))
}

fn split_lock(look: &Look<'_>) -> Found {
    let flags = flags(look)?;
    let known: Vec<&str> = flags
        .split_whitespace()
        .filter(|flag| ["split_lock_detect", "bus_lock_detect"].contains(flag))
        .collect();
    if known.is_empty() {
        return skip(
            Reason::NotPresent,
            "the processor does not tell of split locks",
        );
    }
    let cmdline = look.maybe("proc/cmdline")?.unwrap_or_default();
    let said = cmdline
        .split_whitespace()
        .find(|word| word.starts_with("split_lock_detect="));
    noted(format!(
        "{}, {}",
        known.join(", "),
        said.unwrap_or("as the kernel does it by default")
    ))
}
