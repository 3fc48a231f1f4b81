//! What a folder of letters is.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    time::{Duration, UNIX_EPOCH},
};

use pipewright::{
    Origin,
    dead_letters::{DeadLetters, DeadLettersError, Entry, Found, Keep, Payload, ReadError},
};

use super::{keep, read};

#[test]
fn a_letter_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let time = UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    let origin = Origin::new("ingest", 7, Some(3));
    let entry = Entry {
        time,
        stage: "price",
        class: "dependency",
        attempts: 4,
        origin: Some(origin.clone()),
        error: "no answer\nfrom `€`",
    };
    let letters = DeadLetters::open(folder.path()).unwrap();
    letters
        .keep_json(&entry, &("a", [1, 2], None::<u8>))
        .unwrap();
    letters.keep_bytes(&entry, b"\xff\x00raw").unwrap();
    letters.keep_error(&entry).unwrap();
    // A key of a map in JSON is a text.
    letters
        .keep_json(
            &entry,
            &[((1, 2), 3)]
                .into_iter()
                .collect::<std::collections::BTreeMap<_, _>>(),
        )
        .unwrap();
    let stats = letters.close().unwrap();
    assert_eq!((stats.taken, stats.waiting, stats.failures), (4, 0, 0));

    let found = Found::read(folder.path()).unwrap();
    assert_eq!(found.damage, []);
    let payloads: Vec<_> = found
        .letters
        .iter()
        .map(|letter| letter.payload.clone())
        .collect();
    assert_eq!(payloads[0], Payload::Json(br#"["a",[1,2],null]"#.to_vec()));
    assert_eq!(payloads[1], Payload::Bytes(b"\xff\x00raw".to_vec()));
    assert_eq!(payloads[2], Payload::None);
    assert_eq!(
        payloads[3],
        Payload::Failed("key must be a string".to_owned())
    );
    for (letter, number) in found.letters.iter().zip(1..) {
        assert_eq!((letter.number, letter.time), (number, time));
        assert_eq!(
            (&*letter.stage, &*letter.class, letter.attempts),
            ("price", "dependency", 4)
        );
        assert_eq!(
            (letter.origin.as_ref(), &*letter.error),
            (Some(&origin), "no answer\nfrom `€`")
        );
    }
}

#[test]
fn what_is_kept_of_an_item_can_be_its_hash_or_nothing() {
    let check = |how, expect: Payload| {
        let folder = tempfile::tempdir().unwrap();
        let letters = DeadLetters::options()
            .keep(how)
            .open(folder.path())
            .unwrap();
        keep(&letters, 5).unwrap();
        letters.close().unwrap();
        let found = Found::read(folder.path()).unwrap();
        assert_eq!(found.letters[0].payload, expect);
    };
    check(Keep::Full, Payload::Json(b"5".to_vec()));
    check(Keep::None, Payload::None);
    let hash = "ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d";
    let byte = |at: usize| u8::from_str_radix(&hash[2 * at..2 * at + 2], 16).unwrap();
    let sha256 = std::array::from_fn(byte);
    check(Keep::Digest, Payload::Digest { sha256, len: 1 });
}

#[test]
fn an_item_that_is_too_large_is_kept_as_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::options()
        .segment_bytes(4096)
        .open(folder.path())
        .unwrap();
    let entry = Entry {
        time: UNIX_EPOCH,
        stage: "a",
        class: "item",
        attempts: 1,
        origin: None,
        error: &"e".repeat(100_000),
    };
    letters
        .keep_bytes(&entry, &vec![0; (16 << 20) + 1])
        .unwrap();
    letters.keep_bytes(&entry, &vec![0; 16 << 20]).unwrap();
    letters.close().unwrap();
    let found = Found::read(folder.path()).unwrap();
    let len = (16 << 20) + 1;
    assert!(matches!(found.letters[0].payload, Payload::Digest { len: found, .. } if found == len));
    assert!(matches!(&found.letters[1].payload, Payload::Bytes(bytes) if bytes.len() == 16 << 20));
    assert_eq!(found.letters[0].error.len(), 64 << 10);
}

#[test]
fn numbers_go_on_when_a_folder_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut expect = Vec::new();
    for round in 0..5 {
        // Small segments, so that some rounds go on with one and others begin one.
        let letters = DeadLetters::options()
            .segment_bytes(4096)
            .open(folder.path())
            .unwrap();
        for n in round * 50..(round + 1) * 50 {
            keep(&letters, n).unwrap();
            expect.push(n);
        }
        letters.close().unwrap();
        assert_eq!(read(folder.path()), expect);
    }
    let found = Found::read(folder.path()).unwrap();
    assert!(found.letters.iter().map(|letter| letter.number).eq(1..=250));
    assert!(
        fs::read_dir(folder.path()).unwrap().count() > 2,
        "there are several segments"
    );
}

#[test]
fn letters_can_be_read_while_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(folder.path()).unwrap();
    keep(&letters, 1).unwrap();
    letters.sync().unwrap();
    assert_eq!(read(folder.path()), [1]);
    keep(&letters, 2).unwrap();
    drop(letters);
    assert_eq!(read(folder.path()), [1, 2], "dropping it waits");
}

#[test]
fn only_the_owner_can_read_letters() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("letters");
    drop(DeadLetters::open(&folder).unwrap());
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.clone()), 0o700);
    assert_eq!(mode(folder.join("0000000001.letters")), 0o600);
}

#[test]
fn space_is_reserved_and_does_not_count_as_length() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::options()
        .segment_bytes(1 << 20)
        .open(folder.path())
        .unwrap();
    let meta = fs::metadata(folder.path().join("0000000001.letters")).unwrap();
    let reserved = letters.stats().is_reserved;
    assert_eq!((meta.len(), meta.blocks() * 512 >= 1 << 20), (8, reserved));
}

#[test]
fn links_and_foreign_files_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    let (real, link) = (parent.path().join("real"), parent.path().join("link"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let refused = |path| DeadLetters::open(path).unwrap_err().to_string();
    assert!(refused(link).contains("cannot keep dead letters in"));

    let segment = real.join("0000000001.letters");
    symlink("/dev/null", &segment).unwrap();
    assert!(
        refused(real.clone()).contains("symbolic link"),
        "{}",
        refused(real)
    );

    fs::remove_file(&segment).unwrap();
    fs::write(&segment, "somebody's text").unwrap();
    assert!(refused(real.clone()).contains("does not hold dead letters"));
    assert_eq!(fs::read(&segment).unwrap(), b"somebody's text");
    assert!(matches!(Found::read(&real), Err(ReadError::Other { .. })));

    fs::write(&segment, "PWDEADL2...").unwrap();
    assert!(refused(real.clone()).contains("version"));
    assert!(matches!(
        Found::read(&real),
        Err(ReadError::Version { version: '2', .. })
    ));
}

#[test]
fn a_folder_belongs_to_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let letters = DeadLetters::open(folder.path()).unwrap();
    let second = DeadLetters::open(folder.path()).unwrap_err();
    assert!(
        second.to_string().ends_with("another process has it"),
        "{second}"
    );
    drop(letters);
    DeadLetters::open(folder.path()).unwrap();
}

#[test]
fn options_out_of_range_are_refused() {
    let check = |options: pipewright::dead_letters::Options, rule: &str| {
        let folder = tempfile::tempdir().unwrap();
        match options.open(folder.path()) {
            Err(DeadLettersError::OutOfRange(told)) => assert_eq!(told, rule),
            other => panic!("{other:?}"),
        }
    };
    let options = DeadLetters::options;
    check(
        options().segment_bytes(4095),
        "`segment_bytes` is from 4 KiB to 1 GiB",
    );
    check(
        options().max_bytes(1 << 20),
        "`max_bytes` is at least `segment_bytes`",
    );
    check(
        options().group(Duration::from_secs(11)),
        "`group` is at most 10 s",
    );
    check(
        options().give_up(Duration::from_secs(3601)),
        "`give_up` is at most an hour",
    );
    check(options().waiting(0, 9), "`waiting` is at least one letter");
}
