//! A process that is stopped and goes on opens none of its breakers because of that.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use pipewright_tests::faults;

/// Times that the process is stopped; the quick form stops it a tenth of that.
const STOPS: u64 = 50;

/// Lets that much time pass, which is what the test is about.
fn pass(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        thread::park_timeout(time - begun.elapsed());
    }
}

/// The process, which may have an argument.
fn start(argument: Option<&str>) -> Child {
    Command::new(env!("CARGO_BIN_EXE_stopped_child"))
        .args(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn stop_for(child: &Child, time: Duration) {
    let signal = |name: &str| {
        let id = child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success(), "{name}");
    };
    signal("-STOP");
    pass(time);
    signal("-CONT");
}

#[test]
fn a_call_that_hung_before_the_process_was_stopped_took_too_long() {
    let mut child = start(Some("hangs"));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "it hangs");
    stop_for(&child, Duration::from_millis(300));
    drop(child.stdin.take());
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn calls_that_were_made_while_the_process_was_stopped_open_no_breaker_and_are_not_late() {
    let mut child = start(None);
    let (stops, stopped) = match faults(STOPS) {
        STOPS => (STOPS, Duration::from_secs(5)),
        few => (few, Duration::from_millis(900)),
    };
    for _ in 0..stops {
        pass(Duration::from_millis(200));
        stop_for(&child, stopped);
    }
    pass(Duration::from_millis(200));
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let seen: Vec<u64> = text
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    let [changes, slow, late, late_alone, passed] = seen[..] else {
        panic!("{text}");
    };
    println!(
        "{stops} stops, {passed} calls, {slow} slow, {late} and {late_alone} late, {changes} changes"
    );
    assert!(passed > 100 * stops, "{text}");
    assert_eq!((changes, slow, late, late_alone), (0, 0, 0, 0));
}
