//! Readers of `Err` that take dead letters: every failed item becomes one, with what is known about it.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use std::{
    collections::BTreeMap,
    time::{Duration, UNIX_EPOCH},
};

use pipewright::{
    DeadLetter, ErrorClass, NotKept, Origin,
    dead_letters::{DeadLetters, DeadLettersError, Found, Payload},
    pipeline,
};

const ITEMS: u64 = 20_000;

/// Every seventh item fails.
fn refuse_sevenths(n: u64) -> Result<u64, String> {
    if n % 7 == 0 {
        Err(format!("no {n}"))
    } else {
        Ok(n)
    }
}

fn sevenths() -> Vec<u64> {
    (0..ITEMS).filter(|n| n % 7 == 0).collect()
}

/// What all letters have in common, and which items failed.
#[track_caller]
fn items(letters: &[DeadLetter<String, u64>], stage: &str) -> Vec<u64> {
    for letter in letters {
        assert_eq!(letter.error, format!("no {}", letter.item));
        assert_eq!(
            (letter.stage, letter.class, letter.attempts),
            (stage, ErrorClass::Dependency, 1)
        );
        assert!(letter.first == letter.last && letter.first > UNIX_EPOCH);
    }
    let mut items: Vec<u64> = letters.iter().map(|letter| letter.item).collect();
    items.sort_unstable();
    items
}

/// By the numbers of batches: where each begins, in the order in which the source gave them.
#[track_caller]
fn check_origins(letters: &[DeadLetter<String, u64>], source: &str) {
    let mut batches = BTreeMap::<u64, Vec<(u64, u64)>>::new();
    for letter in letters {
        let Origin {
            source: from,
            batch,
            index,
            ..
        } = letter.origin.clone().expect("an origin");
        assert_eq!(from, source);
        let index = index.expect("a place in the batch");
        batches
            .entry(batch)
            .or_default()
            .push((letter.item, index.into()));
    }
    let mut end = 0;
    for of in batches.values() {
        let begin = of[0].0 - of[0].1;
        assert!(
            begin >= end,
            "batches are numbered in the order of the source"
        );
        for (item, index) in of {
            assert_eq!(item - index, begin, "the place of an item in its batch");
            end = end.max(item + 1);
        }
    }
}

type Letter = DeadLetter<String, u64>;

/// Runs the pipeline of a module in several ways, and hands the letters that its `keep` has to `check`.
macro_rules! check_letters {
    ($module:ident, $check:expr) => {
        check_letters!($module, wait, |_| {}, $check)
    };
    ($module:ident, $end:ident, $send:expr, $check:expr) => {
        for (workers, divide) in [(1, false), (2, false), (2, true)] {
            println!("{workers} workers, divided: {divide}");
            let builder = $module::pipeline().workers(workers);
            let builder = if divide {
                builder.always_divide()
            } else {
                builder
            };
            let run = builder.start(()).unwrap();
            $send(&run);
            let mut report = run.$end().unwrap();
            assert!(report.ledger().is_balanced());
            $check(report.take_state::<$module::keep>().unwrap());
        }
    };
}

#[pipeline]
mod fused {
    use super::*;

    #[source(batch = 500)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn pass(n: u64) -> u64 {
        n
    }

    #[stage(from = pass)]
    pub fn check(n: u64) -> Result<u64, String> {
        refuse_sevenths(n)
    }

    #[sink(from = check)]
    pub fn done(_n: u64) {}

    #[sink(from = check::Err)]
    pub fn keep(letter: DeadLetter<String, u64>, kept: &mut Vec<Letter>) {
        kept.push(letter);
    }
}

#[test]
fn a_letter_has_the_item_and_its_place_in_the_source() {
    check_letters!(fused, |letters: Vec<Letter>| {
        assert_eq!(items(&letters, "check"), sevenths());
        check_origins(&letters, "numbers");
    });
}

#[pipeline]
mod pushed {
    use super::*;

    #[stage(from = input)]
    pub fn check(n: u64) -> Result<Option<u64>, String> {
        refuse_sevenths(n).map(|n| (n % 2 == 0).then_some(n))
    }

    #[sink(from = check)]
    pub fn done(_n: u64) {}

    #[sink(from = check::Err)]
    pub fn keep(letter: DeadLetter<String, u64>, kept: &mut Vec<Letter>) {
        kept.push(letter);
    }
}

#[test]
fn letters_of_pushed_items_come_from_the_input() {
    let send = |run: &pipewright::Running<pushed::Pipeline>| {
        for n in 0..ITEMS {
            run.send(n).unwrap();
        }
    };
    check_letters!(pushed, drain, send, |letters: Vec<Letter>| {
        assert_eq!(items(&letters, "check"), sevenths());
        check_origins(&letters, "input");
    });
}

#[pipeline]
mod serial {
    use super::*;

    #[source(batch = 500)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn check(mut n: u64, calls: &mut u64) -> Result<u64, String> {
        *calls += 1;
        let refused = refuse_sevenths(n);
        n += *calls;
        refused.map(|_| n)
    }

    #[sink(from = check)]
    pub fn done(_n: u64) {}

    #[sink(from = check::Err)]
    pub fn keep(letter: DeadLetter<String, u64>, kept: &mut Vec<Letter>) {
        kept.push(letter);
    }
}

#[test]
fn a_serial_stage_knows_the_batch_and_the_item_as_it_came() {
    check_letters!(serial, |letters: Vec<Letter>| {
        assert_eq!(items(&letters, "check"), sevenths());
        let batches: Vec<u64> = letters
            .iter()
            .map(|letter| letter.origin.as_ref().unwrap().batch)
            .collect();
        assert!(batches.is_sorted(), "{batches:?}");
        assert!(batches.len() > 1);
    });
}

/// Items with a key, behind which many come of one.
#[pipeline]
mod keyed {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, key = |n: &u64| n % 13)]
    pub fn check(n: u64, out: &mut pipewright::Emit<u64>, seen: &mut u64) -> Result<(), String> {
        *seen += 1;
        out.send(n);
        refuse_sevenths(n).map(|n| out.send(n))
    }

    #[sink(from = check)]
    pub fn done(_n: u64) {}

    #[sink(from = check::Err, order = any)]
    pub fn keep(letter: DeadLetter<String, u64>, kept: &mut Vec<Letter>) {
        kept.push(letter);
    }
}

#[test]
fn keyed_stages_and_those_that_send_many_have_letters() {
    check_letters!(keyed, |letters: Vec<Letter>| {
        assert_eq!(items(&letters, "check"), sevenths());
        assert!(
            letters
                .iter()
                .all(|letter| letter.origin.as_ref().unwrap().source == "numbers")
        );
    });
}

/// Two ways of different lengths, one of which passes a gate, and a stage where they meet.
#[pipeline]
mod joined {
    use super::*;

    #[source(batch = 500)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    pub enum Way {
        Odd(u64),
        Even(u64),
    }

    #[stage(from = numbers)]
    pub fn split(n: u64) -> Way {
        if n % 2 == 0 {
            Way::Even(n)
        } else {
            Way::Odd(n)
        }
    }

    #[stage(from = split::Odd)]
    pub fn count(n: u64, odd: &mut u64) -> u64 {
        *odd += 1;
        n
    }

    #[stage(from = [split::Even, count])]
    pub fn check(n: u64, seen: &mut u64) -> Result<u64, String> {
        *seen += 1;
        refuse_sevenths(n)
    }

    #[sink(from = check)]
    pub fn done(_n: u64) {}

    #[sink(from = check::Err)]
    pub fn keep(letter: DeadLetter<String, u64>, kept: &mut Vec<Letter>) {
        kept.push(letter);
    }
}

#[test]
fn where_ways_come_together_the_batch_is_known() {
    check_letters!(joined, |letters: Vec<Letter>| {
        assert_eq!(items(&letters, "check"), sevenths());
        let with_index = letters
            .iter()
            .all(|letter| letter.origin.as_ref().unwrap().index.is_some());
        if with_index {
            check_origins(&letters, "numbers");
        }
        assert!(
            letters
                .iter()
                .all(|letter| letter.origin.as_ref().unwrap().source == "numbers")
        );
    });
}

/// Several readers of one `Err`, each of another kind, one of them behind another failing stage.
#[pipeline]
mod several {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn check(n: u64) -> Result<u64, String> {
        refuse_sevenths(n)
    }

    #[sink(from = check, on_error = drop)]
    pub fn done(_n: u64) -> Result<(), String> {
        Ok(())
    }

    #[sink(from = check::Err)]
    pub fn keep(letter: DeadLetter<String, u64>, kept: &mut Vec<Letter>) {
        kept.push(letter);
    }

    #[stage(from = check::Err)]
    pub fn repair(letter: DeadLetter<String, u64>) -> Result<u64, Letter> {
        if letter.item % 2 == 0 {
            Ok(letter.item)
        } else {
            Err(letter)
        }
    }

    #[sink(from = repair)]
    pub fn repaired(_n: u64, count: &mut u64) {
        *count += 1;
    }

    #[sink(from = repair::Err)]
    pub fn given_up(letter: DeadLetter<Letter>, kept: &mut Vec<DeadLetter<Letter>>) {
        kept.push(letter);
    }

    #[sink(from = check::Err)]
    pub fn errors(letter: DeadLetter<String>, kept: &mut Vec<DeadLetter<String, NotKept>>) {
        kept.push(letter);
    }

    #[sink(from = check::Err)]
    pub fn plain(error: String, kept: &mut Vec<String>) {
        kept.push(error);
    }
}

#[test]
fn readers_of_one_error_take_what_each_of_them_wants() {
    for workers in [1, 2] {
        let mut report = several::pipeline()
            .workers(workers)
            .start(())
            .unwrap()
            .wait()
            .unwrap();
        let letters = report.take_state::<several::keep>().unwrap();
        assert_eq!(items(&letters, "check"), sevenths());
        let errors = report.take_state::<several::errors>().unwrap();
        assert!(
            errors
                .iter()
                .map(|letter| &letter.error)
                .eq(letters.iter().map(|letter| &letter.error))
        );
        assert!(
            errors
                .iter()
                .map(|letter| &letter.origin)
                .eq(letters.iter().map(|letter| &letter.origin))
        );
        let plain = report.take_state::<several::plain>().unwrap();
        assert!(plain.iter().eq(letters.iter().map(|letter| &letter.error)));
        let (odd, even): (Vec<u64>, Vec<u64>) = sevenths().into_iter().partition(|n| n % 2 == 1);
        assert_eq!(
            report.take_state::<several::repaired>().unwrap(),
            even.len() as u64
        );
        let given_up = report.take_state::<several::given_up>().unwrap();
        assert!(given_up.iter().map(|letter| letter.error.item).eq(odd));
        assert!(
            given_up
                .iter()
                .all(|letter| letter.stage == "repair" && letter.error.stage == "check")
        );
    }
}

/// A batch stage in front, whose output says nothing about which of its items it was made of; and a sink that fails.
#[pipeline]
mod batched {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, batch = 16)]
    pub fn gather(numbers: &mut pipewright::Batch<u64>) {
        numbers.retain(|_| true);
    }

    #[sink(from = gather)]
    pub fn store(n: u64) -> Result<(), String> {
        refuse_sevenths(n).map(drop)
    }

    #[sink(from = store::Err)]
    pub fn keep(letter: DeadLetter<String, u64>, kept: &mut Vec<Letter>) {
        kept.push(letter);
    }
}

#[test]
fn behind_a_batch_stage_no_place_is_made_up() {
    check_letters!(batched, |letters: Vec<Letter>| {
        assert_eq!(items(&letters, "store"), sevenths());
        let index = |letter: &Letter| letter.origin.as_ref().and_then(|origin| origin.index);
        assert!(letters.iter().all(|letter| index(letter).is_none()));
    });
}

/// Pinned threads, the second of which takes items from a ring.
#[pipeline]
mod pinned {
    use super::*;

    #[source(cores = "0")]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers, cores = "1")]
    pub fn check(n: u64) -> Result<u64, String> {
        refuse_sevenths(n)
    }

    #[sink(from = check, cores = "1")]
    pub fn done(_n: u64) {}

    #[sink(from = check::Err, cores = "0")]
    pub fn keep(letter: DeadLetter<String, u64>, kept: &mut Vec<Letter>) {
        kept.push(letter);
    }
}

#[test]
fn pinned_stages_have_letters() {
    let run = pinned::pipeline().workers(1).start(()).unwrap();
    let mut report = run.wait().unwrap();
    let letters = report.take_state::<pinned::keep>().unwrap();
    assert_eq!(items(&letters, "check"), sevenths());
}

#[test]
fn a_dry_run_has_letters_with_its_own_time() {
    let mut run = several::pipeline().dry_run(());
    run.advance("3s");
    run.feed_from::<several::numbers>([1, 14, 3, 21]);
    run.run();
    let mut report = run.drain().unwrap();
    let letters = report.take_state::<several::keep>().unwrap();
    let found: Vec<_> = letters
        .iter()
        .map(|letter| (letter.item, letter.error.as_str(), letter.origin.clone()))
        .collect();
    let origin = |index| Some(Origin::new("numbers", 0, Some(index)));
    assert_eq!(found, [(14, "no 14", origin(1)), (21, "no 21", origin(3))]);
    assert!(
        letters
            .iter()
            .all(|letter| letter.last == UNIX_EPOCH + Duration::from_secs(3))
    );
    assert_eq!(
        report.take_state::<several::plain>().unwrap(),
        ["no 14", "no 21"]
    );
    let errors = report.take_state::<several::errors>().unwrap();
    assert_eq!(errors.len(), 2);
    assert!(errors.iter().all(|letter| letter.item == NotKept));
    assert_eq!(report.take_state::<several::repaired>().unwrap(), 1);
}

#[pipeline(env = std::path::PathBuf)]
mod written {
    use super::*;

    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn check(n: u64) -> Result<u64, String> {
        refuse_sevenths(n)
    }

    #[sink(from = check)]
    pub fn done(_n: u64) {}

    fn open(folder: &std::path::PathBuf) -> Result<DeadLetters, DeadLettersError> {
        DeadLetters::open(folder)
    }

    #[sink(from = check::Err, state = open, on_error = stop)]
    pub fn keep(
        letter: DeadLetter<String, u64>,
        letters: &mut DeadLetters,
    ) -> Result<(), DeadLettersError> {
        letters.keep(&letter)
    }
}

#[test]
fn letters_are_written_to_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run = written::pipeline().start(folder.path().to_owned()).unwrap();
    let mut report = run.wait().unwrap();
    let stats = report
        .take_state::<written::keep>()
        .unwrap()
        .close()
        .unwrap();
    assert_eq!((stats.taken, stats.waiting), (sevenths().len() as u64, 0));
    let found = Found::read(folder.path()).unwrap();
    let items: Vec<u64> = found
        .letters
        .iter()
        .map(|letter| match &letter.payload {
            Payload::Json(json) => str::from_utf8(json).unwrap().parse().unwrap(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(items, sevenths());
    let letter = &found.letters[1];
    assert_eq!(
        (&*letter.stage, &*letter.class, &*letter.error),
        ("check", "dependency", "no 7")
    );
    assert_eq!(letter.origin.as_ref().unwrap().source, "numbers");
}
