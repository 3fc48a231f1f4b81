//! pipewright, as its users write it: the stages of the case, and the same in lane form.
//!
//! The lane form is plain Rust over arrays: 32 pixels whose steps do not depend on each other, so that a loop that is compiled
//! for a vector level does them in vectors. A pixel that has escaped goes on moving and is counted no more.

use pipewright::pipeline;

use super::{Picture, Row, Task};
use crate::harness::Contender;

/// Rows of an iterator, two stages that any worker runs, and a sink that sees the rows in order.
#[pipeline(env = Picture)]
pub mod rows {
    use super::*;

    #[source]
    pub fn indexes(env: &Picture) -> impl Iterator<Item = usize> {
        0..env.size
    }

    #[stage(from = indexes)]
    pub fn begin(index: usize, env: &Picture) -> Row {
        env.begin(index)
    }

    #[stage(from = begin)]
    pub fn go_on(row: Row, env: &Picture) -> Row {
        env.go_on(row)
    }

    #[sink(from = go_on)]
    pub fn paint(row: Row, env: &Picture, image: &mut Vec<u8>) {
        env.paint(image, &row);
    }
}

/// Pixels in flight.
const LANES: usize = 32;

/// Pixels of a row that are iterated together.
#[derive(Clone, Debug)]
pub struct Group {
    re: [f64; LANES],
    im: [f64; LANES],
    counts: [u64; LANES],
}

/// A row on its way, in lane form. The last group may reach over the row's end.
#[derive(Clone, Debug)]
pub struct LaneRow {
    index: usize,
    groups: Vec<Group>,
}

impl Picture {
    #[inline(always)]
    fn group_at(self, column: usize) -> [f64; LANES] {
        std::array::from_fn(|lane| self.x(column + lane))
    }

    #[inline(always)]
    fn begin_lanes(self, index: usize) -> LaneRow {
        let y = self.y(index);
        let unpainted = Group {
            re: [0.0; LANES],
            im: [y; LANES],
            counts: [0; LANES],
        };
        // A loop, because a closure that `collect` calls is compiled where `collect` is: for no level.
        let mut groups = vec![unpainted; self.size.div_ceil(LANES)];
        for (at, group) in groups.iter_mut().enumerate() {
            let cr = self.group_at(at * LANES);
            group.re = cr;
            iterate_lanes(&cr, y, group, [u64::MAX; LANES], self.first);
        }
        LaneRow { index, groups }
    }

    #[inline(always)]
    fn go_on_lanes(self, mut row: LaneRow) -> LaneRow {
        let y = self.y(row.index);
        let first = u64::from(self.first);
        for (at, group) in row.groups.iter_mut().enumerate() {
            let alive = group
                .counts
                .map(|count| if count == first { u64::MAX } else { 0 });
            let cr = self.group_at(at * LANES);
            iterate_lanes(&cr, y, group, alive, self.second);
        }
        row
    }
}

/// Iterates pixels up to `limit` times and counts for those that are `alive` (all bits set) until they escape.
#[inline(always)]
fn iterate_lanes(
    cr: &[f64; LANES],
    ci: f64,
    group: &mut Group,
    mut alive: [u64; LANES],
    limit: u32,
) {
    // Values of their own, which can live in registers.
    let Group {
        re: mut a,
        im: mut b,
        mut counts,
    } = group.clone();
    for _ in 0..limit {
        let mut any = 0;
        for lane in 0..LANES {
            let (a2, b2) = (a[lane] * a[lane], b[lane] * b[lane]);
            // A sum that is no number belongs to a pixel that escaped before.
            alive[lane] &= if a2 + b2 <= 4.0 { u64::MAX } else { 0 };
            // All bits set is -1.
            counts[lane] = counts[lane].wrapping_sub(alive[lane]);
            any |= alive[lane];
            b[lane] = 2.0 * a[lane] * b[lane] + ci;
            a[lane] = a2 - b2 + cr[lane];
        }
        if any == 0 {
            break;
        }
    }
    *group = Group {
        re: a,
        im: b,
        counts,
    };
}

/// The stages in lane form, compiled for vector levels.
#[pipeline(env = Picture)]
pub mod lanes {
    use super::*;

    #[source]
    pub fn indexes(env: &Picture) -> impl Iterator<Item = usize> {
        0..env.size
    }

    #[stage(from = indexes, simd = [avx2, avx512])]
    pub fn begin(index: usize, env: &Picture) -> LaneRow {
        env.begin_lanes(index)
    }

    #[stage(from = begin, simd = [avx2, avx512])]
    pub fn go_on(row: LaneRow, env: &Picture) -> LaneRow {
        env.go_on_lanes(row)
    }

    #[sink(from = go_on)]
    pub fn paint(row: LaneRow, env: &Picture, image: &mut Vec<u8>) {
        let counts = row.groups.iter().flat_map(|group| group.counts);
        let counts = counts.take(env.size).map(|count| count as u32).collect();
        let row = Row {
            index: row.index,
            points: Vec::new(),
            counts,
        };
        env.paint(image, &row);
    }
}

fn in_lanes(picture: Picture) -> Vec<u8> {
    let report = lanes::pipeline().workers(2).run(picture);
    let image = report.expect("nothing fails").take_state::<lanes::paint>();
    image.expect("the sink has a state")
}

fn ordered(picture: Picture) -> Vec<u8> {
    let report = rows::pipeline().workers(2).run(picture);
    let image = report.expect("nothing fails").take_state::<rows::paint>();
    image.expect("the sink has a state")
}

pub(super) fn contenders(task: &Task) -> Vec<Contender> {
    vec![
        Contender::ours("pipewright, 2 workers", task.work(ordered)),
        Contender::ours(
            "pipewright, lane stage with simd, 2 workers",
            task.work(in_lanes),
        ),
    ]
}
