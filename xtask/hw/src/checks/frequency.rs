//! F: frequency, power and heat.

use super::{Run, count, within};
use crate::check::{Found, Look, Profile, Reason, met, noted, skip, test, unknown};

pub(super) const ALL: [(&str, Run); 10] = [
    ("F01", governor),
    ("F02", preference),
    ("F03", turbo),
    ("F04", range),
    ("F05", idle_states),
    ("F06", throttled),
    ("F07", temperature),
    ("F08", power_source),
    ("F09", power_limits),
    ("F10", uncore),
];

const CPU: &str = "sys/devices/system/cpu";

/// The different texts of the files of a pattern.
fn different(look: &Look<'_>, pattern: &str) -> Result<Vec<String>, crate::check::Without> {
    let mut texts = Vec::new();
    for path in look.some_paths(pattern)? {
        texts.push(look.text(&path)?);
    }
    texts.sort_unstable();
    texts.dedup();
    Ok(texts)
}

fn governor(look: &Look<'_>) -> Found {
    let governors = different(look, &format!("{CPU}/cpufreq/policy*/scaling_governor"))?;
    let drivers =
        different(look, &format!("{CPU}/cpufreq/policy*/scaling_driver")).unwrap_or_default();
    let text = format!("{} ({})", governors.join(", "), drivers.join(", "));
    test(governors == ["performance"], text)
}

fn preference(look: &Look<'_>) -> Found {
    let pattern = format!("{CPU}/cpufreq/policy*/energy_performance_preference");
    if !look.paths(&pattern).is_empty() {
        let all = different(look, &pattern)?;
        return test(all == ["performance"], all.join(", "));
    }
    let all = different(look, &format!("{CPU}/cpu*/power/energy_perf_bias"))?;
    test(all == ["0"], format!("bias {}", all.join(", ")))
}

fn turbo(look: &Look<'_>) -> Found {
    let intel = look.maybe_number::<u32>(&format!("{CPU}/intel_pstate/no_turbo"))?;
    let boost = look.maybe_number::<u32>(&format!("{CPU}/cpufreq/boost"))?;
    let on = match (intel, boost) {
        (Some(no_turbo), _) => no_turbo == 0,
        (None, Some(boost)) => boost != 0,
        (None, None) => {
            return skip(
                Reason::NotPresent,
                "nothing tells whether cores run faster than their base",
            );
        }
    };
    // Only what is measured suffers from it.
    let is_met = !on || matches!(look.profile, Profile::Prod | Profile::Realtime);
    test(is_met, if on { "on" } else { "off" })
}

fn range(look: &Look<'_>) -> Found {
    let mut open = Vec::new();
    let mut all = 0;
    for path in look.some_paths(&format!("{CPU}/cpufreq/policy*/scaling_min_freq"))? {
        all += 1;
        let least: u64 = look.number(&path)?;
        let most: u64 = look.number(&path.replace("scaling_min", "scaling_max"))?;
        if least != most {
            open.push((least, most));
        }
    }
    match open.first() {
        None => met(format!(
            "fixed, {}",
            count(all, "policy").replace("ys", "ies")
        )),
        Some((least, most)) => test(false, format!("{} to {} MHz", least / 1000, most / 1000)),
    }
}

fn idle_states(look: &Look<'_>) -> Found {
    let driver = look.text(&format!("{CPU}/cpuidle/current_driver"))?;
    if driver == "none" {
        return skip(
            Reason::NotPresent,
            "the kernel does not choose how deep cpus sleep; `hw probe` measures what waking takes (A5)",
        );
    }
    let hot = look.declared.hot();
    let usable: Vec<u32> = look.machine.usable().map(|cpu| cpu.id).collect();
    let pinned = within(&usable, &hot);
    let cpus = if pinned.is_empty() { usable } else { pinned };
    let mut worst: Option<(u64, String, u32)> = None;
    let mut states = 0;
    for cpu in cpus {
        for path in look.paths(&format!("{CPU}/cpu{cpu}/cpuidle/state*/latency")) {
            states += 1;
            let folder = path.trim_end_matches("/latency");
            let disabled = look
                .maybe_number::<u32>(&format!("{folder}/disable"))?
                .unwrap_or(0)
                != 0;
            let latency: u64 = look.number(&path)?;
            if !disabled && worst.as_ref().is_none_or(|(most, ..)| latency > *most) {
                let name = look.maybe(&format!("{folder}/name"))?.unwrap_or_default();
                worst = Some((latency, name, cpu));
            }
        }
    }
    let most = match look.profile {
        Profile::Realtime => look.thresholds.exit_latency_realtime_us,
        _ => look.thresholds.exit_latency_us,
    };
    match worst {
        Some((latency, name, cpu)) => test(
            latency <= most,
            format!("{driver}: leaving {name} takes {latency} us on cpu {cpu}; at most {most} us"),
        ),
        None if states > 0 => met(format!("{driver}: all states are off")),
        None => unknown(format!("{driver} lists no states")),
    }
}

fn throttled(look: &Look<'_>) -> Found {
    let mut times = 0;
    let mut seconds = 0.0;
    for path in look.some_paths(&format!("{CPU}/cpu*/thermal_throttle/*_throttle_count"))? {
        let now: u64 = look.number(&path)?;
        let (before, ago) = look.before(&path)?;
        let Ok(before) = before.trim().parse::<u64>() else {
            return unknown(format!("`/{path}` was not a number"));
        };
        // All cpus of a package count the same.
        times = times.max(now.saturating_sub(before));
        seconds = ago;
    }
    test(
        times == 0,
        format!("{} in {seconds:.0} s", count(times as usize, "time")),
    )
}

fn temperature(look: &Look<'_>) -> Found {
    let mut nearest: Option<(i64, i64, String)> = None;
    for path in look.some_paths("sys/class/thermal/thermal_zone*/temp")? {
        let folder = path.trim_end_matches("/temp").to_owned();
        // A zone that is asleep answers with an error.
        let Ok(now) = look.number::<i64>(&path) else {
            continue;
        };
        for kind in look.paths(&format!("{folder}/trip_point_*_type")) {
            if look.text(&kind)? != "critical" {
                continue;
            }
            let critical: i64 = look.number(&kind.replace("_type", "_temp"))?;
            let left = (critical - now) / 1000;
            if critical > 0 && nearest.as_ref().is_none_or(|(least, ..)| left < *least) {
                let name = look.maybe(&format!("{folder}/type"))?.unwrap_or_default();
                nearest = Some((left, now / 1000, name));
            }
        }
    }
    match nearest {
        Some((left, now, name)) => test(
            left >= look.thresholds.below_critical_celsius,
            format!("{name} has {now} C, {left} C below critical"),
        ),
        None => skip(Reason::NotPresent, "no zone says what is critical for it"),
    }
}

fn power_source(look: &Look<'_>) -> Found {
    let mut mains = Vec::new();
    for path in look.some_paths("sys/class/power_supply/*/type")? {
        if look.text(&path)? == "Mains" {
            mains.push(look.number::<u32>(&path.replace("/type", "/online"))? != 0);
        }
    }
    let profile = look.maybe("sys/firmware/acpi/platform_profile")?;
    let slow = matches!(profile.as_deref(), Some("low-power" | "quiet" | "cool"));
    let source = match mains.as_slice() {
        [] => return skip(Reason::NotPresent, "no mains supply is listed"),
        mains if mains.contains(&true) => "mains",
        _ => "battery",
    };
    let profile = profile.map_or(String::new(), |profile| {
        format!(", platform profile {profile}")
    });
    test(source == "mains" && !slow, format!("{source}{profile}"))
}

fn power_limits(look: &Look<'_>) -> Found {
    let mut shown = Vec::new();
    for path in look.some_paths("sys/class/powercap/intel-rapl:*/constraint_*_power_limit_uw")? {
        let watts = look.number::<u64>(&path)? / 1_000_000;
        shown.push(format!("{watts} W"));
    }
    noted(shown.join(", "))
}

fn uncore(look: &Look<'_>) -> Found {
    let folder = "sys/devices/system/cpu/intel_uncore_frequency";
    let mut ranges = Vec::new();
    for path in look.some_paths(&format!("{folder}/*/min_freq_khz"))? {
        let least: u64 = look.number(&path)?;
        let most: u64 = look.number(&path.replace("min_freq", "max_freq"))?;
        ranges.push((least, most));
    }
    let open = ranges.iter().find(|(least, most)| least != most);
    match open {
        None => met(format!("fixed, {}", count(ranges.len(), "die"))),
        Some((least, most)) => test(false, format!("{} to {} MHz", least / 1000, most / 1000)),
    }
}
