//! Processes that are asked to end at any moment: they end in time, each item they took in is there once or accounted for, and in
//! order.
//!
//! A tenth of the processes by default, all of them with `PIPEWRIGHT_FULL=1`; `PIPEWRIGHT_SEED` repeats their moments.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use pipewright_tests::{
    faults,
    oracle::{Case, Random},
};
use rustix::process::{Pid, Signal, kill_process};

/// The time that a service has between the signal and its end.
const GRACE: Duration = Duration::from_secs(25);

fn start(folder: &Path, mode: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_terminated_child"));
    command.arg(folder).arg(mode);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn kill(child: &Child, signal: Signal) {
    let id = Pid::from_raw(child.id() as i32).unwrap();
    // It may have ended by itself.
    let _ = kill_process(id, signal);
}

/// Waits until the process handles signals.
fn ready(child: &mut Child) {
    let status = format!("/proc/{}/status", child.id());
    let handles = || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_some_and(|mask| mask >> (Signal::TERM.as_raw() - 1) & 1 == 1)
    };
    while child.try_wait().unwrap().is_none() && !handles() {
        thread::yield_now();
    }
}

fn pause(random: &mut Random, most_us: u64) {
    let until = Instant::now() + Duration::from_micros(random.below(most_us));
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}

/// The end of a process, in time. What it says fits into the pipes.
fn ended(mut child: Child, asked: Instant) -> Output {
    while child.try_wait().unwrap().is_none() {
        if asked.elapsed() >= GRACE {
            child.kill().unwrap();
            panic!("it does not end: {:?}", child.wait_with_output());
        }
        thread::park_timeout(Duration::from_micros(200));
    }
    child.wait_with_output().unwrap()
}

fn numbers(folder: &Path, name: &str) -> Vec<u64> {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line is torn"
    );
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// Each number that was received is in one place, in order, unless it was dropped and counted; how many were received, became
/// letters, and were dropped.
fn check(folder: &Path, output: &Output) -> [u64; 3] {
    let text = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    let mut said = text
        .split_whitespace()
        .map(|number| number.parse::<u64>().unwrap());
    let (received, dropped) = (said.next().expect(&error), said.next().expect(&error));
    let (out, letters) = (numbers(folder, "out.txt"), numbers(folder, "letters.txt"));
    assert!(out.is_sorted_by(|a, b| a < b), "out of order, or twice");
    let mut all: Vec<u64> = (0..received).step_by(53).collect();
    let filtered = all.len();
    all.extend(out.iter().chain(&letters));
    all.sort_unstable();
    let twice = all.windows(2).filter(|two| two[0] == two[1]).count();
    assert_eq!(twice, 0, "{error}");
    // What a filter would have left out may have been dropped before it.
    let missing = received - all.len() as u64;
    assert!(
        missing <= dropped && dropped <= missing + filtered as u64,
        "{missing} lost, {dropped} dropped"
    );
    [received, letters.len() as u64, dropped]
}

#[derive(Debug, Default)]
struct Sum {
    processes: u64,
    received: u64,
    letters: u64,
    dropped: u64,
    longest: Duration,
}

impl Sum {
    fn add(&mut self, [received, letters, dropped]: [u64; 3], asked: Instant) {
        self.processes += 1;
        self.received += received;
        self.letters += letters;
        self.dropped += dropped;
        self.longest = self.longest.max(asked.elapsed());
    }
}

#[test]
fn c11_a_process_that_is_asked_to_end_at_any_moment_loses_nothing_and_repeats_nothing() {
    let case = Case::begin("C11");
    let (mut random, mut sum) = (case.random(), Sum::default());
    let folder = tempfile::tempdir().unwrap();
    for process in 0..faults(500) {
        // Every fifth at a moment that it chooses, the others at any.
        let mode = match process % 5 {
            0 => random.one_of(&["half_open", "retry", "linger", "in_flight"]),
            _ => "plain",
        };
        let mut child = start(folder.path(), mode);
        let mut asked = Instant::now();
        if mode == "plain" {
            ready(&mut child);
            pause(&mut random, 60_000);
            asked = Instant::now();
            kill(&child, random.one_of(&[Signal::TERM, Signal::INT]));
        }
        let output = ended(child, asked);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let counts = check(folder.path(), &output);
        assert_eq!(counts[2], 0, "dropped without need");
        sum.add(counts, asked);
    }
    println!("C11: 0 lost, 0 twice, {sum:?}");
    drop(folder);
    case.end();
}

#[test]
fn c11_a_second_signal_ends_it_at_once_and_what_is_dropped_is_counted() {
    let case = Case::begin("C11, two signals");
    let (mut random, mut sum) = (case.random(), Sum::default());
    let folder = tempfile::tempdir().unwrap();
    let mut at_once = 0;
    for _ in 0..faults(100) {
        let mut child = start(folder.path(), "plain");
        ready(&mut child);
        pause(&mut random, 60_000);
        let asked = Instant::now();
        kill(&child, Signal::TERM);
        pause(&mut random, 2_000);
        kill(&child, random.one_of(&[Signal::TERM, Signal::INT]));
        let output = ended(child, asked);
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 4)), "{output:?}");
        let counts = check(folder.path(), &output);
        assert!(code == Some(4) || counts[2] == 0, "{output:?}");
        at_once += u64::from(code == Some(4));
        sum.add(counts, asked);
    }
    println!("C11, two signals: {at_once} at once, 0 lost, 0 twice, {sum:?}");
    drop(folder);
    case.end();
}

#[test]
fn c11_a_reader_that_goes_away_is_an_error_of_the_sink_and_no_end_by_a_signal() {
    let case = Case::begin("C11, SIGPIPE");
    let mut random = case.random();
    let folder = tempfile::tempdir().unwrap();
    let processes = faults(20);
    for _ in 0..processes {
        let mut child = start(folder.path(), "pipe");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.by_ref().take(random.below(3_000) as usize + 1);
        let numbers: Vec<u64> = first.map(|line| line.unwrap().parse().unwrap()).collect();
        drop(lines);
        let output = ended(child, Instant::now());
        assert!(!numbers.is_empty());
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("roken pipe"), "{error}");
    }
    println!("C11, SIGPIPE: {processes} processes told it as an error");
    drop(folder);
    case.end();
}
