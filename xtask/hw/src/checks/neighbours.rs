//! V: virtualisation, and who else is there.

use super::{Run, time};
use crate::{
    check::{Found, Look, Profile, Reason, Without, met, noted, skip, test, unknown},
    parse,
};

pub(super) const ALL: [(&str, Run); 8] = [
    ("V01", hypervisor),
    ("V02", steal),
    ("V03", burstable),
    ("V04", load),
    ("V05", pressure),
    ("V06", ballooning),
    ("V07", time_discipline),
    ("V08", clock_skew),
];

/// The ticks of a second in `/proc/stat`: `USER_HZ`, which is the same on all of Linux.
const TICKS: f64 = 100.0;

/// Without the processor's word, nothing tells a guest from a machine.
pub(super) fn known_place(look: &Look<'_>) -> Result<(), Without> {
    if look.place.guest.is_some() {
        return Ok(());
    }
    let text = look.peek("proc/cpuinfo")?;
    let tells = text
        .lines()
        .any(|line| line.starts_with("flags") || line.starts_with("Features"));
    match tells {
        true => Ok(()),
        false => unknown("`/proc/cpuinfo` lists no features"),
    }
}

fn hypervisor(look: &Look<'_>) -> Found {
    known_place(look)?;
    test(look.place.guest.is_none(), look.place.to_string())
}

/// The ticks of all cpus: stolen, and all together.
fn ticks(text: &str) -> Option<(u64, u64)> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let numbers: Option<Vec<u64>> = line
        .split_whitespace()
        .map(|word| word.parse().ok())
        .collect();
    let numbers = numbers?;
    // The time of guests is in that of users already.
    Some((*numbers.get(7)?, numbers.iter().take(8).sum()))
}

/// Per cent of the time of all cpus that the hypervisor gave to others.
pub(super) fn stolen(look: &Look<'_>) -> Result<(f64, f64), Without> {
    let now = look.text("proc/stat")?;
    let (before, seconds) = look.before("proc/stat")?;
    let (Some(now), Some(before)) = (ticks(&now), ticks(&before)) else {
        return unknown("`/proc/stat` has another form");
    };
    let all = now.1.saturating_sub(before.1).max(1);
    Ok((
        now.0.saturating_sub(before.0) as f64 * 100.0 / all as f64,
        seconds,
    ))
}

fn steal(look: &Look<'_>) -> Found {
    let (pct, seconds) = stolen(look)?;
    let most = match look.profile {
        Profile::Bench | Profile::Realtime => look.thresholds.steal_bench_pct,
        _ => look.thresholds.steal_pct,
    };
    test(
        pct < most,
        format!("{pct:.2} % in {seconds:.0} s, at most {most} %"),
    )
}

fn burstable(look: &Look<'_>) -> Found {
    let product = look.text("sys/class/dmi/id/product_name")?;
    let known = look
        .thresholds
        .burstable
        .iter()
        .find(|prefix| product.to_lowercase().starts_with(prefix.as_str()));
    test(known.is_none(), product)
}

/// The ticks that a process has run, and its name: from `/proc/N/stat`.
fn ran(text: &str) -> Option<(String, u64)> {
    let (front, rest) = text.rsplit_once(')')?;
    let name = front.split_once('(')?.1.to_owned();
    let field = |n: usize| rest.split_whitespace().nth(n - 3)?.parse::<u64>().ok();
    Some((name, field(14)? + field(15)?))
}

/// What other processes took, in per cent of all cpus, and who took most.
fn foreign(look: &Look<'_>) -> Result<(f64, Vec<String>), Without> {
    let mut taken = Vec::new();
    let mut seconds = 0.0;
    let me = look.facts().pid.map(|pid| format!("proc/{pid}/stat"));
    for path in look.paths("proc/*/stat") {
        let is_process = path
            .split('/')
            .nth(1)
            .is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
        if !is_process || me.as_ref() == Some(&path) {
            continue;
        }
        // Processes come and go meanwhile.
        let (Ok(now), Ok((before, ago))) = (look.peek(&path), look.before(&path)) else {
            continue;
        };
        seconds = ago;
        if let (Some((name, now)), Some((_, before))) = (ran(&now), ran(&before)) {
            taken.push((now.saturating_sub(before), name));
        }
    }
    if seconds == 0.0 {
        return match look.before("proc/stat") {
            Ok(_) => skip(Reason::NotPresent, "no other process is seen"),
            Err(why) => Err(why),
        };
    }
    taken.sort_unstable_by(|a, b| b.cmp(a));
    let cpus = look
        .machine
        .cpus()
        .iter()
        .filter(|cpu| cpu.online)
        .count()
        .max(1) as f64;
    let part = |ticks: u64| ticks as f64 / TICKS / seconds / cpus * 100.0;
    let names = taken.iter().take(3).filter(|(ticks, _)| *ticks > 0);
    let names = names
        .map(|(ticks, name)| format!("{name} {:.0} %", part(*ticks)))
        .collect();
    Ok((part(taken.iter().map(|(ticks, _)| ticks).sum()), names))
}

fn load(look: &Look<'_>) -> Found {
    look.text("proc/loadavg")?;
    let (pct, names) = foreign(look)?;
    let most = match look.profile {
        Profile::Bench => look.thresholds.foreign_bench_pct,
        _ => look.thresholds.foreign_pct,
    };
    let names = match names.is_empty() {
        true => String::new(),
        false => format!(" ({})", names.join(", ")),
    };
    test(
        pct < most,
        format!("others take {pct:.0} % of the cpus{names}, at most {most} %"),
    )
}

fn pressure(look: &Look<'_>) -> Found {
    let text = look.text("proc/pressure/cpu")?;
    match parse::pressure(&text, "some") {
        Some(some) => test(
            some < look.thresholds.cpu_pressure,
            format!("tasks wait for a cpu {some} % of the time"),
        ),
        None => unknown("`/proc/pressure/cpu` has another form"),
    }
}

fn ballooning(look: &Look<'_>) -> Found {
    let balloons = look.paths("sys/bus/virtio/drivers/virtio_balloon/virtio*");
    let reporting = look.maybe("sys/module/page_reporting/parameters/page_reporting_order")?;
    let nested = look.peek("proc/cpuinfo").is_ok_and(|text| {
        let flags = text
            .lines()
            .find(|line| line.starts_with("flags"))
            .unwrap_or_default()
            .to_owned();
        flags
            .split_whitespace()
            .any(|flag| flag == "vmx" || flag == "svm")
    });
    if look.place.guest.is_none() {
        return skip(Reason::NotPresent, "no guest");
    }
    let mut parts = Vec::new();
    parts.push(if balloons.is_empty() {
        "no balloon"
    } else {
        "a balloon can take memory"
    });
    parts.push(if reporting.is_some() {
        "free pages are given back"
    } else {
        "free pages stay"
    });
    if nested {
        parts.push("guests can run in it");
    }
    noted(parts.join(", "))
}

fn time_discipline(look: &Look<'_>) -> Found {
    match look.facts().clock {
        Some((synced, error)) => {
            look.saw(
                "adjtimex",
                format_args!("synchronised {synced}, at most {error} us off"),
            );
            let state = if synced {
                "synchronised"
            } else {
                "not synchronised"
            };
            test(
                synced,
                format!("{state}, at most {} off", time(error as f64 * 1e3)),
            )
        }
        None => skip(
            Reason::NotPresent,
            "the system does not tell how its clock is kept",
        ),
    }
}

fn clock_skew(look: &Look<'_>) -> Found {
    let Some(skew) = look.floor.and_then(|floor| floor.tsc_skew) else {
        return skip(
            Reason::NotMeasured,
            "`hw probe` measures it (A2): give its result with `--probe`",
        );
    };
    let most = look.thresholds.tsc_skew_ns;
    match skew <= most {
        true => met(time(skew)),
        false => test(false, format!("{}, at most {}", time(skew), time(most))),
    }
}
