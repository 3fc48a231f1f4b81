//! Answers and errors that are read by stages, too, and ways that part.

use std::sync::{Arc, Mutex};

use pipewright::{CallError, pipeline};

use crate::Wrong;

/// Who reads what calls give, too.
#[derive(Debug, Default)]
pub struct Seen {
    replies: Mutex<Vec<u64>>,
    errors: Mutex<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad(pub String);

impl From<Wrong> for Bad {
    fn from(wrong: Wrong) -> Bad {
        Bad(format!("wrong {}", wrong.0))
    }
}

/// The answer and the errors have readers; one error finds its way back; one way leads elsewhere.
#[pipeline(env = Arc<super::Seen>, reply = price)]
mod readers {
    use super::*;

    pub enum Way {
        Fast(u64),
        Slow(u64),
        Away(u64),
    }

    #[stage(from = input, on_error = drop)]
    pub fn parse(n: u64) -> Result<u64, Wrong> {
        if n == 1 { Err(Wrong(n)) } else { Ok(n) }
    }

    #[stage(from = parse)]
    pub fn classify(n: u64) -> Way {
        match n % 10 {
            0 => Way::Slow(n),
            9 => Way::Away(n),
            _ => Way::Fast(n),
        }
    }

    #[stage(from = classify::Slow)]
    pub fn slow(n: u64) -> Result<u64, u64> {
        if n == 20 { Err(n) } else { Ok(n) }
    }

    #[stage(from = slow::Err)]
    pub fn mend(n: u64) -> u64 {
        n + 1
    }

    #[stage(from = [classify::Fast, slow, mend])]
    pub fn price(n: u64) -> Result<u64, Bad> {
        if n == 33 {
            Err(Bad("33".to_owned()))
        } else {
            Ok(n * 100)
        }
    }

    #[sink(from = price)]
    pub fn publish(n: u64, env: &Arc<Seen>) {
        env.replies.lock().expect("no panic").push(n);
    }

    #[sink(from = price::Err)]
    pub fn reject(bad: Bad, env: &Arc<Seen>) {
        env.errors.lock().expect("no panic").push(bad.0);
    }

    #[sink(from = classify::Away)]
    pub fn away(_: u64) {}
}

#[test]
fn answers_and_errors_that_are_read_go_to_callers_too() {
    for workers in [1, 2] {
        let seen = Arc::<Seen>::default();
        let run = readers::pipeline()
            .workers(workers)
            .start(Arc::clone(&seen))
            .expect("it starts");
        let bad = |text: &str| Bad(text.to_owned());
        let cases = [
            (2, Ok(200)),
            (10, Ok(1000)),
            (20, Ok(2100)),
            (9, Err(CallError::Filtered { stage: "classify" })),
            (
                1,
                Err(CallError::Failed {
                    stage: "parse",
                    error: bad("wrong 1"),
                }),
            ),
            (
                33,
                Err(CallError::Failed {
                    stage: "price",
                    error: bad("33"),
                }),
            ),
        ];
        for (request, expect) in cases {
            assert_eq!(run.call(request), expect, "{request}");
        }
        run.send(5).expect("it is taken");
        let _ = run.drain().expect("the ledger balances");
        assert_eq!(
            *seen.replies.lock().expect("no panic"),
            [200, 1000, 2100, 500]
        );
        assert_eq!(*seen.errors.lock().expect("no panic"), ["33"]);
    }
}

/// The shape in a file.
#[pipeline("shop.ron")]
mod shop {
    #[stage]
    pub fn parse(text: String) -> Result<u32, std::num::ParseIntError> {
        text.parse()
    }

    #[stage]
    pub fn price(n: u32) -> u32 {
        n * 30
    }
}

#[test]
fn reply_may_stand_in_a_file() {
    let run = shop::pipeline().workers(1).start(()).expect("it starts");
    assert_eq!(run.call("4".to_owned()), Ok(120));
    assert_eq!(
        run.call("four".to_owned()).map_err(|error| error.stage()),
        Err(Some("parse"))
    );
    let _ = run.drain().expect("the ledger balances");
}

#[test]
fn a_dry_run_shows_what_answers() {
    let mut run = readers::pipeline().dry_run(Arc::default());
    run.feed_input([2, 10, 20, 9, 1, 33]);
    assert_eq!(run.take::<readers::price>(), [200, 1000, 2100]);
    let report = run.drain().expect("the ledger balances");
    assert_eq!((report.ledger().received, report.ledger().failed), (6, 3));
    // What no stage reads ends with the stage that answers, whether a test has taken it or not.
    for taken in [true, false] {
        let mut run = shop::pipeline().dry_run(());
        run.feed_input(["1", "2", "x"].map(str::to_owned));
        if taken {
            assert_eq!(run.take::<shop::price>(), [30, 60]);
        }
        let ledger = run.drain().expect("the ledger balances").ledger();
        assert_eq!((ledger.delivered, ledger.failed), (2, 1));
    }
}
