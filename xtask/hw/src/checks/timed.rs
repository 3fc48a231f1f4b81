//! P: the times that a pipeline counts on, and the machine's floor.

use super::{Run, count, time};
use crate::check::{Finding, Found, Look, Profile, Reason, Verdict, met, skip, test};

pub(super) const ALL: [(&str, Run); 5] = [
    ("P16", timers),
    ("P17", objective),
    ("P21", generator),
    ("P23", breakers),
    ("P24", rate),
];

/// By how much a timed wait may take too long: as measured, else the kernel's slack.
fn timer_floor(look: &Look<'_>) -> Result<(f64, &'static str), crate::check::Without> {
    let slack: u64 = look.number("proc/self/timerslack_ns")?;
    Ok(match look.floor.and_then(|floor| floor.oversleep) {
        Some(oversleep) => (oversleep.p99, "as measured"),
        None => (slack as f64, "the timer slack alone"),
    })
}

fn timers(look: &Look<'_>) -> Found {
    let spans = look.declared.spans();
    if spans.is_empty() {
        return skip(Reason::NotDeclared, "no stage counts on a time");
    }
    let (floor, source) = timer_floor(look)?;
    let mut worst = Finding::new(
        Verdict::Met,
        format!("waits take up to {} longer, {source}", time(floor)),
    );
    for span in &spans {
        let ns = span.ns as f64;
        let verdict = match ns {
            ns if ns < floor => Verdict::Impossible,
            ns if ns < look.thresholds.linger_floors * floor => Verdict::Unmet,
            _ => continue,
        };
        let line = format!(
            "`{}` of {} is {}, and waits take up to {} longer ({source})",
            span.key,
            span.stage,
            time(ns),
            time(floor)
        );
        worst = match verdict > worst.verdict {
            true => Finding {
                verdict,
                details: worst
                    .details
                    .into_iter()
                    .chain((worst.verdict != Verdict::Met).then_some(worst.current))
                    .collect(),
                affects: worst.affects,
                current: line,
                help: None,
            },
            false => worst.detail(line),
        };
        worst = worst.affects([span.stage.clone()]);
    }
    Ok(worst)
}

fn objective(look: &Look<'_>) -> Found {
    let Some(wanted) = look.declared.demands.p99 else {
        return skip(
            Reason::NotDeclared,
            "nobody says with `--p99` how long items may take",
        );
    };
    let Some(floor) = look.floor else {
        return skip(
            Reason::NotMeasured,
            "`hw probe` measures what this machine can do: give its result with `--probe`",
        );
    };
    let (Some(wake), Some(jitter)) = (floor.wake, floor.jitter) else {
        return skip(
            Reason::NotMeasured,
            "the probe has not measured waking and jitter (A3, A5)",
        );
    };
    let hops = look.declared.hops();
    let mut handoffs: Vec<f64> = floor.handoffs.iter().map(|handoff| handoff.ns).collect();
    handoffs.sort_by(f64::total_cmp);
    let handoff = handoffs.get(handoffs.len() / 2).copied().unwrap_or(0.0);
    let least = hops as f64 * handoff + wake.p99 + jitter.p999;
    let pct = least * 100.0 / wanted.max(1) as f64;
    let text = format!(
        "{} of {}: {} of {}, waking {}, jitter {}",
        time(least),
        time(wanted as f64),
        count(hops, "hand-over"),
        time(handoff),
        time(wake.p99),
        time(jitter.p999)
    );
    let verdict = match pct {
        pct if pct > 100.0 => Verdict::Impossible,
        pct if pct > look.thresholds.slo_floor_pct => Verdict::Unmet,
        _ => Verdict::Met,
    };
    Ok(Finding::new(verdict, text))
}

fn generator(look: &Look<'_>) -> Found {
    if look.declared.is_empty() {
        return skip(Reason::NotDeclared, "there is no pipeline");
    }
    if look.profile != Profile::Bench {
        return skip(
            Reason::NotSelected,
            "only what is measured needs a generator",
        );
    }
    look.list("sys/devices/system/cpu/online")?;
    let usable = look.machine.usable().count();
    let threads = look.declared.threads(look.machine);
    let free = usable.saturating_sub(threads);
    let text = format!(
        "{} for {} leave {free}",
        count(usable, "cpu"),
        count(threads, "thread")
    );
    test(free >= 1, text)
}

fn breakers(look: &Look<'_>) -> Found {
    let windows = look.declared.windows();
    if windows.is_empty() {
        return skip(
            Reason::NotDeclared,
            "no stage has a breaker that looks back for a time",
        );
    }
    let (floor, source) = timer_floor(look)?;
    let least = floor * look.thresholds.timer_floors as f64;
    let rate = look.declared.demands.rate;
    let mut found = Finding::new(
        Verdict::Met,
        format!(
            "{}, and waits take up to {} longer ({source})",
            count(windows.len(), "window"),
            time(floor)
        ),
    );
    for (stage, window, items) in windows {
        let expected =
            rate.map(|rate| rate.count as f64 * window as f64 / rate.per.ns().max(1) as f64);
        let line = match expected {
            _ if (window as f64) < least => format!(
                "the window of {stage} is {}, less than {} times what waits take longer",
                time(window as f64),
                look.thresholds.timer_floors
            ),
            Some(expected) if expected < items as f64 => {
                format!(
                    "in the window of {stage} come {expected:.0} items, and it decides on {items}"
                )
            }
            _ => continue,
        };
        found = match found.verdict {
            Verdict::Met => Finding::new(Verdict::Unmet, line),
            _ => found.detail(line),
        };
        found = found.affects([stage]);
    }
    Ok(found)
}

fn rate(look: &Look<'_>) -> Found {
    let demands = &look.declared.demands;
    let (Some(rate), Some(service)) = (demands.rate, demands.service) else {
        return skip(
            Reason::NotDeclared,
            "nobody says with `--rate` and `--service` how much work comes",
        );
    };
    if look.declared.is_empty() {
        return skip(Reason::NotDeclared, "there is no pipeline");
    }
    look.list("sys/devices/system/cpu/online")?;
    let threads = look
        .declared
        .threads(look.machine)
        .min(look.machine.usable().count().max(1));
    let busy = rate.count as f64 / rate.per.ns().max(1) as f64 * service as f64 / threads as f64;
    let text = format!(
        "{} are busy {:.0} % of the time",
        count(threads, "thread"),
        busy * 100.0
    );
    match busy <= look.thresholds.utilisation {
        true => met(text),
        false if busy > 1.0 => crate::check::impossible(text),
        false => test(false, text),
    }
}
