//! A3. For how long a thread that never sleeps is kept from running.
//!
//! A pinned thread reads the counter in a loop; where two readings are more than 500 ns apart, something else ran: an interrupt,
//! another thread, the host. This is the method of `sysjitter` and of the kernel's `hwnoise`, without a tracer's rights. First on
//! all cpus at once, which shows what they do to each other, then on one after the other. What the kernel counted meanwhile
//! (stolen time, interrupts, waiting, throttling) is told beside it.

use std::time::Duration;

use super::{Context, Why, told::Told};
use crate::probe::{
    clock::Ticks,
    gaps::Gaps,
    result::{Curve, Detail, Measurement, Rating, Unit},
    seat,
};

/// Shorter gaps are the loop itself, in nanoseconds.
const SHORTEST: f64 = 500.0;
/// Gaps that are kept; what comes after them is counted in the length of the last one only by its note.
const MOST: usize = 200_000;
/// What is asked of a machine for real-time work: no longer gap, in ns, and no larger part of the time.
const REAL_TIME: (f64, f64) = (20_000.0, 0.000_1);
/// What is asked of one for benchmarks: of the 99.9th percentile, and of the time.
const BENCH: (f64, f64) = (200_000.0, 0.005);

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let cpus = &context.cpus;
    let ticks = &context.ticks;
    let together = if cpus.len() > 1 { about / 2 } else { about };
    let looks = seat::all(cpus, |index| look(ticks, cpus[index], together))?;
    let mut curves = Vec::new();
    let mut worst = (0.0f64, 0.0f64, 0.0f64);
    for (cpu, (gaps, told)) in cpus.iter().zip(&looks) {
        let gap = out.row(
            format!("cpu {cpu}, a gap"),
            Unit::Nanoseconds,
            gaps.lengths(),
        );
        out.row(
            format!("cpu {cpu}, time taken"),
            Unit::Part,
            [gaps.stolen()],
        );
        out.row(
            format!("cpu {cpu}, gaps"),
            Unit::PerSecond,
            [gaps.per_second()],
        );
        if let Some(gap) = gap {
            worst = (
                worst.0.max(gap.p999.unwrap_or(gap.max)),
                worst.1.max(gap.max),
                worst.2.max(gaps.stolen()),
            );
        }
        curves.push(Curve {
            name: format!("cpu {cpu}"),
            points: gaps.at_least(60),
        });
        out.notes.extend(notes(*cpu, gaps, told));
    }
    out.details.push(Detail::Gaps(curves));
    if cpus.len() > 1 {
        let each = (about - together) / cpus.len() as u32;
        for cpu in cpus {
            let (gaps, _) = seat::on(*cpu, || look(ticks, *cpu, each))?;
            out.row(
                format!("cpu {cpu} alone, a gap"),
                Unit::Nanoseconds,
                gaps.lengths(),
            );
            out.row(
                format!("cpu {cpu} alone, time taken"),
                Unit::Part,
                [gaps.stolen()],
            );
        }
    }
    let (tail, longest, stolen) = worst;
    out.rating = match () {
        () if longest < REAL_TIME.0 && stolen < REAL_TIME.1 => Rating::Pass,
        () if tail < BENCH.0 && stolen < BENCH.1 => Rating::Info,
        () => Rating::Warn,
    };
    out.note(match out.rating {
        Rating::Pass => "quiet enough for real-time work: no gap of 20 us, less than 0.01 % of the time taken",
        Rating::Info => "quiet enough for benchmarks, not for real-time work",
        _ => "not quiet enough for benchmarks, which want a 99.9th percentile below 200 us and less than 0.5 % of the time taken",
    });
    Ok(())
}

fn look(ticks: &Ticks, cpu: u32, about: Duration) -> (Gaps, Vec<String>) {
    // Touched before it is needed: a page fault would be a gap.
    let mut found = vec![(1u64, 1u64); MOST];
    let mut count = 0;
    let before = Told::read(cpu);
    let threshold = ticks.of(SHORTEST);
    let began = ticks.now();
    let end = began + ticks.of(about.as_secs_f64() * 1e9);
    let mut last = began;
    while last < end {
        let now = ticks.now();
        if now.saturating_sub(last) > threshold
            && let Some(slot) = found.get_mut(count)
        {
            *slot = (last, now);
            count += 1;
        }
        last = now;
    }
    let mut told = Told::read(cpu).since(&before);
    if count == MOST {
        told.push(format!(
            "more than {MOST} gaps, of which only the first are told"
        ));
    }
    let looked = if count == MOST {
        found[count - 1].1
    } else {
        last
    };
    let gaps = found[..count]
        .iter()
        .map(|(from, to)| (ticks.between(began, *from), ticks.between(*from, *to)));
    (
        Gaps {
            looked: ticks.between(began, looked),
            gaps: gaps.collect(),
        },
        told,
    )
}

fn notes(cpu: u32, gaps: &Gaps, told: &[String]) -> Option<String> {
    let period = gaps.period().map(|ns| {
        format!(
            "gaps every {} ({:.0} Hz)",
            Unit::Nanoseconds.write(ns),
            1e9 / ns
        )
    });
    let all: Vec<String> = told.iter().cloned().chain(period).collect();
    (!all.is_empty()).then(|| format!("cpu {cpu}: {}", all.join(", ")))
}
