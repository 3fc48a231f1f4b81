//! `heavy_pipeline`: the Mandelbrot set, row by row, in two heavy stages, rows in order. A token costs about 4 ms.
//!
//! The work and its cut into stages are those of RustStreamBench's micro-benchmark: the first stage iterates every pixel of
//! a row up to 3000 times, the second one goes on with those that have not escaped, up to 2000 times more.

mod hand;
mod ours;
mod peers;

use crate::harness::{Contender, Scale};

/// How large the picture is, and how often a pixel is iterated by each stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    size: usize,
    first: u32,
    second: u32,
}

/// A row on its way.
#[derive(Clone, Debug)]
pub struct Row {
    index: usize,
    points: Vec<(f64, f64)>,
    counts: Vec<u32>,
}

impl Picture {
    const LEFT: f64 = -2.125;
    const TOP: f64 = -1.5;

    fn step(self) -> f64 {
        3.0 / self.size as f64
    }

    fn y(self, row: usize) -> f64 {
        Self::TOP + self.step() * row as f64
    }

    fn x(self, column: usize) -> f64 {
        Self::LEFT + self.step() * column as f64
    }

    /// The first stage: all pixels of a row.
    #[inline]
    fn begin(self, index: usize) -> Row {
        let y = self.y(index);
        let iterated = (0..self.size).map(|column| {
            let x = self.x(column);
            iterate((x, y), (x, y), self.first)
        });
        let (points, counts) = iterated.unzip();
        Row {
            index,
            points,
            counts,
        }
    }

    /// The second stage: the pixels that have not escaped.
    #[inline]
    fn go_on(self, mut row: Row) -> Row {
        let y = self.y(row.index);
        for (column, (point, count)) in row.points.iter_mut().zip(&mut row.counts).enumerate() {
            if *count == self.first {
                let (after, more) = iterate((self.x(column), y), *point, self.second);
                *point = after;
                *count += more;
            }
        }
        row
    }

    /// What a pixel's iterations look like.
    #[inline]
    fn colour(self, count: u32) -> u8 {
        (255 - count * 255 / (self.first + self.second)) as u8
    }

    /// The sink: rows have to come in order.
    #[inline]
    fn paint(self, image: &mut Vec<u8>, row: &Row) {
        assert_eq!(row.index * self.size, image.len(), "rows come in order");
        image.extend(row.counts.iter().map(|count| self.colour(*count)));
    }

    /// Everything on one thread.
    fn sequential(self) -> Vec<u8> {
        let mut image = Vec::with_capacity(self.size * self.size);
        (0..self.size).for_each(|index| self.paint(&mut image, &self.go_on(self.begin(index))));
        image
    }
}

/// Iterates a point of the plane until it escapes, and tells how often.
#[inline]
fn iterate(c: (f64, f64), (mut a, mut b): (f64, f64), limit: u32) -> ((f64, f64), u32) {
    let mut count = 0;
    while count < limit {
        let (a2, b2) = (a * a, b * b);
        if a2 + b2 > 4.0 {
            break;
        }
        b = 2.0 * a * b + c.1;
        a = a2 - b2 + c.0;
        count += 1;
    }
    ((a, b), count)
}

/// A picture, and what it has to look like.
#[derive(Clone)]
struct Task {
    scale: Scale,
    picture: Picture,
    expected: std::sync::Arc<Vec<u8>>,
}

impl Task {
    fn work(
        &self,
        mut run: impl FnMut(Picture) -> Vec<u8> + 'static,
    ) -> impl FnMut() -> Result<Vec<f64>, String> + 'static {
        let Self {
            scale,
            picture,
            expected,
        } = self.clone();
        move || scale.time(&*expected, || run(std::hint::black_box(picture)))
    }
}

pub(crate) fn contenders(scale: Scale) -> Vec<Contender> {
    let full = Picture {
        size: 1024,
        first: 3000,
        second: 2000,
    };
    let quick = Picture {
        size: 64,
        first: 30,
        second: 20,
    };
    let picture = scale.of(full, quick);
    let task = Task {
        scale,
        picture,
        expected: picture.sequential().into(),
    };
    let mut all = ours::contenders(&task);
    all.extend(hand::contenders(&task));
    all.extend(peers::contenders(&task));
    all
}
