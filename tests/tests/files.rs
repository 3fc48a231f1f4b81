//! Files as sources and sinks: records come as they were written, from where everything was done.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

#[path = "dead_letter_file/disk.rs"]
mod disk;

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use pipewright::{
    Acknowledge, Commit, Emit, Flow, RunError,
    dead_letters::Storage,
    files::{FileError, FileSink, FileSource},
    pipeline,
};

use disk::Disk;

type Record = Result<Vec<u8>, FileError>;

/// All records until the source rests or ends, as text; and what it said.
fn read(source: &mut FileSource) -> (Vec<String>, Flow) {
    let mut out = Emit::<Record>::new();
    loop {
        match source.poll(&mut out) {
            Flow::More => {}
            end => {
                let text = |record: Record| match record {
                    Ok(bytes) => String::from_utf8(bytes).unwrap(),
                    Err(error) => format!("error: {error}"),
                };
                return (out.into_vec().into_iter().map(text).collect(), end);
            }
        }
    }
}

fn lines(folder: &Path) -> Result<FileSource, FileError> {
    FileSource::lines(folder.join("in"), folder.join("kept")).open()
}

#[test]
fn lines_come_as_they_are() {
    let check = |text: &str, expect: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("in"), text).unwrap();
        assert_eq!(
            read(&mut lines(folder.path()).unwrap()),
            (expect.iter().map(ToString::to_string).collect(), Flow::Done)
        );
    };
    check("", &[]);
    check("one\n\ntwo\n", &["one", "", "two"]);
    check("one\r\ntwo", &["one\r", "two"]);
}

#[test]
fn a_source_begins_where_everything_was_done() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in"), "one\ntwo\nthree\n").unwrap();
    let mut source = lines(folder.path()).unwrap();
    let mut out = Emit::<Record>::new();
    source.poll(&mut out);
    source.poll(&mut out);
    let mut kept = source.committer().unwrap();
    kept.commit(source.position()).unwrap();
    drop((source, kept));
    assert_eq!(read(&mut lines(folder.path()).unwrap()).0, ["three"]);
}

#[test]
fn a_file_that_is_followed_waits_for_the_rest_of_a_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in");
    let append = |bytes: &[u8]| {
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap();
        file.write_all(bytes).unwrap();
    };
    append(b"one\ntw");
    let mut source = FileSource::lines(&path, folder.path().join("kept"))
        .follow()
        .open()
        .unwrap();
    assert_eq!(read(&mut source), (vec!["one".to_owned()], Flow::Idle));
    append(b"o\n");
    assert_eq!(read(&mut source), (vec!["two".to_owned()], Flow::Idle));
    assert_eq!(source.position(), 8);
}

#[test]
fn frames_hold_any_bytes_and_a_damaged_one_is_an_error_that_ends_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in");
    let sink = FileSink::frames(&path).unwrap();
    for record in ["one\n", "", "two"] {
        sink.append(record.as_bytes()).unwrap();
    }
    sink.sync().unwrap();
    let open = || {
        FileSource::frames(&path, folder.path().join("kept"))
            .open()
            .unwrap()
    };
    assert_eq!(read(&mut open()).0, ["one\n", "", "two"]);

    let whole = fs::read(&path).unwrap();
    let damaged = |at| {
        format!(
            "error: `{}`: the frame at byte {at} is damaged",
            path.display()
        )
    };
    let mut bytes = whole.clone();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert_eq!(
        read(&mut open()).0,
        ["one\n".to_owned(), String::new(), damaged(28)]
    );
    fs::write(&path, &whole[..20]).unwrap();
    let mut source = open();
    assert_eq!(
        read(&mut source),
        (vec!["one\n".to_owned(), damaged(16)], Flow::Done)
    );
    assert_eq!(
        read(&mut source),
        (vec![], Flow::Done),
        "nothing comes behind it"
    );
    assert_eq!(source.position(), 16);
}

#[test]
fn a_line_without_an_end_in_sight_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in");
    fs::write(&path, [vec![b'-'; (16 << 20) + 1], b"\n".to_vec()].concat()).unwrap();
    let (records, end) = read(&mut lines(folder.path()).unwrap());
    assert_eq!(
        records,
        [format!(
            "error: `{}`: the record at byte 0 is longer than 16 MiB",
            path.display()
        )]
    );
    assert_eq!(end, Flow::Done);
}

#[test]
fn a_position_is_not_taken_for_one_of_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let (path, kept) = (folder.path().join("in"), folder.path().join("kept"));
    fs::write(&path, "one\ntwo\n").unwrap();
    let mut source = lines(folder.path()).unwrap();
    source.committer().unwrap().commit(8).unwrap();
    drop(source);
    assert_eq!(
        fs::metadata(&kept).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        read(&mut lines(folder.path()).unwrap()).0,
        Vec::<String>::new()
    );

    let refused = || lines(folder.path()).unwrap_err().to_string();
    for other in ["six\nten\nmore\n", "one\n"] {
        fs::write(&path, other).unwrap();
        assert_eq!(
            refused(),
            format!(
                "`{}` keeps byte 8 of another `{}`; remove it to begin at the beginning",
                kept.display(),
                path.display()
            )
        );
    }
    for text in [
        "",
        "{}",
        "{\"version\":1,\"offset\":8,\"fingerprint\":1",
        "{\"version\":2,\"offset\":8,\"fingerprint\":1}",
    ] {
        fs::write(&kept, text).unwrap();
        assert_eq!(
            refused(),
            format!(
                "`{}` keeps no position; remove it to begin at the beginning",
                kept.display()
            )
        );
    }
    fs::remove_file(&kept).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(refused().contains("No such file"), "{}", refused());
}

#[test]
fn one_run_at_a_time_has_a_position() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in"), "one\n").unwrap();
    let first = lines(folder.path()).unwrap();
    assert!(matches!(lines(folder.path()), Err(FileError::InUse { .. })));
    drop(first);
    lines(folder.path()).unwrap();
}

#[test]
fn a_sink_refuses_what_is_no_line_and_follows_no_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    let sink = FileSink::lines(&path).unwrap();
    assert!(matches!(
        sink.append(b"one\ntwo"),
        Err(FileError::LineBreak { .. })
    ));
    assert!(matches!(
        sink.append(&vec![0; (16 << 20) + 1]),
        Err(FileError::Long { at: 0, .. })
    ));
    sink.append(b"three").unwrap();
    drop(sink);
    assert_eq!(fs::read(&path).unwrap(), b"three\n");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    symlink(&path, folder.path().join("link")).unwrap();
    assert!(FileSink::lines(folder.path().join("link")).is_err());
}

/// A sink on a disk that fails as it is told to, and what is on that disk.
fn sink_on(disk: &Disk) -> FileSink {
    let segment = Storage::create(&mut disk.clone(), 1).unwrap();
    FileSink::lines_in(segment, 0)
}

fn on(disk: &Disk, durable: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    disk.write_to(folder.path(), durable);
    fs::read_to_string(folder.path().join("0000000001.letters")).unwrap()
}

#[test]
fn a_sink_writes_on_where_a_write_failed() {
    for seed in 1..=50u64 {
        println!("seed {seed}");
        let disk = Disk::default();
        let sink = sink_on(&disk);
        let mut expect = String::new();
        for n in 0..200 {
            let record = format!("record {n}");
            sink.append(record.as_bytes()).unwrap();
            expect += &record;
            expect.push('\n');
            if n % 10 != 9 {
                continue;
            }
            disk.state().seed = seed * 1000 + n;
            disk.state().is_full = n % 20 == 19;
            disk.state().faults = 0;
            if disk.state().is_full {
                assert!(
                    matches!(sink.sync(), Err(FileError::Io { .. })),
                    "there is no space"
                );
                disk.state().is_full = false;
            }
            sink.sync().unwrap();
            assert_eq!(on(&disk, true), expect);
        }
    }
}

#[test]
fn a_sink_that_could_not_be_made_durable_takes_nothing_any_more() {
    let mut injected = 0;
    for seed in 1..=200u64 {
        println!("seed {seed}");
        let disk = Disk::default();
        let sink = sink_on(&disk);
        disk.state().seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        disk.state().faults = 20 + seed % 4 * 20;
        let (mut taken, mut durable) = (String::new(), String::new());
        let ended = (0..400).find_map(|n| {
            let record = format!("record {n}");
            match sink.append(record.as_bytes()) {
                Ok(()) => taken = format!("{taken}{record}\n"),
                Err(error) => return Some(error),
            }
            // A write that fails is tried again by the next one.
            match sink.sync() {
                Ok(()) => durable.clone_from(&taken),
                Err(error @ FileError::NotDurable { .. }) => return Some(error),
                Err(_) => {}
            }
            if n % 16 == 0 {
                assert!(
                    on(&disk, true).starts_with(&durable),
                    "what was durable is there"
                );
            }
            None
        });
        injected += disk.state().injected;
        disk.state().faults = 0;
        if let Some(error) = ended {
            assert!(matches!(error, FileError::NotDurable { .. }), "{error}");
            assert!(matches!(
                sink.append(b"more"),
                Err(FileError::NotDurable { .. })
            ));
            assert!(matches!(sink.sync(), Err(FileError::NotDurable { .. })));
        } else {
            sink.sync().unwrap();
            durable.clone_from(&taken);
        }
        assert_eq!(
            on(&disk, false),
            durable,
            "nothing is behind what was durable"
        );
    }
    assert!(
        injected > 500,
        "{injected} faults are too few to show anything"
    );
}

pub struct Env {
    folder: std::path::PathBuf,
    refuse: Arc<AtomicBool>,
    seen: Mutex<Vec<String>>,
}

#[pipeline(env = Env)]
mod copied {
    use super::*;

    fn open(env: &Env) -> Result<FileSource, FileError> {
        let refuse = Arc::clone(&env.refuse);
        let refused = || FileError::LineBreak { path: "out".into() };
        FileSource::lines(env.folder.join("in"), env.folder.join("kept"))
            .before_commit(move || match refuse.load(Ordering::SeqCst) {
                true => Err(refused()),
                false => Ok(()),
            })
            .open()
    }

    #[source(state = open, acks)]
    pub fn records(file: &mut FileSource, out: &mut Emit<Record>) -> Flow {
        file.poll(out)
    }

    #[sink(from = records, on_error = stop)]
    pub fn store(record: Record, env: &Env) -> Result<(), FileError> {
        let text = String::from_utf8(record?).unwrap();
        env.seen.lock().unwrap().push(text);
        Ok(())
    }
}

#[test]
fn a_position_is_kept_only_when_what_comes_before_it_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in"), "one\ntwo\n").unwrap();
    let refuse = Arc::new(AtomicBool::new(true));
    let env = || Env {
        folder: folder.path().to_owned(),
        refuse: Arc::clone(&refuse),
        seen: Mutex::default(),
    };
    let failed = copied::pipeline().start(env()).unwrap().wait().unwrap_err();
    assert!(
        matches!(
            failed.error,
            RunError::Commit {
                name: "records",
                ..
            }
        ),
        "{}",
        failed.error
    );
    assert!(!folder.path().join("kept").exists());
    refuse.store(false, Ordering::SeqCst);
    let report = copied::pipeline().start(env()).unwrap().wait().unwrap();
    assert!(report.ledger().is_balanced());
    assert!(
        fs::read_to_string(folder.path().join("kept"))
            .unwrap()
            .contains("\"offset\":8,")
    );
}
