//! A dry run does what a run with threads does, on one thread and with a clock that the test moves.

#![allow(
    unreachable_pub,
    missing_debug_implementations,
    missing_docs,
    clippy::manual_is_multiple_of,
    clippy::unwrap_used,
    reason = "pipelines of a test are written as users write theirs"
)]

use pipewright::{Batch, Emit, pipeline};
use pipewright_tests::{Seen, work};

#[pipeline(env = Seen<u64>)]
mod orders {
    use super::*;

    #[stage(from = input)]
    pub fn parse(n: u64) -> Option<u64> {
        (!n.is_multiple_of(3)).then(|| work(n))
    }

    #[stage(from = parse)]
    pub fn price(n: u64) -> Result<u64, String> {
        if n.is_multiple_of(5) {
            Err(format!("no price for {n}"))
        } else {
            Ok(n * 10)
        }
    }

    #[stage(from = price, key = |n| n % 7)]
    pub fn count(n: u64, seen: &mut u64) -> (u64, u64) {
        *seen += 1;
        (n, *seen)
    }

    #[stage(from = count)]
    pub fn split(pair: (u64, u64), out: &mut Emit<u64>) {
        out.send(pair.0);
        out.send(pair.1);
    }

    #[stage(from = split, batch = 8, linger = "50us")]
    pub fn verify(batch: &mut Batch<u64>) {
        batch.retain(|n| n % 2 == 0);
    }

    #[sink(from = verify)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }

    #[sink(from = price::Err)]
    pub fn reject(error: String, count: &mut usize) {
        *count += error.len();
    }
}

#[test]
fn it_counts_and_delivers_what_a_run_with_threads_does() {
    let threads = Seen::new();
    let run = orders::pipeline()
        .workers(2)
        .start(threads.clone())
        .unwrap();
    run.send_all(0..2000).unwrap();
    let with_threads = run.drain().unwrap();

    let alone = Seen::new();
    let mut run = orders::pipeline().dry_run(alone.clone());
    run.feed_input(0..2000);
    let dry = run.drain().unwrap();

    assert_eq!(dry.ledger(), with_threads.ledger(), "{dry}\n{with_threads}");
    for (a, b) in dry
        .metrics()
        .stages()
        .iter()
        .zip(with_threads.metrics().stages())
    {
        // How long a batch took is the machine's, not the pipeline's.
        let mut b = b.clone();
        (b.late_batches, b.longest_batch) = (a.late_batches, a.longest_batch);
        assert_eq!(*a, b);
    }
    let (mut a, mut b) = (alone.take(), threads.take());
    a.sort_unstable();
    b.sort_unstable();
    assert_eq!(a, b);
}

#[test]
fn a_partial_batch_waits_until_its_linger_has_passed() {
    let mut run = orders::pipeline().dry_run(Seen::new());
    run.feed::<orders::verify>([2, 3, 4]);
    assert!(run.take::<orders::verify>().is_empty());
    run.advance("49us");
    assert!(run.take::<orders::verify>().is_empty());
    run.advance("1us");
    assert_eq!(run.take::<orders::verify>(), [2, 4]);
    assert_eq!(run.metrics().stage::<orders::verify>().filtered, 1);
}

#[test]
fn errors_are_taken_by_their_door() {
    let mut run = orders::pipeline().dry_run(Seen::new());
    run.feed::<orders::price>([1, 5]);
    assert_eq!(run.take_err::<orders::price>(), ["no price for 5"]);
    assert_eq!(run.take::<orders::price>(), [10]);
}
