//! A13. What touching memory for the first time costs.
//!
//! Fresh memory, one byte of each page written: the kernel finds a page, clears it and maps it. In pages of 4 KiB, in transparent
//! pages of 2 MiB, and in reserved ones (hugetlb) where there are any. It is what prefaulting saves.

use std::time::{Duration, Instant};

use memmap2::MmapOptions;

use super::{
    Context, Why,
    pages::{self, HUGE, Pages, SMALL},
};
use crate::probe::{
    clock::Ticks,
    result::{Measurement, Unit},
    seat,
};

const BYTES: usize = 16 << 20;

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let ticks = &context.ticks;
    let cpu = context.first()?;
    let each = about / 3;
    let small = seat::on(cpu, || {
        touches(ticks, SMALL, each, || pages::untouched(BYTES, Pages::Small))
    })??;
    let small = out.row("a page of 4 KiB", Unit::Nanoseconds, small);
    let before = pages::in_huge_pages();
    let probe = pages::untouched(BYTES, Pages::Huge).map(|mut map| {
        pages::touch(&mut map, SMALL);
        pages::in_huge_pages()
            .zip(before)
            .is_some_and(|(now, before)| now.saturating_sub(before) >= BYTES as u64 / 2)
    });
    match probe {
        Ok(true) => {
            let samples = seat::on(cpu, || {
                touches(ticks, HUGE, each, || pages::untouched(BYTES, Pages::Huge))
            })??;
            let huge = out.row("a transparent page of 2 MiB", Unit::Nanoseconds, samples);
            if let Some((small, huge)) = small.zip(huge) {
                let times =
                    pipewright_draw::format::digits(small.p50 * (HUGE / SMALL) as f64 / huge.p50);
                out.note(format!(
                    "2 MiB in small pages take {times} times as long as in one"
                ));
            }
        }
        Ok(false) => out.note("the kernel gave no transparent pages of 2 MiB (check M03)"),
        Err(why) => out.note(why),
    }
    let reserved = || {
        let map = MmapOptions::new().len(BYTES).huge(Some(21)).map_anon();
        map.map_err(|error| format!("there are no reserved pages of 2 MiB: {error}"))
    };
    match seat::on(cpu, || touches(ticks, HUGE, each, reserved))? {
        Ok(samples) => {
            out.row("a reserved page of 2 MiB", Unit::Nanoseconds, samples);
        }
        Err(why) => out.note(why),
    }
    Ok(())
}

/// Nanoseconds for a page, of each fresh piece of memory.
fn touches(
    ticks: &Ticks,
    page: usize,
    about: Duration,
    fresh: impl Fn() -> Result<memmap2::MmapMut, Why>,
) -> Result<Vec<f64>, Why> {
    let began = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < 5 || began.elapsed() < about {
        let mut map = fresh()?;
        let from = ticks.now();
        pages::touch(&mut map, page);
        samples.push(ticks.since(from) / (BYTES / page) as f64);
    }
    Ok(samples)
}
