//! Damaged segments: whatever bytes are changed or missing, a reader finds the other letters and does not panic.

use std::{fs, ops::Range, time::UNIX_EPOCH};

use pipewright::dead_letters::{DeadLetters, Entry, Found, letters};

use super::{keep, numbers, read};

/// Letters of the full form; the quick one has a tenth.
const FULL: u64 = 1000;

/// A segment of so many letters, and where each of them lies.
fn segment(count: u64) -> (Vec<u8>, Vec<Range<usize>>) {
    let folder = tempfile::tempdir().unwrap();
    let writer = DeadLetters::open(folder.path()).unwrap();
    let (mut places, mut from) = (Vec::new(), 8);
    let file = folder.path().join("0000000001.letters");
    for n in 0..count {
        keep(&writer, n).unwrap();
        writer.sync().unwrap();
        let to = fs::metadata(&file).unwrap().len() as usize;
        places.push(from..to);
        from = to;
    }
    writer.close().unwrap();
    (fs::read(file).unwrap(), places)
}

#[test]
fn a_flipped_byte_costs_no_letter_but_its_own() {
    let (mut bytes, places) = segment(pipewright_tests::faults(FULL));
    for at in 0..bytes.len() {
        // All bits over the whole segment, one after the other.
        let bit = 1 << (at % 8);
        for flip in [bit, 0xff] {
            bytes[at] ^= flip;
            let (found, damage): (Vec<_>, Vec<_>) = letters(&bytes).partition(Result::is_ok);
            let found: Vec<_> = found.into_iter().flatten().collect();
            let hit = places.iter().position(|place| place.contains(&at));
            let expect: Vec<u64> = (0..places.len() as u64)
                .filter(|n| Some(*n as usize) != hit)
                .collect();
            assert_eq!(numbers(&found), expect, "byte {at} ^ {flip:#x}");
            assert_eq!(
                damage.len(),
                usize::from(hit.is_some()),
                "byte {at} ^ {flip:#x}"
            );
            bytes[at] ^= flip;
        }
    }
}

#[test]
fn a_segment_that_is_cut_anywhere_has_its_whole_letters() {
    let (bytes, places) = segment(pipewright_tests::faults(FULL));
    for len in 0..bytes.len() {
        let whole = places.iter().filter(|place| place.end <= len).count() as u64;
        let (found, damage): (Vec<_>, Vec<_>) = letters(&bytes[..len]).partition(Result::is_ok);
        let found: Vec<_> = found.into_iter().flatten().collect();
        assert_eq!(
            numbers(&found),
            (0..whole).collect::<Vec<_>>(),
            "cut at {len}"
        );
        assert!(
            damage
                .iter()
                .all(|damage| damage.as_ref().is_err_and(|damage| damage.is_tail))
        );
    }
}

#[test]
fn a_torn_tail_is_cut_off_before_another_letter_is_written() {
    let (bytes, places) = segment(3);
    for len in 0..=bytes.len() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("0000000001.letters");
        fs::write(&file, &bytes[..len]).unwrap();
        let writer = DeadLetters::options()
            .segment_bytes(8192)
            .open(folder.path())
            .unwrap();
        keep(&writer, 99).unwrap();
        writer.close().unwrap();
        let found = Found::read(folder.path()).unwrap();
        let whole = places.iter().filter(|place| place.end <= len).count() as u64;
        let expect: Vec<u64> = (0..whole).chain([99]).collect();
        assert_eq!(
            (numbers(&found.letters), found.damage),
            (expect, vec![]),
            "cut at {len}"
        );
        assert_eq!(
            found.letters.last().map(|letter| letter.number),
            Some(whole + 1)
        );
    }
}

#[test]
fn a_torn_tail_that_is_longer_than_what_follows_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let writer = DeadLetters::open(folder.path()).unwrap();
    let entry = Entry {
        time: UNIX_EPOCH,
        stage: "parse",
        class: "item",
        attempts: 1,
        origin: None,
        error: "no 0",
    };
    writer.keep_bytes(&entry, &[7; 5000]).unwrap();
    writer.close().unwrap();
    let file = folder.path().join("0000000001.letters");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() - 100]).unwrap();
    let writer = DeadLetters::options()
        .segment_bytes(1 << 16)
        .open(folder.path())
        .unwrap();
    keep(&writer, 1).unwrap();
    writer.close().unwrap();
    assert_eq!(read(folder.path()), [1]);
}

#[test]
fn letters_behind_damage_are_kept_when_a_folder_is_opened() {
    let (mut bytes, places) = segment(12);
    bytes[places[5].start + 20] ^= 1;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("0000000001.letters"), &bytes).unwrap();
    let writer = DeadLetters::open(folder.path()).unwrap();
    keep(&writer, 99).unwrap();
    writer.close().unwrap();
    let found = Found::read(folder.path()).unwrap();
    assert_eq!(
        numbers(&found.letters),
        [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 99]
    );
    let damage: Vec<_> = found
        .damage
        .iter()
        .map(|(_, damage)| damage.bytes.clone())
        .collect();
    assert_eq!(damage, [places[5].clone()]);
}

#[test]
fn a_hostile_segment_takes_no_more_time_than_it_has_bytes() {
    // Each place looks like a frame that reaches to the end, so that a reader that believes it hashes everything each time.
    let len = 4usize << 20;
    let mut bytes = b"PWDEADL1".to_vec();
    while bytes.len() < len {
        let left = (len - bytes.len()).saturating_sub(12) as u32;
        bytes.extend([0xD1, 0xEA, 0xD1, 0x37]);
        bytes.extend(left.to_le_bytes());
        bytes.extend([0; 4]);
    }
    bytes.truncate(len);
    let pieces: Vec<_> = letters(&bytes).collect();
    assert_eq!(pieces.len(), 1);
    assert!(
        pieces[0]
            .as_ref()
            .is_err_and(|damage| damage.bytes == (8..len))
    );
}
