//! A process that is killed again and again loses nothing: every line is in the output or among the dead letters at the end, and
//! what is said to be done at any time is there.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    collections::HashMap,
    fmt::Write as _,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use pipewright::{
    dead_letters::{Found, Payload},
    files::FileSink,
};

/// Kills of the full form; the quick one has a tenth.
const KILLS: u64 = 300;
/// Lines for each kill.
const LINES: u64 = 400;

fn line(n: u64) -> String {
    let text = if n.is_multiple_of(11) { "bad" } else { "good" };
    format!("{n} {text}{}", "-".repeat((n % 90) as usize))
}

fn number(line: &str) -> u64 {
    let n = line.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(line, self::line(n), "a line is torn or mixed");
    n
}

fn start(folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crash_child"));
    command
        .arg(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The position that is kept: a file that is there has all of it.
fn committed(folder: &Path) -> u64 {
    let Ok(text) = fs::read_to_string(folder.join("in.offset")) else {
        return 0;
    };
    let digits = text
        .split("\"offset\":")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    digits.parse().unwrap()
}

/// How often each number is in the output or among the letters. The torn end of the output does not count.
fn found(folder: &Path) -> HashMap<u64, u32> {
    let mut times = HashMap::new();
    let text = fs::read_to_string(folder.join("out.txt")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    for line in whole.lines() {
        *times.entry(number(line)).or_default() += 1;
    }
    if folder.join("letters").is_dir() {
        let letters = Found::read(&folder.join("letters")).unwrap();
        assert!(
            letters.damage.iter().all(|(_, damage)| damage.is_tail),
            "{:?}",
            letters.damage
        );
        for letter in letters.letters {
            assert!(["check", "ask"].contains(&letter.stage.as_str()));
            *times.entry(number(&letter.error)).or_default() += 1;
        }
    }
    times
}

fn output(folder: &Path) -> u64 {
    fs::metadata(folder.join("out.txt")).map_or(0, |meta| meta.len())
}

#[test]
fn a_process_that_is_killed_loses_no_line() {
    let seed = std::env::var("PIPEWRIGHT_SEED").map_or(7, |seed| seed.parse().unwrap());
    println!("PIPEWRIGHT_SEED={seed}");
    let mut random = u64::wrapping_mul(seed, 0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = |below: u64| {
        // xorshift64, Marsaglia 2003.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let lines = LINES * pipewright_tests::faults(KILLS);
    let (mut text, mut ends) = (String::new(), Vec::new());
    for n in 0..lines {
        writeln!(text, "{}", line(n)).unwrap();
        ends.push(text.len() as u64);
    }
    fs::write(folder.join("in.txt"), &text).unwrap();

    let (mut killed, mut behind) = (0, 0);
    // A machine that is busy may kill each of them before it has begun.
    while killed < pipewright_tests::faults(KILLS) || behind == 0 && killed < 100 * KILLS {
        let mut child = start(folder);
        // Killed when it has written some more, or at once.
        let until = output(folder) + next(40_000);
        while next(200) != 0 && output(folder) < until && child.try_wait().unwrap().is_none() {
            thread::yield_now();
        }
        // SIGKILL.
        child.kill().unwrap();
        let ended = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(
            ended.status.success() || ended.status.code().is_none(),
            "{error}"
        );
        killed += 1;

        let (position, found) = (committed(folder), found(folder));
        let done = ends.iter().take_while(|end| **end <= position).count() as u64;
        let lost = (0..done).find(|n| !found.contains_key(n));
        assert_eq!(
            lost, None,
            "{position} was committed before that line was there"
        );
        behind += found.len() as u64 - done;
        if ended.status.success() && done == lines {
            // It was quicker; what is left of the kills begins anew.
            fs::remove_file(folder.join("in.offset")).unwrap();
        }
    }
    assert!(behind > 0, "no kill came between a line and its commit");

    let ended = start(folder).wait_with_output().unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let times = found(folder);
    let lost: Vec<u64> = (0..lines).filter(|n| !times.contains_key(n)).collect();
    assert_eq!(lost, Vec::<u64>::new());
    assert_eq!(committed(folder), text.len() as u64);
    let copies: u32 = times.values().map(|times| times - 1).sum();
    let rewinds = fs::metadata(folder.join("rewinds")).unwrap().len();
    assert!(rewinds > 0, "no breaker has given anything back");
    println!(
        "{killed} kills, {lines} lines, 0 lost, {copies} came twice or more, the file went back {rewinds} times"
    );
}

#[test]
fn a_record_that_ends_the_process_is_found_in_two_restarts() {
    // Which lines end it, and how.
    let check = |poison: &[(u64, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let kind = |n: u64| {
            poison
                .iter()
                .find(|(at, _)| *at == n)
                .map_or("good", |(_, kind)| kind)
        };
        let text: String = (0..2000).map(|n| format!("{n} {}\n", kind(n))).collect();
        fs::write(folder.join("in.txt"), text).unwrap();
        let mut restarts = 0;
        loop {
            let mut command = Command::new(env!("CARGO_BIN_EXE_crash_child"));
            let ended = command.arg(folder).arg("find").output().unwrap();
            if ended.status.success() {
                break;
            }
            let error = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(
                ended.status.code(),
                None,
                "it was ended by a signal: {error}"
            );
            restarts += 1;
            assert!(restarts <= 2 * poison.len(), "{restarts} restarts");
        }
        let letters = Found::read(&folder.join("letters")).unwrap().letters;
        let mut found: Vec<u64> = letters
            .iter()
            .map(|letter| {
                assert!(
                    letter.error.contains("the process ended twice"),
                    "{}",
                    letter.error
                );
                let Payload::Bytes(record) = &letter.payload else {
                    panic!("{:?}", letter.payload);
                };
                let text = str::from_utf8(record).unwrap();
                text.split(' ').next().unwrap().parse().unwrap()
            })
            .collect();
        // They come again until the position behind them is kept.
        found.sort_unstable();
        found.dedup();
        assert!(
            found.iter().copied().eq(poison.iter().map(|(at, _)| *at)),
            "{found:?}"
        );
        let output = fs::read_to_string(folder.join("out.txt")).unwrap();
        let mut lines: Vec<u64> = output
            .lines()
            .map(|line| line.split(' ').next().unwrap().parse().unwrap())
            .collect();
        lines.sort_unstable();
        lines.dedup();
        assert!(
            lines
                .into_iter()
                .eq((0..2000).filter(|n| kind(*n) == "good"))
        );
        restarts
    };
    assert_eq!(check(&[(0, "abort")]), 2);
    assert_eq!(check(&[(1999, "overflow")]), 2);
    check(&[(700, "abort"), (701, "overflow"), (1500, "abort")]);
}

#[test]
fn what_a_crash_left_of_a_record_is_cut_off() {
    let check = |frames: bool| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let open = || match frames {
            true => FileSink::frames(&path).unwrap(),
            false => FileSink::lines(&path).unwrap(),
        };
        let sink = open();
        let mut ends = vec![0];
        for record in ["one", "", "three"] {
            sink.append(record.as_bytes()).unwrap();
            sink.sync().unwrap();
            ends.push(fs::metadata(&path).unwrap().len());
        }
        drop(sink);
        let whole = fs::read(&path).unwrap();
        for len in 0..=whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            drop(open());
            let left = ends.iter().rev().find(|end| **end <= len as u64).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().len(), *left, "cut at {len}");
        }
    };
    check(false);
    check(true);
}
