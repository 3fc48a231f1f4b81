//! The measurements, a file for each.

use std::time::{Duration, Instant};

use pipewright::machine::Machine;

use super::{
    clock::Ticks,
    result::{Measurement, Outcome},
    seat::Why,
};

mod allocator;
mod bandwidth;
mod canary;
mod faults;
mod frequency;
mod handoff;
mod jitter;
mod latency;
mod pages;
mod skew;
mod sleep;
mod smt;
mod spawn;
mod syscalls;
mod timer;
mod told;
mod wake;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// What reading a clock costs.
    Timer,
    /// By how much the counters of cpus differ.
    Skew,
    /// How long a thread that never sleeps is kept from running.
    Jitter,
    /// By how much a timed sleep takes too long.
    Sleep,
    /// From waking a thread until it runs.
    Wake,
    /// What a call into the kernel costs.
    Syscalls,
    /// What handing a line of memory to another cpu takes.
    Handoff,
    /// What an access to memory takes, by size.
    Latency,
    /// How much is read and written in a second.
    Bandwidth,
    /// Cycles in a second.
    Frequency,
    /// Whether cpus are threads of one core that do not say so.
    Smt,
    /// What memory costs that is taken and given back.
    Allocator,
    /// What touching memory for the first time costs.
    Faults,
    /// How much the same work varies.
    Canary,
    /// From starting a thread until it runs.
    Spawn,
}

/// All kinds, in the order in which they are measured.
pub const ALL: [Kind; 15] = [
    Kind::Timer,
    Kind::Skew,
    Kind::Jitter,
    Kind::Sleep,
    Kind::Wake,
    Kind::Syscalls,
    Kind::Handoff,
    Kind::Latency,
    Kind::Bandwidth,
    Kind::Frequency,
    Kind::Smt,
    Kind::Allocator,
    Kind::Faults,
    Kind::Canary,
    Kind::Spawn,
];

struct Entry {
    id: &'static str,
    title: &'static str,
    /// Seconds of the twelve of a short probe.
    weight: f64,
    take: fn(&Context, Duration, &mut Measurement) -> Result<(), Why>,
}

impl Kind {
    /// Such as `A7`.
    pub fn id(self) -> &'static str {
        self.entry().id
    }

    /// What it is, in some words.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// What is measured, and how, in a sentence.
    pub fn how(self) -> &'static str {
        match self {
            Kind::Timer => {
                "what a call of each clock takes, in batches of 1,000, and the smallest step between two readings"
            }
            Kind::Skew => {
                "two pinned threads send each other stamps of their counters: the shortest ways are alike, so what is left is the difference"
            }
            Kind::Jitter => {
                "a pinned thread reads the counter in a loop, alone and with all cpus busy: where two readings are more than 500 ns apart, something else ran"
            }
            Kind::Sleep => {
                "how late a thread wakes that sleeps until a time, each 200 us and each millisecond, with the timer slack as it is and with the least"
            }
            Kind::Wake => {
                "two threads wake each other in turn by futex, park and eventfd, near, far and on one cpu: half a round"
            }
            Kind::Syscalls => {
                "the cheapest calls, in batches of 100: the way in and out, a yield, a wake of nobody, a barrier on all cpus"
            }
            Kind::Handoff => {
                "two pinned threads change one word in turn, alone in its 128 bytes: the least of many round trips, one way"
            }
            Kind::Latency => {
                "each 64 bytes tell where the next are, in random order: what a step takes, by how much memory is used and with which pages"
            }
            Kind::Bandwidth => {
                "the triad and a copy of STREAM in memory larger than all caches, by one cpu and by all at once"
            }
            Kind::Frequency => {
                "a chain of steps of two cycles each, against the counter, by one cpu and by all at once"
            }
            Kind::Smt => {
                "chains that fill a core, on one cpu of a pair and then on both: threads of one core slow each other by more than a quarter"
            }
            Kind::Allocator => {
                "memory by size, taken and given back at once, and given back by another cpu"
            }
            Kind::Faults => {
                "a byte of each page of fresh memory is written, in pages of 4 KiB and 2 MiB"
            }
            Kind::Canary => {
                "the same work again and again: by how much it varies and drifts, and the smallest difference that comparisons show"
            }
            Kind::Spawn => "from starting a thread until it runs, is pinned, and was joined",
        }
    }

    /// The kind of this id, in any case.
    pub fn named(id: &str) -> Option<Kind> {
        ALL.into_iter()
            .find(|kind| kind.id().eq_ignore_ascii_case(id))
    }

    pub(super) fn weight(self) -> f64 {
        self.entry().weight
    }

    fn entry(self) -> Entry {
        let entry = |id, title, weight, take| Entry {
            id,
            title,
            weight,
            take,
        };
        match self {
            Kind::Timer => entry("A1", "reading a clock", 0.6, timer::take),
            Kind::Skew => entry("A2", "counters of cpus against each other", 0.3, skew::take),
            Kind::Jitter => entry(
                "A3",
                "jitter: gaps in a thread that never sleeps",
                2.6,
                jitter::take,
            ),
            Kind::Sleep => entry(
                "A4",
                "timed sleep: by how much it is late",
                1.0,
                sleep::take,
            ),
            Kind::Wake => entry("A5", "waking a thread, one way", 1.3, wake::take),
            Kind::Syscalls => entry("A6", "calls into the kernel", 0.3, syscalls::take),
            Kind::Handoff => entry("A7", "from cpu to cpu", 0.8, handoff::take),
            Kind::Latency => entry("A8", "an access to memory", 1.4, latency::take),
            Kind::Bandwidth => entry("A9", "memory bandwidth", 0.8, bandwidth::take),
            Kind::Frequency => entry("A10", "frequency", 0.6, frequency::take),
            Kind::Smt => entry("A11", "cpus that share a core", 0.4, smt::take),
            Kind::Allocator => entry("A12", "allocator", 0.4, allocator::take),
            Kind::Faults => entry(
                "A13",
                "touching memory for the first time",
                0.3,
                faults::take,
            ),
            Kind::Canary => entry("A14", "the same work again and again", 1.0, canary::take),
            Kind::Spawn => entry("A15", "starting a thread", 0.2, spawn::take),
        }
    }
}

/// What all measurements know.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) cpus: Vec<u32>,
    pub(super) machine: Machine,
    pub(super) ticks: Ticks,
}

impl Context {
    fn first(&self) -> Result<u32, Why> {
        self.cpus
            .first()
            .copied()
            .ok_or_else(|| "there is no cpu".to_owned())
    }

    /// All pairs of two cpus, the lower one first.
    fn pairs(&self) -> Result<Vec<(u32, u32)>, Why> {
        let after = |(index, a): (usize, &u32)| {
            let a = *a;
            self.cpus[index + 1..].iter().map(move |b| (a, *b))
        };
        let pairs: Vec<_> = self.cpus.iter().enumerate().flat_map(after).collect();
        if pairs.is_empty() {
            Err("it takes two cpus".to_owned())
        } else {
            Ok(pairs)
        }
    }
}

/// Takes a measurement that should last about so long; what it cannot have is its outcome.
pub(super) fn take(kind: Kind, context: &Context, about: Duration) -> Measurement {
    let Entry {
        id, title, take, ..
    } = kind.entry();
    let mut measurement = Measurement::new(id, title);
    if let Err(why) = take(context, about, &mut measurement) {
        measurement = Measurement::new(id, title);
        measurement.outcome = Outcome::Skipped(why);
    }
    measurement
}

/// What one call costs, in nanoseconds, as the samples of `batch` calls each, until the time is over.
fn cost<R>(ticks: &Ticks, batch: u32, until: Duration, mut call: impl FnMut() -> R) -> Vec<f64> {
    const MOST: usize = 20_000;
    let began = Instant::now();
    let mut samples = Vec::with_capacity(MOST);
    while samples.len() < MOST && (samples.len() < 20 || began.elapsed() < until) {
        let from = ticks.now();
        for _ in 0..batch {
            std::hint::black_box(call());
        }
        samples.push(ticks.since(from) / f64::from(batch));
    }
    samples
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_an_id_by_which_it_is_found() {
        let ids: HashSet<&str> = ALL.into_iter().map(Kind::id).collect();
        assert_eq!(ids.len(), ALL.len());
        for kind in ALL {
            assert_eq!(Kind::named(&kind.id().to_lowercase()), Some(kind));
        }
        assert_eq!(Kind::named("A16"), None);
    }

    #[test]
    fn what_needs_two_cpus_is_skipped_on_one_with_the_reason() {
        let machine = Machine::simulate("1x1").expect("a machine");
        let context = Context {
            cpus: vec![0],
            machine,
            ticks: Ticks::new(),
        };
        for kind in [Kind::Skew, Kind::Handoff, Kind::Smt] {
            let measurement = take(kind, &context, Duration::ZERO);
            assert_eq!(
                measurement.outcome,
                Outcome::Skipped("it takes two cpus".into()),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_cpu_on_which_no_thread_can_run_is_a_skip() {
        let machine = Machine::simulate("1x1").expect("a machine");
        let context = Context {
            cpus: vec![1_000_000],
            machine,
            ticks: Ticks::new(),
        };
        let measurement = take(Kind::Timer, &context, Duration::ZERO);
        let expect = "cpu 1000000 is beyond those that threads can be pinned to";
        assert_eq!(measurement.outcome, Outcome::Skipped(expect.into()));
    }
}
