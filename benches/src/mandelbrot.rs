//! Rows of the Mandelbrot set, in order: heavy work, plain and in lane form.
//!
//! The lane form is plain Rust over arrays: 32 points at a time, whose steps are independent, so that a loop that is compiled
//! for a vector level does them in vectors. Both do the same operations on each point, and nothing contracts them, so the
//! pictures are the same to the bit.

use pipewright::{Level, pipeline};

/// Points of a side of the picture.
#[derive(Clone, Copy, Debug)]
pub struct Side(pub usize);

/// Most steps of a point.
const STEPS: u32 = 1000;
/// Points that the lane form has in flight.
const LANES: usize = 32;

/// How many steps each point of a row stays near.
pub type Row = Vec<u32>;

#[inline(always)]
fn place(at: usize, side: usize, from: f64, width: f64) -> f64 {
    from + width * (at as f64) / (side as f64)
}

/// One point after the other.
#[inline(always)]
pub fn plain_row(y: usize, side: usize) -> Row {
    let ci = place(y, side, -1.25, 2.5);
    (0..side)
        .map(|x| {
            let cr = place(x, side, -2.0, 2.5);
            let (mut zr, mut zi) = (0.0f64, 0.0f64);
            let mut steps = 0;
            while steps < STEPS {
                let (rr, ii) = (zr * zr, zi * zi);
                if rr + ii > 4.0 {
                    break;
                }
                zi = 2.0 * zr * zi + ci;
                zr = rr - ii + cr;
                steps += 1;
            }
            steps
        })
        .collect()
}

/// 32 points at a time. A point that has left goes on moving, and its steps are not counted.
#[inline(always)]
pub fn lane_row(y: usize, side: usize) -> Row {
    let ci = place(y, side, -1.25, 2.5);
    let mut row = Vec::with_capacity(side.next_multiple_of(LANES));
    for x in (0..side).step_by(LANES) {
        let cr: [f64; LANES] = std::array::from_fn(|k| place(x + k, side, -2.0, 2.5));
        row.extend_from_slice(&lanes(&cr, ci).map(|steps| steps as u32));
    }
    row.truncate(side);
    row
}

#[inline(always)]
fn lanes(cr: &[f64; LANES], ci: f64) -> [u64; LANES] {
    let (mut zr, mut zi) = ([0.0f64; LANES], [0.0f64; LANES]);
    let (mut steps, mut near) = ([0u64; LANES], [u64::MAX; LANES]);
    for _ in 0..STEPS {
        let mut any = 0;
        for k in 0..LANES {
            let (rr, ii) = (zr[k] * zr[k], zi[k] * zi[k]);
            // A sum that is no number belongs to a point that left before.
            near[k] &= if rr + ii <= 4.0 { u64::MAX } else { 0 };
            steps[k] += near[k] & 1;
            any |= near[k];
            zi[k] = 2.0 * zr[k] * zi[k] + ci;
            zr[k] = rr - ii + cr[k];
        }
        if any == 0 {
            break;
        }
    }
    steps
}

/// One point after the other.
#[pipeline(env = Side)]
pub mod plain {
    use super::*;

    /// The rows.
    #[source]
    pub fn rows(side: &Side) -> impl Iterator<Item = usize> + use<> {
        0..side.0
    }

    /// Computes one.
    #[stage(from = rows)]
    pub fn row(y: usize, side: &Side) -> Row {
        plain_row(y, side.0)
    }

    /// Puts them together.
    #[sink(from = row)]
    pub fn picture(row: Row, picture: &mut Vec<Row>) {
        picture.push(row);
    }
}

/// In lane form.
#[pipeline(env = Side)]
pub mod vector {
    use super::*;

    /// The rows.
    #[source]
    pub fn rows(side: &Side) -> impl Iterator<Item = usize> + use<> {
        0..side.0
    }

    /// Computes one.
    #[stage(from = rows, simd = [avx2, avx512])]
    pub fn row(y: usize, side: &Side) -> Row {
        lane_row(y, side.0)
    }

    /// Puts them together.
    #[sink(from = row)]
    pub fn picture(row: Row, picture: &mut Vec<Row>) {
        picture.push(row);
    }
}

/// The picture, by a loop.
pub fn by_hand(side: usize) -> Vec<Row> {
    (0..side).map(|y| plain_row(y, side)).collect()
}

/// The picture, by the plain pipeline.
///
/// # Panics
///
/// If the run fails, which it has no reason to.
pub fn run_plain(side: usize, workers: usize) -> Vec<Row> {
    let mut report = plain::pipeline()
        .workers(workers)
        .run(Side(side))
        .expect("nothing fails");
    report
        .take_state::<plain::picture>()
        .expect("the sink has a state")
}

/// The picture, by the pipeline in lane form, with the levels up to `most`.
///
/// # Panics
///
/// If the run fails, which it has no reason to.
pub fn run_vector(side: usize, workers: usize, most: Level) -> Vec<Row> {
    let mut report = vector::pipeline()
        .workers(workers)
        .simd_up_to(most)
        .run(Side(side))
        .expect("nothing fails");
    report
        .take_state::<vector::picture>()
        .expect("the sink has a state")
}
