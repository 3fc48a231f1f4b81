//! Numbers can be changed without compiling; what does not fit is refused with its place, and nothing of it is applied.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::{Batch, TuningError, pipeline};
use pipewright_tests::Seen;

type Env = Seen<usize>;

#[pipeline(env = Env, pool(workers = 1))]
mod packs {
    use super::*;

    #[source]
    pub fn numbers() -> std::ops::Range<u64> {
        0..1000
    }

    #[stage(from = numbers, batch = 10, linger = "1s")]
    pub fn pack(batch: &mut Batch<u64>, env: &Env) {
        env.see(batch.len());
    }

    #[sink(from = pack)]
    pub fn last(n: u64, sum: &mut u64) {
        *sum += n;
    }
}

fn largest(tuning: Option<&str>) -> usize {
    let seen = Seen::new();
    // With one worker, because another one that rests gets what there is, whole or not.
    let mut builder = packs::pipeline().workers(1);
    if let Some(text) = tuning {
        builder = builder.tuning("test.tuning.ron", text).unwrap();
    }
    let mut report = builder.start(seen.clone()).unwrap().wait().unwrap();
    assert_eq!(report.take_state::<packs::last>(), Some(499_500));
    seen.take().into_iter().max().expect("at least one batch")
}

#[test]
fn a_tuning_file_changes_the_size_of_batches() {
    assert_eq!(largest(None), 10);
    assert_eq!(largest(Some(r#"( stages: { "pack": (batch: 25) } )"#)), 25);
}

#[test]
fn later_files_go_over_earlier_ones() {
    let seen = Seen::new();
    let builder = packs::pipeline()
        .workers(1)
        .tuning("one.tuning.ron", r#"( stages: { "pack": (batch: 25) } )"#)
        .and_then(|builder| {
            builder.tuning("two.tuning.ron", r#"( stages: { "pack": (batch: 50) } )"#)
        });
    let _ = builder
        .unwrap()
        .start(seen.clone())
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(seen.take().into_iter().max(), Some(50));
}

fn refused(text: &str) -> String {
    packs::pipeline()
        .tuning("bad.tuning.ron", text)
        .unwrap_err()
        .to_string()
}

#[test]
fn what_does_not_fit_is_refused_with_its_place_and_what_to_write() {
    for (text, place, message) in [
        (
            r#"( stages: { "pakc": (batch: 25) } )"#,
            "bad.tuning.ron:1:14",
            "did you mean `pack`?",
        ),
        (
            r#"( stages: { "pack": (batch: 0) } )"#,
            "bad.tuning.ron:1:29",
            "`batch` must be at least 1",
        ),
        (
            r#"( stages: { "pack": (linger: 50) } )"#,
            "bad.tuning.ron:1:30",
            "`linger` is a time like",
        ),
        (
            r#"( stages: { "pack": (from: "numbers") } )"#,
            "bad.tuning.ron:1:22",
            "part of the shape",
        ),
        (
            "( stages: { \"pack\": (batch: 25 } )",
            "bad.tuning.ron:1",
            "help:",
        ),
    ] {
        let error = refused(text);
        assert!(
            error.contains(place) && error.contains(message),
            "{text}\n{error}"
        );
    }
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let error = refused(
        r#"( stages: { "pakc": (batch: 4), "pack": (batch: 0, from: "x"), "last": (batch: 3) } )"#,
    );
    for part in [
        "did you mean `pack`?",
        "must be at least 1",
        "part of the shape",
        "tuning.ron:1:73",
    ] {
        assert!(error.contains(part), "{part}\n{error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = packs::pipeline()
        .tuning_file("no/such.tuning.ron")
        .unwrap_err();
    assert!(
        matches!(&error, TuningError::Read { path, .. } if path == "no/such.tuning.ron"),
        "{error}"
    );
}

#[test]
fn what_is_no_file_of_text_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let made = std::process::Command::new("mkfifo")
        .arg(at("pipe"))
        .status();
    assert!(made.unwrap().success());
    std::fs::write(at("bytes"), b"(\n\xff").unwrap();
    let large = std::fs::File::create(at("large")).unwrap();
    large.set_len(64 << 20).unwrap();
    for (path, why) in [
        (at("pipe"), "a pipe, a device or a socket"),
        ("/dev/zero".into(), "a pipe, a device or a socket"),
        (at("bytes"), "not UTF-8 text at line 2, column 1"),
        (at("large"), "67108864 bytes, and at most 1 MiB"),
        (at("."), "it is a folder"),
    ] {
        let error = packs::pipeline()
            .tuning_file(&path)
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
    }
}
