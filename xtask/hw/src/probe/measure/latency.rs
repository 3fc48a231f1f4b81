//! A8. What an access to memory takes, by how much memory is used.
//!
//! Each 64 bytes hold the place of the next ones, in one circle through all of them in random order (Sattolo 1986), so that
//! neither the prefetcher nor the core knows where it goes before it is there. By size, up to several times the largest cache
//! (256 MiB in long probes), in pages of 4 KiB and 2 MiB, which differ by what looking up addresses costs. Of the samples
//! the least counts. With several memory nodes, from each to each.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use super::{
    Context, Why,
    pages::{self, Pages},
};
use crate::probe::{
    clock::Ticks,
    plateaus::{Plateau, plateaus},
    result::{Curve, Detail, Measurement, Unit},
    seat,
    stats::Summary,
};

const LINE: usize = 64;
const SMALLEST: usize = 16 << 10;
const LARGEST: usize = 256 << 20;
/// In short probes, so many times the largest cache.
const CACHES: u64 = 2;
/// From this time on a measurement is a long one.
const LONG: Duration = Duration::from_secs(5);
const SAMPLES: u32 = 7;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let cpu = context.first()?;
    let wanted = if about >= LONG {
        LARGEST as u64
    } else {
        CACHES * pages::largest_cache(cpu)
    };
    // Never so much that others are moved out for it.
    let most = wanted
        .min(LARGEST as u64)
        .min(pages::available() / 4)
        .max(SMALLEST as u64) as usize;
    let sizes: Vec<usize> = (0..)
        .map(|power| SMALLEST << power)
        .take_while(|size| *size <= most)
        .collect();
    let most = sizes[sizes.len() - 1];
    let mut curves = Vec::new();
    for (name, kind) in [("4 KiB pages", Pages::Small), ("2 MiB pages", Pages::Huge)] {
        let before = pages::in_huge_pages();
        let mut memory = pages::untouched(most, kind)?;
        pages::touch(&mut memory, pages::SMALL);
        if kind == Pages::Huge && !got_huge(before, most) {
            out.note("the kernel gave no pages of 2 MiB, so there is no curve of them (check M03)");
            continue;
        }
        let points = seat::on(cpu, || {
            curve(&context.ticks, &mut memory, &sizes, about / 2)
        })?;
        if let Some((_, ns)) = points.last() {
            out.row(format!("{name}, {}", size(most)), Unit::Nanoseconds, [*ns]);
        }
        curves.push(Curve {
            name: name.to_owned(),
            points,
        });
    }
    let found = curves
        .first()
        .map(|curve| plateaus(&curve.points))
        .unwrap_or_default();
    for (level, plateau) in found.iter().enumerate() {
        let name = named(level, plateau, pages::largest_cache(cpu));
        out.row(name, Unit::Nanoseconds, [plateau.ns]);
    }
    out.details.push(Detail::Latency(curves));
    out.details.push(Detail::Plateaus(found));
    nodes(context, most, about, out)
}

/// What is larger than the largest cache is memory.
fn named(level: usize, plateau: &Plateau, cache: u64) -> String {
    let what = match plateau.to <= cache as f64 {
        true => format!("level {}", level + 1),
        false => "memory".to_owned(),
    };
    let (from, to) = (size(plateau.from as usize), size(plateau.to as usize));
    format!("{what}, {from} to {to}")
}

fn got_huge(before: Option<u64>, bytes: usize) -> bool {
    let got = pages::in_huge_pages()
        .zip(before)
        .map(|(now, before)| now.saturating_sub(before));
    got.is_some_and(|got| got >= bytes as u64 / 2)
}

fn size(bytes: usize) -> String {
    pipewright_draw::format::bytes(bytes as f64)
}

/// The least time of an access, at each size.
fn curve(ticks: &Ticks, memory: &mut [u8], sizes: &[usize], about: Duration) -> Vec<(f64, f64)> {
    let each = about / sizes.len() as u32;
    sizes
        .iter()
        .filter_map(|size| {
            let part = &mut memory[..*size];
            circle(part);
            Some((*size as f64, chase(ticks, part, each)?.min))
        })
        .collect()
}

/// Lets each line hold the place of the next one, in one circle through all.
fn circle(memory: &mut [u8]) {
    let lines = memory.len() / LINE;
    let mut order: Vec<u32> = (0..lines as u32).collect();
    // An LCG is random enough for a prefetcher, and the same each time.
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    for last in (1..lines).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Below `last`, never `last` itself: that is what makes it one circle.
        let other = (((state >> 32) * last as u64) >> 32) as usize;
        order.swap(last, other);
    }
    for (line, next) in order.into_iter().enumerate() {
        let place = (next as usize * LINE) as u64;
        memory[line * LINE..line * LINE + 8].copy_from_slice(&place.to_ne_bytes());
    }
}

/// Nanoseconds of a step around the circle.
fn chase(ticks: &Ticks, memory: &[u8], about: Duration) -> Option<Summary> {
    const STEPS: u32 = 20_000;
    let began = Instant::now();
    // Once around, so that what fits into a cache is in it.
    let mut at = walk(memory, 0, (memory.len() / LINE).min(1 << 17) as u32);
    let mut samples = Vec::new();
    while samples.len() < SAMPLES as usize || (began.elapsed() < about && samples.len() < 1_000) {
        let from = ticks.now();
        at = walk(memory, at, STEPS);
        samples.push(ticks.since(from) / f64::from(STEPS));
    }
    black_box(at);
    Summary::of(samples)
}

#[inline(never)]
fn walk(memory: &[u8], mut at: usize, steps: u32) -> usize {
    for _ in 0..steps {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&memory[at..at + 8]);
        at = u64::from_ne_bytes(bytes) as usize;
    }
    at
}

/// From the cpus of each memory node to the memory of each, where there are several.
fn nodes(
    context: &Context,
    bytes: usize,
    about: Duration,
    out: &mut Measurement,
) -> Result<(), Why> {
    let measured = context
        .cpus
        .iter()
        .filter_map(|cpu| context.machine.cpu(*cpu));
    let mut nodes: Vec<(u32, u32)> = measured.map(|cpu| (cpu.node, cpu.id)).collect();
    nodes.dedup_by_key(|(node, _)| *node);
    nodes.sort_unstable();
    nodes.dedup_by_key(|(node, _)| *node);
    if nodes.len() < 2 {
        return Ok(());
    }
    let mut matrix = vec![vec![None; nodes.len()]; nodes.len()];
    for (column, (to, owner)) in nodes.iter().enumerate() {
        // Who touches memory first has it on its node.
        let memory = seat::on(*owner, || {
            let mut memory = pages::untouched(bytes, Pages::Small)?;
            circle(&mut memory);
            Ok::<_, Why>(memory)
        })??;
        for (row, (from, reader)) in nodes.iter().enumerate() {
            let summary = seat::on(*reader, || chase(&context.ticks, &memory, about / 20))?;
            matrix[row][column] = summary.map(|summary| summary.min);
            out.summary(
                format!("node {from} to memory of node {to}"),
                Unit::Nanoseconds,
                summary,
            );
        }
    }
    out.details.push(Detail::Nodes(matrix));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_cache_holds_is_called_memory() {
        let check = |from: f64, to: f64, expect: &str| {
            let ns = 1.0;
            assert_eq!(named(2, &Plateau { from, to, ns }, 32 << 20), expect);
        };
        let mib = f64::from(1 << 20);
        check(2.0 * mib, 32.0 * mib, "level 3, 2 MiB to 32 MiB");
        check(8.0 * mib, 64.0 * mib, "memory, 8 MiB to 64 MiB");
    }

    #[test]
    fn the_circle_leads_through_every_line_and_back() {
        for lines in [1usize, 2, 3, 256, 1000] {
            let mut memory = vec![0; lines * LINE];
            circle(&mut memory);
            let mut seen = vec![false; lines];
            let mut at = 0;
            for _ in 0..lines {
                assert!(!seen[at / LINE], "{lines} lines: {at} comes twice");
                seen[at / LINE] = true;
                at = walk(&memory, at, 1);
            }
            assert_eq!(at, 0, "{lines} lines");
        }
    }
}
