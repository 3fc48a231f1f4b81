//! Files that grow, are renamed, cut off, and gone, and are remembered meanwhile.

use std::io::Write;

use pipewright_tests::wait_for;

use super::*;

struct Log {
    folder: tempfile::TempDir,
    tail: Tail,
    chunk: Vec<u8>,
}

impl Log {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tail = Tail::new(&folder.path().join("log"), 100, Vec::new());
        Self {
            folder,
            tail,
            chunk: vec![0; 64],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let file = File::options()
            .create(true)
            .append(true)
            .open(self.path(name));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("writes");
    }

    /// What is given until nothing comes any more, `line:text` each.
    fn told(&mut self) -> Vec<String> {
        let mut out = Emit::new();
        // A file that was just opened has given nothing yet.
        for _ in 0..4 {
            while self.tail.poll(&mut self.chunk, &mut out) && out.len() < 1000 {}
        }
        let told = out.into_vec().into_iter().map(|raw| match raw.text {
            Ok(text) => format!("{}:{}", raw.origin.line, String::from_utf8_lossy(&text)),
            Err(fault) => fault.to_string(),
        });
        told.collect()
    }

    /// A log of one line, which was given.
    fn begun() -> Self {
        let mut log = Self::new();
        log.write("log", "one\n");
        assert_eq!(log.told(), ["1:one"]);
        log
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renames");
    }

    /// As who is started again with what was saved.
    fn begin_again(&mut self) {
        let marks = self.tail.marks();
        self.tail = Tail::new(&self.path("log"), 100, marks);
    }
}

const GONE: &str = "is not there any more, and is looked for until it comes back";

#[test]
fn lines_are_given_when_they_are_whole() {
    let mut log = Log::new();
    log.write("log", "one\ntw");
    assert_eq!(log.told(), ["1:one"]);
    log.write("log", "o\nthree");
    assert_eq!(log.told(), ["2:two"]);
    log.write("log", "\n");
    assert_eq!(log.told(), ["3:three"]);
    assert!(log.told().is_empty());
}

#[test]
fn a_file_that_is_renamed_is_read_to_its_end_and_the_new_one_from_its_beginning() {
    let mut log = Log::begun();
    log.write("log", "two\n");
    log.rename("log", "log.1");
    log.write("log", "new\n");
    assert_eq!(log.told(), ["2:two", "1:new"]);
    // Who writes has not noticed.
    log.write("log.1", "late\n");
    assert_eq!(log.told(), ["3:late"]);
    log.write("log.1", "no end");
    log.rename("log", "log.2");
    log.write("log", "newest\n");
    assert_eq!(log.told(), ["4:no end", "1:newest"]);
}

#[test]
fn a_file_that_is_cut_off_is_read_again() {
    let mut log = Log::new();
    log.write("log", "one\ntwo\nno end");
    assert_eq!(log.told(), ["1:one", "2:two"]);
    fs::write(log.path("log"), "again\n").expect("writes");
    assert_eq!(log.told(), ["3:no end", "1:again"]);
}

#[test]
fn a_file_that_is_gone_is_told_once_and_found_again() {
    let mut log = Log::new();
    assert_eq!(log.told(), [GONE]);
    assert!(log.told().is_empty());
    log.write("log", "one\n");
    assert_eq!(log.told(), ["1:one"]);
    fs::remove_file(log.path("log")).expect("removes");
    assert_eq!(log.told(), [GONE]);
    log.write("log", "two\n");
    assert_eq!(log.told(), ["1:two"]);
    // A folder cannot be read as a file.
    fs::remove_file(log.path("log")).expect("removes");
    fs::create_dir(log.path("log")).expect("makes");
    assert_eq!(log.told().len(), 1);
}

#[test]
fn a_file_is_read_on_from_where_it_was_remembered() {
    let mut log = Log::new();
    log.write("log", "one\ntw");
    assert_eq!(log.told(), ["1:one"]);
    log.begin_again();
    log.write("log", "o\nthree\n");
    assert_eq!(log.told(), ["2:two", "3:three"]);
    log.begin_again();
    assert!(log.told().is_empty());
}

#[test]
fn a_file_that_was_renamed_meanwhile_is_read_to_its_end() {
    let mut log = Log::begun();
    log.write("log", "two\n");
    log.rename("log", "log.1");
    log.write("log", "new\n");
    log.begin_again();
    assert_eq!(log.told(), ["2:two", "1:new"]);
    // Both are remembered from now on.
    log.begin_again();
    log.write("log.1", "late\n");
    log.write("log", "newer\n");
    assert_eq!(log.told(), ["3:late", "2:newer"]);
}

#[test]
fn another_file_of_that_name_is_read_from_its_beginning() {
    let mut log = Log::new();
    log.write("log", "one\ntwo\n");
    assert_eq!(log.told(), ["1:one", "2:two"]);
    // The same file, as far as its number says.
    fs::write(log.path("log"), "begins in another way\nnew\n").expect("writes");
    log.begin_again();
    assert_eq!(log.told(), ["1:begins in another way", "2:new"]);
    fs::write(log.path("log"), "short\n").expect("writes");
    log.begin_again();
    assert_eq!(log.told(), ["1:short"]);
    fs::remove_file(log.path("log")).expect("removes");
    log.begin_again();
    assert_eq!(log.told(), [GONE]);
    log.write("log", "made anew\n");
    assert_eq!(log.told(), ["1:made anew"]);
}

#[test]
fn lines_that_have_not_ended_come_again() {
    let mut log = Log::new();
    log.write("log", "one\n");
    let mut out = Emit::new();
    wait_for("the first line", || log.tail.poll(&mut log.chunk, &mut out));
    log.write("log", "two\n");
    assert_eq!(log.told(), ["2:two"]);
    log.begin_again();
    assert_eq!(log.told(), ["1:one", "2:two"]);
    drop(out);
}

#[test]
fn a_renamed_file_with_much_in_it_is_read_to_its_end_whatever_is_renamed_meanwhile() {
    let mut log = Log::begun();
    // More than a chunk.
    let much = "a line of thirty-two characters\n".repeat(20);
    log.write("log", &much);
    log.rename("log", "log.1");
    log.write("log", "new\n");
    log.begin_again();
    let mut out = Emit::new();
    wait_for("three lines", || {
        log.tail.poll(&mut log.chunk, &mut out);
        out.len() >= 3
    });
    log.rename("log.1", "log.2");
    log.rename("log", "log.1");
    log.write("log", "newest\n");
    let more = log.told();
    assert_eq!(out.len() + more.len(), 22, "{more:?}");
    assert!(
        more.iter()
            .any(|line| line == "21:a line of thirty-two characters")
    );
}

#[test]
fn a_renamed_file_is_found_although_nothing_has_its_name_yet() {
    let mut log = Log::begun();
    log.write("log", "two\n");
    log.rename("log", "log.1");
    log.begin_again();
    assert_eq!(log.told(), [GONE, "2:two"]);
    log.write("log", "new\n");
    assert_eq!(log.told(), ["1:new"]);
}

#[test]
fn a_file_that_could_not_be_read_for_a_moment_is_read_on() {
    let mut log = Log::begun();
    let mut out = Emit::new();
    log.tail.give_up(&io::Error::other("broken"), &mut out);
    assert_eq!(log.tail.marks().len(), 1, "it is not forgotten");
    log.write("log", "two\n");
    assert_eq!(log.told(), ["2:two"]);
}
