//! `mpmc`: numbers from several producer threads to several consumer threads, 1024 at most between them; two of each, and
//! four of each (more threads than cores).

mod ours;
mod peers;

use std::thread;

use crate::harness::{Contender, Sample, Scale, threads::joined};

/// Items that may be on their way.
const CAPACITY: usize = 1024;
/// Items of a batch.
const BATCH: usize = 64;

/// Producers, and consumers, of the two measures.
const SIDES: [usize; 2] = [2, 4];

/// How many numbers, all producers together.
#[derive(Clone, Copy)]
struct Size {
    scale: Scale,
    items: u64,
}

impl Size {
    /// `run` sends the numbers below `items` by that many producers and gives the sum of what the consumers received.
    fn work(
        self,
        mut run: impl FnMut(usize, u64) -> u64 + 'static,
    ) -> impl FnMut() -> Result<Sample, String> + 'static {
        let sum = self.items * (self.items - 1) / 2;
        move || {
            let rates =
                SIDES.map(|sides| self.scale.rate(self.items, &sum, || run(sides, self.items)));
            let rates: Result<Vec<Sample>, String> = rates.into_iter().collect();
            Ok(rates?.concat())
        }
    }
}

/// The numbers of a producer.
fn part(items: u64, sides: usize, side: usize) -> std::ops::Range<u64> {
    let (side, sides) = (side as u64, sides as u64);
    items * side / sides..items * (side + 1) / sides
}

/// Runs `produce` with each producer's numbers and `consume` as often, on threads, and adds up what the consumers give.
fn run_all<P: FnOnce(std::ops::Range<u64>) + Send, C: FnOnce() -> u64 + Send>(
    items: u64,
    sides: usize,
    mut producer: impl FnMut() -> P,
    mut consumer: impl FnMut() -> C,
) -> u64 {
    let sides_of = (0..sides).map(|side| (producer(), consumer(), part(items, sides, side)));
    let all: Vec<_> = sides_of.collect();
    // What only makes ends for others is dropped, so that consumers see when the last producer has ended.
    drop((producer, consumer));
    thread::scope(|scope| {
        let start = |(produce, consume, numbers): (P, C, _)| {
            scope.spawn(move || produce(numbers));
            scope.spawn(consume)
        };
        let consumers: Vec<_> = all.into_iter().map(start).collect();
        consumers.into_iter().map(joined).sum()
    })
}

pub(crate) fn contenders(scale: Scale) -> Vec<Contender> {
    let size = Size {
        scale,
        items: scale.of(4_000_000, 8_000),
    };
    let mut all = ours::contenders(size);
    all.extend(peers::contenders(size));
    all
}
