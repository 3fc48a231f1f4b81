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

/// The ticks of all cpus, as `/proc/stat` counts them.
struct Ticks {
    /// In which something ran.
    busy: u64,
    stolen: u64,
    all: u64,
}

impl Ticks {
    fn of(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
        let numbers: Option<Vec<u64>> = line
            .split_whitespace()
            .map(|word| word.parse().ok())
            .collect();
        // The time of guests, which follows, is in that of users already.
        let [user, nice, system, idle, waiting, irq, softirq, stolen] =
            *numbers?.first_chunk::<8>()?;
        let busy = user + nice + system + irq + softirq;
        Some(Self {
            busy,
            stolen,
            all: busy + idle + waiting + stolen,
        })
    }
}

/// Per cent of the time of all cpus that the hypervisor gave to others.
pub(super) fn stolen(look: &Look<'_>) -> Result<(f64, f64), Without> {
    let now = look.text("proc/stat")?;
    let (before, seconds) = look.before("proc/stat")?;
    let (Some(now), Some(before)) = (Ticks::of(&now), Ticks::of(&before)) else {
        return unknown("`/proc/stat` has another form");
    };
    let all = now.all.saturating_sub(before.all).max(1);
    let stolen = now.stolen.saturating_sub(before.stolen);
    Ok((stolen as f64 * 100.0 / all as f64, seconds))
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

/// Are the counts of `/proc/stat` those of the whole machine? Some containers show their own instead.
fn counts_all(look: &Look<'_>) -> Result<bool, Without> {
    match look.place.container.as_deref() {
        None => Ok(true),
        Some("gvisor") => Ok(false),
        Some(_) => {
            let mounts = look.peek("proc/self/mountinfo")?;
            let replaced = |line: &str| line.split(' ').nth(4) == Some("/proc/stat");
            Ok(!mounts.lines().any(replaced))
        }
    }
}

/// What others than this process took, in per cent of all cpus, and who of those that are seen took most. It is what the cpus
/// worked without what this process did: who takes it may end meanwhile, or be in another container.
fn foreign(look: &Look<'_>) -> Result<(f64, Vec<String>), Without> {
    let (now, own) = (look.text("proc/stat")?, look.peek("proc/self/stat")?);
    let ((before, _), (own_before, _)) =
        (look.before("proc/stat")?, look.before("proc/self/stat")?);
    if !counts_all(look)? {
        return unknown("this container shows the counts of its own processes only");
    }
    let (Some(now), Some(before)) = (Ticks::of(&now), Ticks::of(&before)) else {
        return unknown("`/proc/stat` has another form");
    };
    let (Some((_, own)), Some((_, own_before))) = (ran(&own), ran(&own_before)) else {
        return unknown("`/proc/self/stat` has another form");
    };
    let all = now.all.saturating_sub(before.all);
    if all == 0 {
        return unknown("`/proc/stat` does not count");
    }
    let part = |ticks: u64| ticks as f64 * 100.0 / all as f64;
    let own = own.saturating_sub(own_before);
    let busy = now.busy.saturating_sub(before.busy);
    let seen = seen(look);
    let names = seen.iter().take(3).filter(|(ticks, _)| *ticks > 0);
    let names = names
        .map(|(ticks, name)| format!("{name} {:.0} %", part(*ticks)))
        .collect();
    Ok((part(busy.saturating_sub(own)), names))
}

/// The ticks that other processes ran, of those that are seen from their begin to their end, and their names, the busiest first.
fn seen(look: &Look<'_>) -> Vec<(u64, String)> {
    let me = look.facts().pid.map(|pid| format!("proc/{pid}/stat"));
    let mut seen = Vec::new();
    for path in look.paths("proc/*/stat") {
        let is_process = path
            .split('/')
            .nth(1)
            .is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()));
        if !is_process || me.as_ref() == Some(&path) {
            continue;
        }
        let (Ok(now), Ok((before, _))) = (look.peek(&path), look.before(&path)) else {
            continue;
        };
        if let (Some((name, now)), Some((_, before))) = (ran(&now), ran(&before)) {
            seen.push((now.saturating_sub(before), name));
        }
    }
    seen.sort_unstable_by(|a, b| b.cmp(a));
    seen
}

fn load(look: &Look<'_>) -> Found {
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
