//! Disks that fail: letters wait, then whoever brings them waits, then they are told; none is lost and none is torn.

use std::{thread, time::Duration};

use pipewright::dead_letters::{DeadLetters, DeadLettersError, Options};

use super::{disk::Disk, keep, numbers, read};

fn options() -> Options {
    DeadLetters::options()
        .segment_bytes(4096)
        .backoff(Duration::ZERO, Duration::ZERO)
}

/// What is on a disk, or would be after a crash.
fn on(disk: &Disk, durable: bool) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    disk.write_to(folder.path(), durable);
    read(folder.path())
}

#[test]
fn random_faults_lose_nothing_and_tear_nothing() {
    let mut injected = 0;
    for seed in 1..=pipewright_tests::faults(200) {
        println!("seed {seed}");
        let disk = Disk::default();
        let letters = options().open_in(disk.clone()).unwrap();
        {
            let mut state = disk.state();
            state.seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            state.faults = 30 + seed % 5 * 20;
        }
        for n in 0..500 {
            keep(&letters, n).unwrap();
            if n % (seed + 20) == 0 {
                letters.sync().unwrap();
                // What a crash leaves has everything that was said to be durable. A segment that was left may have a torn tail.
                let folder = tempfile::tempdir().unwrap();
                disk.write_to(folder.path(), true);
                let found = pipewright::dead_letters::Found::read(folder.path()).unwrap();
                assert!(
                    numbers(&found.letters).iter().copied().eq(0..=n),
                    "seed {seed}"
                );
            }
        }
        let stats = letters.close().unwrap();
        assert_eq!((stats.taken, stats.waiting), (500, 0));
        disk.state().faults = 0;
        let folder = tempfile::tempdir().unwrap();
        disk.write_to(folder.path(), false);
        let found = pipewright::dead_letters::Found::read(folder.path()).unwrap();
        assert!(
            numbers(&found.letters).iter().copied().eq(0..500),
            "seed {seed}"
        );
        assert!(
            found.damage.iter().all(|(_, damage)| damage.is_tail),
            "seed {seed}: {:?}",
            found.damage
        );
        injected += disk.state().injected;
    }
    let least = 500 * pipewright_tests::faults(200);
    assert!(
        injected >= least,
        "{injected} faults are too few to show anything"
    );
    println!(
        "{injected} faults, {} letters, 0 lost",
        500 * pipewright_tests::faults(200)
    );
}

#[test]
fn a_full_disk_holds_and_goes_on_when_there_is_space_again() {
    let disk = Disk::default();
    let letters = options().waiting(8, 1 << 20).open_in(disk.clone()).unwrap();
    let mut n = 0..;
    let mut next = || n.next().expect("there is always another number");
    for _ in 0..20 {
        keep(&letters, next()).unwrap();
        letters.sync().unwrap();
        disk.state().is_full = true;
        // These wait in memory.
        for _ in 0..8 {
            keep(&letters, next()).unwrap();
        }
        let held = next();
        thread::scope(|scope| {
            let ninth = scope.spawn(|| keep(&letters, held));
            while letters.stats().failing.is_none() {
                thread::yield_now();
            }
            assert_eq!(letters.stats().waiting, 8);
            assert!(!ninth.is_finished(), "there is no room for it");
            disk.state().is_full = false;
            ninth.join().unwrap().unwrap();
        });
        letters.sync().unwrap();
    }
    letters.close().unwrap();
    assert_eq!(on(&disk, false), (0..200).collect::<Vec<_>>());
    assert_eq!(on(&disk, true), (0..200).collect::<Vec<_>>());
}

#[test]
fn who_brings_a_letter_is_told_in_time_that_nothing_can_be_written() {
    let disk = Disk::default();
    let give_up = Duration::from_millis(200);
    let letters = options()
        .waiting(4, 1 << 20)
        .give_up(give_up)
        .open_in(disk.clone())
        .unwrap();
    keep(&letters, 0).unwrap();
    letters.sync().unwrap();
    disk.state().is_broken = true;
    for n in 1..=4 {
        keep(&letters, n).unwrap();
    }
    let DeadLettersError::NotWritten {
        waiting,
        time,
        source,
        ..
    } = keep(&letters, 5).unwrap_err()
    else {
        panic!("another error");
    };
    assert_eq!((waiting, source.raw_os_error()), (4, Some(5)));
    assert!(time >= give_up);

    // It is still tried, however long the machine takes for that.
    disk.state().is_broken = false;
    while letters.sync().is_err() {}
    keep(&letters, 6).unwrap();
    letters.sync().unwrap();
    assert_eq!(on(&disk, true), [0, 1, 2, 3, 4, 6]);

    disk.state().is_broken = true;
    keep(&letters, 7).unwrap();
    keep(&letters, 8).unwrap();
    let error = letters.close().unwrap_err();
    assert_eq!(numbers(&error.left), [7, 8], "they are given back: {error}");
}

#[test]
fn the_space_of_all_segments_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let letters = options()
        .max_bytes(3 * 4096)
        .waiting(4, 1 << 20)
        .give_up(Duration::from_secs(1))
        .open(folder.path())
        .unwrap();
    let (kept, error) = (0..)
        .find_map(|n| keep(&letters, n).err().map(|error| (n, error)))
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("move segments away or raise `max_bytes`"),
        "{error}"
    );
    let files = || {
        std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
    };
    let bytes: u64 = files().map(|file| file.metadata().unwrap().len()).sum();
    assert!(bytes <= 3 * 4096, "{bytes}");

    // Somebody moves the first ones away.
    let away = tempfile::tempdir().unwrap();
    let mut segments: Vec<_> = files().collect();
    segments.sort();
    for segment in &segments[..2] {
        std::fs::rename(segment, away.path().join(segment.file_name().unwrap())).unwrap();
    }
    letters.close().unwrap();
    let all = [read(away.path()), read(folder.path())].concat();
    assert_eq!(all, (0..kept).collect::<Vec<_>>());
}
