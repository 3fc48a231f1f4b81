//! How a random pipeline is run: with threads, or dry.

use pipewright::Priority;
use pipewright_tests::shapes::generate::Dice;

use crate::{
    check::Outcome,
    env::Env,
    item::{Item, Trace},
};

/// How a run is made.
#[derive(Clone, Debug)]
pub struct How {
    /// So many workers.
    pub workers: usize,
    /// Is it parallel from the beginning, and are its batches divided whenever they can be?
    pub divided: bool,
    /// A tuning file.
    pub tuning: String,
    /// Threads that push, for pipelines with an input.
    pub senders: Vec<Sender>,
}

/// A thread that pushes.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Its number.
    pub id: u64,
    /// Items that it pushes.
    pub items: u64,
    /// Decides how it pushes them.
    pub seed: u64,
}

/// A compiled pipeline.
pub trait Subject {
    /// Runs it on threads, to its end.
    fn run(&self, env: &Env, how: &How) -> Result<Outcome, String>;
    /// Runs it on this thread.
    fn dry(&self, env: &Env, how: &How) -> Result<Outcome, String>;
}

/// What was pushed by one sender: items by lane.
type Lanes = [u64; LANES.len()];

const LANES: [Priority; 4] = [
    Priority::Normal,
    Priority::Critical,
    Priority::High,
    Priority::Low,
];

impl Sender {
    /// The streams of its lanes.
    fn stream(&self, lane: usize) -> u64 {
        1000 + 4 * self.id + lane as u64
    }

    /// What it pushes: the lane and the length of each call, and which call.
    fn calls(&self) -> Vec<(usize, u64, usize)> {
        let mut dice = Dice::new(self.seed);
        let (mut left, mut calls) = (self.items, Vec::new());
        while left > 0 {
            let (lane, most, call) = match dice.below(5) {
                0 => (dice.below(LANES.len()), 1, 0),
                1 => (0, 1, 1),
                2 => (0, 1 + dice.roll() % 300, 2),
                3 => (0, 1 + dice.roll() % 50, 3),
                _ => (dice.below(LANES.len()), 1, 0),
            };
            let items = most.min(left);
            left -= items;
            calls.push((lane, items, call));
        }
        calls
    }

    /// All that it pushes, in its order.
    pub fn pushes(&self) -> Vec<Trace> {
        let mut next = Lanes::default();
        let mut traces = Vec::new();
        for (lane, items, _) in self.calls() {
            traces.extend((0..items).map(|n| Trace::root(self.stream(lane), next[lane] + n)));
            next[lane] += items;
        }
        traces
    }

    /// Pushes all.
    pub fn push(&self, env: &Env, input: &pipewright::Input<Item>) -> Result<(), String> {
        let mut next = Lanes::default();
        for (lane, items, call) in self.calls() {
            let first = next[lane];
            next[lane] += items;
            let mut made = (0..items).map(|n| env.item(self.stream(lane), first + n));
            match call {
                0 => made
                    .try_for_each(|item| input.send_at(LANES[lane], item))
                    .map_err(|e| e.to_string())?,
                1 => made
                    .try_for_each(|item| input.send(item))
                    .map_err(|e| e.to_string())?,
                2 => input
                    .send_batch(&mut made.collect())
                    .map_err(|e| e.to_string())?,
                _ => {
                    let sent = input.send_all(made).map_err(|e| e.to_string())?;
                    if sent != items {
                        return Err(format!("`send_all` sent {sent} of {items}"));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Pushes what all senders push, each on a thread of its own.
pub fn push_all(env: &Env, how: &How, input: &pipewright::Input<Item>) -> Result<(), String> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = how
            .senders
            .iter()
            .map(|sender| scope.spawn(|| sender.push(env, input)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a sender panicked".to_owned())?)
    })
}

/// What a source is given for, when it is not called itself.
pub trait FromRoot {
    /// Number `n` of a source.
    fn from_root(env: &Env, source: usize, n: u64) -> Self;
}

impl FromRoot for Item {
    fn from_root(env: &Env, source: usize, n: u64) -> Self {
        env.item(source as u64, n)
    }
}

impl FromRoot for u64 {
    fn from_root(_: &Env, _: usize, n: u64) -> Self {
        n
    }
}

/// Drives the pipeline in a module.
macro_rules! drive {
    ($name:ident, $p:ident, $input:ident, sources [$($source:literal = $s:ident),*], states [$($state:literal = $t:ident),*]) => {
        /// The pipeline of the module.
        #[derive(Debug)]
        pub struct $name;

        impl Subject for $name {
            fn run(&self, env: &Env, how: &How) -> Result<Outcome, String> {
                let builder = $p::pipeline().workers(how.workers);
                let builder = builder.tuning("random.tuning.ron", &how.tuning).map_err(|e| e.to_string())?;
                let builder = if how.divided { builder.in_parallel().always_divide() } else { builder };
                let run = builder.start(env.clone()).map_err(|e| e.to_string())?;
                let ended = drive!(@end $input, run, env, how, [$($source = $p::$s),*]);
                let mut report = ended.map_err(|failed| format!("{failed}\n{}", failed.report))?;
                let states = vec![$(($state, report.take_state::<$p::$t>().map(|tally| tally.count))),*];
                Ok(Outcome { stages: report.metrics().stages().to_vec(), ledger: report.ledger(), states })
            }

            fn dry(&self, env: &Env, how: &How) -> Result<Outcome, String> {
                let builder = $p::pipeline().tuning("random.tuning.ron", &how.tuning).map_err(|e| e.to_string())?;
                let mut run = builder.dry_run(env.clone());
                $(
                    run.feed_from::<$p::$s>((0..env.count($source)).map(|n| FromRoot::from_root(env, $source, n)));
                )*
                drive!(@feed $input, run, env, how);
                let mut report = run.drain().map_err(|failed| format!("{failed}\n{}", failed.report))?;
                let states = vec![$(($state, report.take_state::<$p::$t>().map(|tally| tally.count))),*];
                Ok(Outcome { stages: report.metrics().stages().to_vec(), ledger: report.ledger(), states })
            }
        }
    };
    (@end alone, $run:ident, $env:ident, $how:ident, [$($sources:tt)*]) => { $run.wait() };
    (@end pushed, $run:ident, $env:ident, $how:ident, [$($source:literal = $s:path),*]) => {{
        push_all($env, $how, &$run.input())?;
        // A drain reads no further, so the sources have to be at their end.
        $(
            while $run.metrics().stage::<$s>().received < $env.count($source) && !$run.is_finished() {
                std::thread::yield_now();
            }
        )*
        $run.drain()
    }};
    (@feed alone, $run:ident, $env:ident, $how:ident) => {};
    (@feed pushed, $run:ident, $env:ident, $how:ident) => {
        for sender in &$how.senders {
            $run.feed_input(sender.pushes().iter().map(|trace| $env.item(trace.stream, trace.root)));
        }
    };
}
pub(crate) use drive;
