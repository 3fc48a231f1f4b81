//! `cargo xtask dead-letters`.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{
    fs,
    time::{Duration, UNIX_EPOCH},
};

use pipewright::{
    Origin,
    dead_letters::{DeadLetters, Entry, Keep},
};

use super::{Folder, Run};

const LIST: &str = "\
number  time                  stage  class       tries  error
     1  2026-01-02T03:04:05Z  price  dependency      3  no answer…
     2  2026-01-02T03:04:05Z  parse  item            1  `ten` is no number
     3  2026-01-02T03:04:05Z  parse  item            1  `\u{fffd}[31m` is no number
";

/// A folder `letters` with three letters.
fn folder() -> Folder {
    let folder = Folder::new(&[]);
    let path = folder.0.path().join("letters");
    let time = UNIX_EPOCH + Duration::from_micros(1_767_323_045_000_250);
    let entry = |stage, class, attempts, error| Entry {
        time,
        stage,
        class,
        attempts,
        origin: None,
        error,
    };
    let letters = DeadLetters::open(&path).unwrap();
    let mut first = entry("price", "dependency", 3, "no answer\nafter 2 s");
    first.origin = Some(Origin::new("ingest", 7, Some(12)));
    letters.keep_json(&first, &[("pair", "a/b")]).unwrap();
    letters
        .keep_bytes(&entry("parse", "item", 1, "`ten` is no number"), b"ten\xff")
        .unwrap();
    letters.close().unwrap();
    let letters = DeadLetters::options()
        .keep(Keep::Digest)
        .open(&path)
        .unwrap();
    letters
        .keep_bytes(&entry("parse", "item", 1, "`\x1b[31m` is no number"), b"5")
        .unwrap();
    letters.close().unwrap();
    folder
}

fn run(folder: &Folder, args: &str) -> Run {
    let args: Vec<&str> = ["dead-letters"]
        .into_iter()
        .chain(args.split(' '))
        .collect();
    folder.run(&args)
}

/// Runs it on the three letters.
#[track_caller]
fn check(args: &str, code: i32, out: &str, err: &str) {
    let run = run(&folder(), args);
    assert_eq!(
        (run.out.as_str(), run.err.as_str(), run.code),
        (out, err, code)
    );
}

#[test]
fn list_prints_a_line_for_each_letter() {
    check(
        "list letters",
        0,
        &format!("{LIST}3 letters, 0 replayed\n"),
        "",
    );
    check(
        "list letters/0000000001.letters",
        0,
        &format!("{LIST}3 letters, 0 replayed\n"),
        "",
    );
}

#[test]
fn show_prints_all_of_a_letter() {
    check(
        "show 1 letters",
        0,
        "\
number    1
time      2026-01-02T03:04:05.000250Z
stage     price
class     dependency
attempts  3
origin    ingest, batch 7, item 12
replayed  no
error     no answer
          after 2 s
item      [
            [
              \"pair\",
              \"a/b\"
            ]
          ]
",
        "",
    );
}

#[test]
fn an_item_is_shown_as_what_it_is_or_as_it_is_asked_for() {
    let check = |args: &str, code, expect: &str| {
        let run = run(&folder(), args);
        let text = if code == 0 { &run.out } else { &run.err };
        assert!(text.ends_with(expect), "{args}: {text}");
        assert_eq!(run.code, code);
    };
    check(
        "show 2 letters",
        0,
        "item      00000000  74 65 6e ff                                      ten.\n",
    );
    check(
        "show 1 letters --item utf8",
        0,
        "item      [[\"pair\",\"a/b\"]]\n",
    );
    check(
        "show 2 letters --item json",
        1,
        "error: the item is not JSON; `--item hex` prints it\n",
    );
    let hash = "ef2d127de37b942baad06145e54b0c619a1f22327b2ebbcfbec78f5564afe39d";
    check(
        "show 3 letters",
        0,
        &format!("item      not kept; 1 bytes, SHA-256 {hash}\n"),
    );
    check(
        "show 4 letters",
        1,
        "error: there is no letter 4; `list` prints the numbers\n",
    );
}

#[test]
fn replay_writes_items() {
    let missing = "warning: letter 3: its item was not kept\n";
    check(
        "replay letters",
        1,
        "[[\"pair\",\"a/b\"]]\n",
        &format!(
            "warning: letter 2: its item is bytes; `--format raw` writes them\n{missing}1 item written, 2 without an item\n"
        ),
    );
    check(
        "replay letters --stage price",
        0,
        "[[\"pair\",\"a/b\"]]\n",
        "1 item written, 0 without an item\n",
    );
    let folder = folder();
    let run = run(
        &folder,
        "replay letters --number 1 --number 2 --format raw --out items",
    );
    assert_eq!(
        (run.code, run.err.as_str()),
        (0, "2 items written, 0 without an item\n")
    );
    let items = fs::read(folder.0.path().join("items")).unwrap();
    assert_eq!(items, b"\x10\0\0\0[[\"pair\",\"a/b\"]]\x04\0\0\0ten\xff");
}

#[test]
fn what_was_replayed_can_be_marked_and_is_left_out_then() {
    let folder = folder();
    let first = run(&folder, "replay letters --stage price --mark");
    assert_eq!(
        (first.code, first.out.as_str()),
        (0, "[[\"pair\",\"a/b\"]]\n")
    );
    let second = run(&folder, "replay letters --stage price --mark");
    assert_eq!((second.code, second.out.as_str()), (0, ""));
    assert_eq!(second.err, "no items written, 0 without an item\n");
    let again = run(&folder, "replay letters --stage price --again");
    assert_eq!(again.out, first.out);
    let list = run(&folder, "list letters");
    assert!(
        list.out.contains("no answer…  (replayed)\n"),
        "{}",
        list.out
    );
    assert!(list.out.ends_with("3 letters, 1 replayed\n"));
    assert_eq!(
        fs::read_to_string(folder.0.path().join("letters/replayed.txt")).unwrap(),
        "1\n"
    );
}

#[test]
fn nothing_is_marked_and_no_file_is_replaced_if_the_output_cannot_be_written() {
    let folder = folder();
    folder.write("items", b"mine");
    let run = run(&folder, "replay letters --stage price --mark --out items");
    assert_eq!(
        (run.code, run.err.as_str()),
        (1, "error: `items` is there already; name a new file\n")
    );
    assert_eq!(fs::read(folder.0.path().join("items")).unwrap(), b"mine");
    assert!(!folder.0.path().join("letters/replayed.txt").exists());
}

#[test]
fn damage_is_told_and_hides_no_letter() {
    let folder = folder();
    let path = "letters/0000000001.letters";
    let mut bytes = fs::read(folder.0.path().join(path)).unwrap();
    bytes.extend([7; 5]);
    folder.write(path, &bytes);
    let torn = run(&folder, "list letters");
    assert_eq!(
        (torn.code, torn.err.starts_with("note: ")),
        (0, true),
        "{}",
        torn.err
    );
    bytes[30] ^= 1;
    folder.write(path, &bytes);
    let run = run(&folder, "list letters");
    assert_eq!(run.code, 1);
    assert!(run.out.ends_with("2 letters, 0 replayed\n"), "{}", run.out);
    let told: Vec<&str> = run
        .err
        .lines()
        .map(|line| line.rsplit_once(" are ").unwrap().1)
        .collect();
    assert_eq!(told, ["damaged", "a torn tail"]);
}

#[test]
fn files_that_cannot_be_read_are_errors_that_name_them() {
    let check = |args: &str, err: &str| {
        let folder = Folder::new(&[("other.letters", "somebody's text")]);
        let run = run(&folder, args);
        assert_eq!((run.err.as_str(), run.code), (err, 1));
    };
    check(
        "list other.letters",
        "error: `other.letters` does not hold dead letters\n",
    );
    check(
        "list none",
        "error: cannot read `none`: No such file or directory (os error 2)\n",
    );
}
