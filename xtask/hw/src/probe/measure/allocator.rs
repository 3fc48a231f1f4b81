//! A12. What memory costs that is taken and given back, with the allocator of this process.
//!
//! By size: taken and given back at once; and taken on one cpu and given back on another, as pipelines do that send boxes from
//! thread to thread. This is the price of an allocation for each item.

use std::{
    hint::black_box,
    sync::mpsc,
    time::{Duration, Instant},
};

use super::{Context, Why, cost};
use crate::probe::{
    clock::Ticks,
    result::{Measurement, Unit},
    seat,
    stats::Summary,
};

const SIZES: [usize; 4] = [64, 256, 1024, 8192];

pub(super) fn take(context: &Context, about: Duration, out: &mut Measurement) -> Result<(), Why> {
    let ticks = &context.ticks;
    let first = context.first()?;
    let each = about / 8;
    for size in SIZES {
        let samples = seat::on(first, || {
            cost(ticks, 100, each, || {
                Vec::<u8>::with_capacity(black_box(size))
            })
        })?;
        out.summary(
            format!("{size} B, taken and given back"),
            Unit::Nanoseconds,
            Summary::of_settled(&samples),
        );
    }
    let Some(other) = context.cpus.get(1) else {
        out.note("memory that another cpu gives back is not measured: it takes two cpus");
        return Ok(());
    };
    for size in SIZES {
        let samples = abroad(ticks, (first, *other), size, each)?;
        out.summary(
            format!("{size} B, given back by another cpu"),
            Unit::Nanoseconds,
            Summary::of_settled(&samples),
        );
    }
    Ok(())
}

/// Nanoseconds for giving back a block that another cpu took, in samples of 500.
fn abroad(ticks: &Ticks, cpus: (u32, u32), size: usize, about: Duration) -> Result<Vec<f64>, Why> {
    const BLOCKS: usize = 500;
    let (send, receive) = mpsc::sync_channel::<Vec<Vec<u8>>>(4);
    let make = move || {
        let began = Instant::now();
        let mut count = 0;
        while count < 20 || began.elapsed() < about {
            // Written, so that the block is where it was taken.
            let blocks = (0..BLOCKS).map(|_| vec![1u8; black_box(size)]).collect();
            if send.send(blocks).is_err() {
                return;
            }
            count += 1;
        }
    };
    let drop_them = move || {
        let mut samples = Vec::new();
        for mut blocks in receive {
            let from = ticks.now();
            blocks.clear();
            samples.push(ticks.since(from) / BLOCKS as f64);
        }
        samples
    };
    Ok(seat::pair(cpus, make, drop_them)?.1)
}
