//! The child of the test with signals: numbers from an endless source go to a file, through a stage that fails now and then, until
//! it is asked to end.
//!
//! `terminated_child FOLDER [MODE]` writes `out.txt` and `letters.txt`, and says at the end `received dropped`. With a mode it asks itself to end
//! at a moment of that kind: `half_open`, `retry`, `linger`, `in_flight`. With `pipe`, the numbers go to standard output instead.

#![forbid(unsafe_code)]

use std::{
    error::Error,
    fmt,
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pipewright::{Batch, Classify, DeadLetter, Emit, Flow, Report, Signals, pipeline};
use pipewright_tests::turns;
use rustix::process::{Signal, getpid, kill_process};

/// What is on its way may take so long to get to its end.
const DRAIN: Duration = Duration::from_secs(20);
/// Whom is called is down for the last 12 of so many calls.
const DOWN: u64 = 150;

/// When the process asks itself to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Never.
    None,
    /// In a call that the breaker admits as a probe.
    HalfOpen,
    /// When an item waits for another try.
    Retry,
    /// When items wait for their batch to fill.
    Linger,
    /// When futures are under way.
    InFlight,
}

/// What the run works on.
#[derive(Debug)]
pub struct Env {
    folder: PathBuf,
    moment: Moment,
    to_pipe: bool,
    calls: AtomicU64,
    asked: AtomicU64,
    last_call: Mutex<Option<Instant>>,
}

impl Env {
    fn open(&self, name: &str) -> io::Result<Output> {
        let path = self.folder.join(name);
        Ok(match self.to_pipe {
            true => Output::Pipe(io::stdout()),
            false => Output::File(BufWriter::new(File::create(path)?)),
        })
    }

    /// The moment has come for the first time, or again.
    fn ask_to_end(&self) {
        if self.asked.fetch_add(1, Relaxed) == 0 {
            // It fails for processes of others only.
            let _ = kill_process(getpid(), Signal::TERM);
        }
    }

    fn call(&self, n: u64) -> Result<u64, Down> {
        let call = self.calls.fetch_add(1, Relaxed);
        if self.moment == Moment::HalfOpen {
            let mut last = self
                .last_call
                .lock()
                .unwrap_or_else(|lock| lock.into_inner());
            // Nobody calls for so long unless the breaker is open.
            let is_probe = last.is_some_and(|last| last.elapsed() > Duration::from_millis(8));
            *last = Some(Instant::now());
            if is_probe && call > 1_000 {
                self.ask_to_end();
            }
        }
        if self.moment == Moment::Linger && call == 1_000 {
            self.ask_to_end();
        }
        if n.is_multiple_of(61) {
            return Err(Down(n, pipewright::ErrorClass::Item));
        }
        if call % DOWN >= DOWN - 12 {
            if self.moment == Moment::Retry && call > 1_000 {
                self.ask_to_end();
            }
            return Err(Down(n, pipewright::ErrorClass::Dependency));
        }
        Ok(n)
    }
}

/// Where a sink writes.
#[derive(Debug)]
pub enum Output {
    /// A file of the folder.
    File(BufWriter<File>),
    /// Standard output.
    Pipe(io::Stdout),
}

impl Output {
    fn line(&mut self, n: u64) -> io::Result<()> {
        match self {
            Self::File(file) => writeln!(file, "{n}"),
            Self::Pipe(pipe) => writeln!(pipe, "{n}").and_then(|()| pipe.flush()),
        }
    }
}

/// A call failed.
#[derive(Debug)]
pub struct Down(u64, pipewright::ErrorClass);

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer for {}", self.0)
    }
}

impl Classify for Down {
    fn class(&self) -> pipewright::ErrorClass {
        self.1
    }
}

/// Numbers, of which one in 53 is left out.
#[pipeline(env = Env, pool(workers = 2))]
pub mod served {
    use super::*;

    fn out(env: &Env) -> io::Result<Output> {
        env.open("out.txt")
    }

    fn refused(env: &Env) -> io::Result<Output> {
        env.open("letters.txt")
    }

    /// Endless.
    #[source(batch = 32)]
    pub fn numbers(next: &mut u64, out: &mut Emit<u64>) -> Flow {
        out.send(*next);
        *next += 1;
        Flow::More
    }

    /// Leaves some out.
    #[stage(from = numbers)]
    pub fn enter(n: u64) -> Option<u64> {
        (!n.is_multiple_of(53)).then_some(n)
    }

    /// Waits for some turns, and for many now and then.
    #[stage(from = enter, in_flight = 16)]
    pub async fn look_up(n: u64, env: &Env) -> u64 {
        let is_long = n.is_multiple_of(97);
        if is_long && n > 1_000 && env.moment == Moment::InFlight {
            env.ask_to_end();
        }
        turns(if is_long { 500 } else { n % 3 }).await;
        n
    }

    /// Fails now and then.
    #[stage(from = look_up, rate = "200k/s", retry(max = 3, backoff = "500us"), breaker(
        window = 20, min_items = 10, failure_pct = 40, open = "10ms", open_max = "10ms", probes = 3, ramp = "1ms"
    ))]
    pub fn ask(n: u64, env: &Env) -> Result<u64, Down> {
        env.call(n)
    }

    /// Waits for many.
    #[stage(from = ask, batch = 16, linger = "1ms")]
    pub fn pack(_: &mut Batch<u64>) {}

    /// Takes what was answered.
    #[sink(from = pack, state = out, on_error = stop)]
    pub fn store(n: u64, out: &mut Output) -> Result<(), io::Error> {
        out.line(n)
    }

    /// Takes what was not.
    #[sink(from = ask::Err, state = refused, on_error = stop)]
    pub fn keep(letter: DeadLetter<Down, u64>, out: &mut Output) -> Result<(), io::Error> {
        out.line(letter.item)
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let signals = Signals::listen()?;
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("usage: terminated_child FOLDER [MODE]")?;
    let mode = args.next().unwrap_or_default();
    let env = Env {
        folder: folder.into(),
        moment: match &*mode {
            "half_open" => Moment::HalfOpen,
            "retry" => Moment::Retry,
            "linger" => Moment::Linger,
            "in_flight" => Moment::InFlight,
            _ => Moment::None,
        },
        to_pipe: mode == "pipe",
        calls: AtomicU64::new(0),
        asked: AtomicU64::new(0),
        last_call: Mutex::default(),
    };
    let builder = served::pipeline().in_parallel();
    let builder = match &*mode {
        // Far more than comes until then.
        "linger" => builder.tuning(
            "linger",
            r#"(stages: { "pack": (batch: 60000, linger: "60min") })"#,
        )?,
        _ => builder,
    };
    let ended = builder.start(env)?.wait_for(&signals, DRAIN);
    let (mut report, code) = match ended {
        Ok(report) => (report, ExitCode::SUCCESS),
        Err(failed) => {
            eprintln!("error: {failed}");
            let code = failed.exit_code();
            (failed.report, code)
        }
    };
    if mode != "pipe" {
        flush(&mut report)?;
        let ledger = report.ledger();
        println!("{} {}", ledger.received, ledger.dropped);
    }
    match report.ledger().is_balanced() {
        true => Ok(code),
        false => Err(format!("{report}").into()),
    }
}

fn flush(report: &mut Report<served::Pipeline>) -> io::Result<()> {
    let outputs = [
        report.take_state::<served::store>(),
        report.take_state::<served::keep>(),
    ];
    for output in outputs.into_iter().flatten() {
        if let Output::File(mut file) = output {
            file.flush()?;
        }
    }
    Ok(())
}
