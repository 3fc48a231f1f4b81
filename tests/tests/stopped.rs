//! A process that is stopped and goes on opens none of its breakers because of that.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    process::{Command, Stdio},
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

#[test]
fn calls_that_were_made_while_the_process_was_stopped_open_no_breaker_and_are_not_late() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stopped_child"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let signal = |name: &str| {
        let id = child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success(), "{name}");
    };
    let (stops, stopped) = match faults(STOPS) {
        STOPS => (STOPS, Duration::from_secs(5)),
        few => (few, Duration::from_millis(900)),
    };
    for _ in 0..stops {
        pass(Duration::from_millis(200));
        signal("-STOP");
        pass(stopped);
        signal("-CONT");
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
