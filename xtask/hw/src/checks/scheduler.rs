//! S: the scheduler, and what it keeps away from cpus.

use super::{
    Run, cpus,
    groups::{boot, levels, some_levels},
    hot, time, within, without,
};
use crate::{
    check::{Found, Look, Profile, Reason, Without, impossible, met, noted, skip, test, unknown},
    parse,
};

pub(super) const ALL: [(&str, Run); 18] = [
    ("S01", isolated),
    ("S02", nohz_full),
    ("S03", rcu_nocbs),
    ("S04", cpuset),
    ("S05", preemption),
    ("S06", rt_throttle),
    ("S07", autogroup),
    ("S08", timer_migration),
    ("S09", watchdogs),
    ("S10", workqueues),
    ("S11", sched_ext),
    ("S12", slice),
    ("S13", timer_slack),
    ("S14", tick),
    ("S15", kernel_version),
    ("S16", perf_sampling),
    ("S17", debug_kernel),
    ("S18", uclamp),
];

const KERNEL: &str = "proc/sys/kernel";

/// The cpus that the scheduler leaves alone, by boot parameter or by partition.
pub(super) fn isolated_cpus(look: &Look<'_>) -> Result<Vec<u32>, Without> {
    let mut isolated = look.list("sys/devices/system/cpu/isolated")?;
    for path in ["sys/fs/cgroup/cpuset.cpus.isolated"] {
        if look.has(path) {
            isolated.extend(look.list(path)?);
        }
    }
    for (path, kind) in levels(look, "cpuset", "cpuset.cpus.partition", None)? {
        if kind == "isolated" {
            isolated.extend(look.list(&path.replace(".partition", ".effective"))?);
        }
    }
    isolated.sort_unstable();
    isolated.dedup();
    Ok(isolated)
}

fn isolated(look: &Look<'_>) -> Found {
    let spinning = look.declared.spinning();
    if spinning.is_empty() {
        return skip(Reason::NotDeclared, "no pinned stage spins");
    }
    let isolated = isolated_cpus(look)?;
    covers(look, "isolated", &isolated, &spinning)
}

/// Has a list all of these cpus?
fn covers(look: &Look<'_>, what: &str, list: &[u32], wanted: &[u32]) -> Found {
    let missing = without(wanted, list);
    let text = format!("{what}: {}", parse::listed(list));
    match missing.is_empty() {
        true => met(text),
        false => Ok(test(
            false,
            format!("{text}; {} are pinned and not in it", cpus(&missing)),
        )?
        .affects(look.declared.on(&missing))),
    }
}

fn nohz_full(look: &Look<'_>) -> Found {
    let hot = hot(look)?;
    let list = look.list("sys/devices/system/cpu/nohz_full")?;
    let found = covers(look, "without a tick", &list, &hot)?;
    let pstate = look.maybe("sys/devices/system/cpu/intel_pstate/status")?;
    Ok(match pstate.as_deref() {
        Some("active") if !list.is_empty() => found.detail(
            "with `intel_pstate` in active mode, cpus without a tick keep a wrong frequency",
        ),
        _ => found,
    })
}

fn rcu_nocbs(look: &Look<'_>) -> Found {
    let hot = hot(look)?;
    let mut list = Vec::new();
    for name in ["rcu_nocbs", "nohz_full"] {
        match boot(look, name)?.as_deref() {
            Some("all") => return met(format!("{name}=all")),
            Some(text) => match parse::list(text) {
                Some(cpus) => list.extend(cpus),
                None => return unknown(format!("`{name}={text}` is not a list of cpus")),
            },
            None => {}
        }
    }
    if list.is_empty()
        && config(look).is_ok_and(|text| is_set(&text, "CONFIG_RCU_NOCB_CPU_DEFAULT_ALL"))
    {
        return met("all cpus, by the kernel's configuration");
    }
    list.sort_unstable();
    list.dedup();
    covers(look, "callbacks elsewhere", &list, &hot)
}

fn cpuset(look: &Look<'_>) -> Found {
    let hot = hot(look)?;
    let found = some_levels(
        look,
        "cpuset",
        "cpuset.cpus.effective",
        Some("cpuset.effective_cpus"),
    )?;
    let (path, text) = &found[0];
    let Some(own) = parse::list(text) else {
        return unknown(format!("`/{path}` is not a list of cpus"));
    };
    let missing = without(&hot, &own);
    if !missing.is_empty() {
        let text = format!(
            "the cpuset is {}, without {}",
            parse::listed(&own),
            cpus(&missing)
        );
        return Ok(impossible(text)?.affects(look.declared.on(&missing)));
    }
    let partition = levels(
        look,
        "cpuset",
        "cpuset.cpus.partition",
        Some("cpuset.cpu_exclusive"),
    )?;
    let own_part = partition.first().map(|(_, kind)| kind.as_str());
    // The group at the top has all cpus, and shares them with everything below it.
    let exclusive = matches!(own_part, Some("root" | "isolated" | "1")) && found.len() > 1;
    let text = format!(
        "{}, {}",
        parse::listed(&own),
        if exclusive {
            "exclusive"
        } else {
            "shared with other groups"
        }
    );
    test(exclusive || look.profile != Profile::Realtime, text)
}

fn preemption(look: &Look<'_>) -> Found {
    let version = look.text(&format!("{KERNEL}/version"))?;
    if !version.starts_with('#') {
        return unknown(format!("`/{KERNEL}/version` has another form"));
    }
    let realtime = look.maybe("sys/kernel/realtime")?.as_deref() == Some("1");
    let said = boot(look, "preempt")?;
    // What is chosen now is shown to the administrator only.
    let chosen = look.chosen("sys/kernel/debug/sched/preempt").ok().or(said);
    let (is_full, text) = if realtime || version.contains("PREEMPT_RT") {
        (true, "real-time kernel".to_owned())
    } else if version.contains("PREEMPT_DYNAMIC") {
        match chosen.as_deref() {
            Some(chosen) => (chosen == "full", format!("{chosen}, chosen at boot")),
            None => (false, "dynamic, and what is chosen is not shown".to_owned()),
        }
    } else {
        let full = version.split_whitespace().any(|word| word == "PREEMPT");
        (
            full,
            if full { "full" } else { "voluntary or none" }.to_owned(),
        )
    };
    test(is_full || look.profile != Profile::Realtime, text)
}

fn rt_throttle(look: &Look<'_>) -> Found {
    let asked: Vec<_> = look
        .declared
        .pinned()
        .into_iter()
        .filter(|p| p.realtime.is_some())
        .collect();
    if asked.is_empty() {
        return skip(Reason::NotDeclared, "no stage asks for real-time priority");
    }
    let runtime: i64 = look.number(&format!("{KERNEL}/sched_rt_runtime_us"))?;
    let period: i64 = look.number(&format!("{KERNEL}/sched_rt_period_us"))?;
    let text = match runtime {
        -1 => "no limit".to_owned(),
        _ => format!("{runtime} of {period} us"),
    };
    let busy = asked
        .iter()
        .filter(|p| p.wait != pipewright_spec::options::Wait::Park);
    let busy: Vec<String> = busy.map(|p| p.name.clone()).collect();
    match runtime {
        0 => impossible("no real-time thread may run at all"),
        -1 => met(text),
        _ if busy.is_empty() => met(format!("{text}, and real-time stages sleep when they wait")),
        _ => Ok(test(false, text)?.affects(busy)),
    }
}

/// Is a switch in `/proc/sys/kernel` off?
fn is_off(look: &Look<'_>, name: &str) -> Found {
    let value: u32 = look.number(&format!("{KERNEL}/{name}"))?;
    test(value == 0, value.to_string())
}

fn autogroup(look: &Look<'_>) -> Found {
    is_off(look, "sched_autogroup_enabled")
}

fn timer_migration(look: &Look<'_>) -> Found {
    is_off(look, "timer_migration")
}

fn watchdogs(look: &Look<'_>) -> Found {
    let nmi: u32 = look.number(&format!("{KERNEL}/nmi_watchdog"))?;
    let soft = look
        .maybe_number::<u32>(&format!("{KERNEL}/watchdog"))?
        .unwrap_or(0);
    let watched = match soft {
        0 => Vec::new(),
        _ => look.list(&format!("{KERNEL}/watchdog_cpumask"))?,
    };
    let hit = within(&look.declared.hot(), &watched);
    let text = format!(
        "nmi {}, {} watched",
        if nmi == 0 { "off" } else { "on" },
        cpus(&watched)
    );
    Ok(test(nmi == 0 && hit.is_empty(), text)?.affects(look.declared.on(&hit)))
}

fn workqueues(look: &Look<'_>) -> Found {
    let hot = hot(look)?;
    let mut hit = Vec::new();
    let mut shown = Vec::new();
    for path in
        ["cpumask", "writeback/cpumask"].map(|name| format!("sys/devices/virtual/workqueue/{name}"))
    {
        if !look.has(&path) && path.ends_with("writeback/cpumask") {
            continue;
        }
        let list = look.mask(&path)?;
        hit.extend(within(&hot, &list));
        shown.push(parse::listed(&list));
    }
    hit.sort_unstable();
    hit.dedup();
    let text = format!("the kernel's work runs on {}", shown.join(" and "));
    Ok(test(hit.is_empty(), text)?.affects(look.declared.on(&hit)))
}

fn sched_ext(look: &Look<'_>) -> Found {
    let state = look.text("sys/kernel/sched_ext/state")?;
    let name = look
        .maybe("sys/kernel/sched_ext/root/ops")?
        .unwrap_or_default();
    match state.as_str() {
        "disabled" => met(state),
        _ => test(false, format!("{state} {name}").trim().to_owned()),
    }
}

fn slice(look: &Look<'_>) -> Found {
    let ns: u64 = look.number("sys/kernel/debug/sched/base_slice_ns")?;
    noted(time(ns as f64))
}

fn timer_slack(look: &Look<'_>) -> Found {
    let spans = look.declared.spans();
    let shortest = spans
        .iter()
        .filter(|span| ["linger", "idle"].contains(&span.key))
        .min_by_key(|span| span.ns);
    let Some(shortest) = shortest else {
        return skip(Reason::NotDeclared, "no stage waits for a time");
    };
    let slack: u64 = look.number("proc/self/timerslack_ns")?;
    let text = format!(
        "{}; `{}` of {} is {}",
        time(slack as f64),
        shortest.key,
        shortest.stage,
        time(shortest.ns as f64)
    );
    let fits = slack <= shortest.ns / look.thresholds.slack_of_linger.max(1);
    Ok(test(fits, text)?.affects([shortest.stage.clone()]))
}

/// The kernel's configuration.
fn config(look: &Look<'_>) -> Result<String, Without> {
    look.kernel_config()
}

/// Is an option of the configuration on?
fn is_set(config: &str, name: &str) -> bool {
    config
        .lines()
        .any(|line| line.strip_prefix(name).is_some_and(|rest| rest == "=y"))
}

fn tick(look: &Look<'_>) -> Found {
    let config = config(look)?;
    let line = config
        .lines()
        .find_map(|line| line.strip_prefix("CONFIG_HZ="));
    let Some(hz) = line.and_then(|text| text.trim().parse::<u32>().ok()) else {
        return unknown("the kernel's configuration has no `CONFIG_HZ`");
    };
    look.saw("CONFIG_HZ", hz);
    let tickless = is_set(&config, "CONFIG_NO_HZ_FULL");
    let text = format!(
        "{hz} a second{}",
        if tickless {
            ", can be switched off"
        } else {
            ""
        }
    );
    match look.profile {
        Profile::Realtime => test(tickless, text),
        _ => noted(text),
    }
}

fn kernel_version(look: &Look<'_>) -> Found {
    let release = look.text(&format!("{KERNEL}/osrelease"))?;
    let Some(version) = parse::version(&release) else {
        return unknown(format!("`{release}` is no version"));
    };
    let oldest = look.thresholds.oldest_kernel;
    if version < oldest {
        return test(
            false,
            format!("{release}, older than {}.{}", oldest.0, oldest.1),
        );
    }
    let bad = look.thresholds.bad_kernels.iter();
    match bad
        .clone()
        .find(|bad| (bad.from..bad.until).contains(&version))
    {
        Some(bad) => test(false, format!("{release}: {}", bad.why)),
        None => met(release),
    }
}

fn perf_sampling(look: &Look<'_>) -> Found {
    let rate: u64 = look.number(&format!("{KERNEL}/perf_event_max_sample_rate"))?;
    test(
        rate <= look.thresholds.sample_rate,
        format!("at most {rate} a second"),
    )
}

fn debug_kernel(look: &Look<'_>) -> Found {
    const SLOW: [&str; 7] = [
        "CONFIG_KASAN",
        "CONFIG_KCSAN",
        "CONFIG_UBSAN",
        "CONFIG_PROVE_LOCKING",
        "CONFIG_LOCKDEP",
        "CONFIG_DEBUG_PREEMPT",
        "CONFIG_SLUB_DEBUG_ON",
    ];
    let config = config(look)?;
    let on: Vec<&str> = SLOW
        .into_iter()
        .filter(|name| is_set(&config, name))
        .collect();
    look.saw(
        "the kernel's configuration",
        if on.is_empty() {
            "none of those"
        } else {
            "some"
        },
    );
    match on.is_empty() {
        true => met("none"),
        false => test(false, on.join(", ")),
    }
}

fn uclamp(look: &Look<'_>) -> Found {
    let system = look.maybe_number::<u64>(&format!("{KERNEL}/sched_util_clamp_max"))?;
    let groups = levels(look, "cpu", "cpu.uclamp.max", None)?;
    if system.is_none() && groups.is_empty() {
        return skip(Reason::NotPresent, "the kernel does not clamp utilisation");
    }
    let capped = groups.iter().find(|(_, text)| {
        let whole = text.parse::<f64>().is_ok_and(|pct| pct >= 100.0);
        text != "max" && !whole
    });
    match (capped, system) {
        (Some((path, text)), _) => test(false, format!("`/{path}` is {text}")),
        (None, Some(most)) if most < 1024 => test(false, format!("the system's is {most} of 1024")),
        _ => met("max"),
    }
}
