//! Trial: a pipeline that `cargo xtask bench` measures.
//!
//! The binary says how the pipeline is started, how an item comes in and where it leaves. How fast it goes, how long items wait under
//! which load, where it breaks and what limits it is the same for everybody:
//!
//! ```text
//! cargo xtask bench run --trials pipewright-examples/measured
//! cargo xtask bench capacity latency/words --trials pipewright-examples/measured
//! ```

#![forbid(unsafe_code)]

use std::process::ExitCode;

use pipewright::{Running, pipeline};
use pipewright_bench::{
    protocol::Request,
    random::Random,
    trial::{About, Probe, Stage, Stamp, Stamped, Subject, Trials},
};

/// A line of text on its way. The stamp travels with it.
#[derive(Debug)]
pub struct Line {
    stamp: Stamp,
    text: &'static str,
    words: u64,
}

impl Stamped for Line {
    fn stamp(&mut self) -> &mut Stamp {
        &mut self.stamp
    }
}

/// Counts words, and adds them up.
#[pipeline(env = Probe)]
pub mod words {
    use super::*;

    /// What is worth a row of its own in results is done in `probe.stage`, with the stage's place in `STAGES`.
    #[stage(from = input, queue = "4Ki")]
    pub fn count(mut line: Line, probe: &Probe) -> Line {
        probe.stage(0, &mut line, |line| {
            line.words = line.text.split_whitespace().count() as u64;
        });
        line
    }

    /// Here lines leave: `probe.done` takes their time.
    #[sink(from = count)]
    pub fn add(mut line: Line, probe: &Probe, sum: &mut u64) {
        probe.stage(1, &mut line, |line| *sum += line.words);
        probe.result(line.words);
        probe.done(&line.stamp);
    }
}

/// The pipeline while it runs, and who makes its items.
struct Words {
    run: Running<words::Pipeline>,
    random: Random,
}

const LINES: [&str; 3] = [
    "the quick brown fox",
    "jumps over",
    "the lazy dog and all of its many friends",
];

impl Subject for Words {
    type Item = Line;
    // `add` has one state, so one line at a time is in it.
    const STAGES: &'static [Stage] = &[Stage::free("count"), Stage::at_once("add", 1)];

    fn start(request: &Request, probe: Probe) -> Result<Self, String> {
        let pipeline = words::pipeline().workers(request.workers.unwrap_or(1));
        let run = pipeline.start(probe).map_err(|error| error.to_string())?;
        Ok(Self {
            run,
            random: Random(request.seed),
        })
    }

    fn item(&mut self, stamp: Stamp) -> Line {
        let drawn = self.random.next_u64() % LINES.len() as u64;
        Line {
            stamp,
            text: LINES[drawn as usize],
            words: 0,
        }
    }

    fn try_send(&mut self, line: Line) -> bool {
        self.run.try_send(line).is_ok()
    }

    fn send(&mut self, lines: &mut Vec<Line>) -> Result<(), String> {
        let sent = self.run.send_batch(lines);
        sent.map_err(|error| error.to_string())
    }

    fn finish(self) -> Result<(), String> {
        let ended = self.run.drain();
        ended.map(|_| ()).map_err(|error| error.to_string())
    }
}

fn main() -> ExitCode {
    let about = About::of("counts the words of lines");
    Trials::new(None).subject::<Words>("words", about).main()
}
