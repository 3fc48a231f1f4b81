//! Generated code is safe and raises no lint of the crate that it stands in.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications
)]

use pipewright::{Batch, Emit, pipeline};

/// A part or the rest.
#[derive(Debug)]
pub enum Piece {
    /// A part.
    Part(u64),
    /// The rest.
    Rest(u64),
}

/// A pipeline with most of what there is.
#[pipeline]
pub mod shapes {
    use super::*;

    /// Numbers.
    #[source]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..100
    }

    /// Even ones.
    #[stage(from = numbers)]
    pub fn even(n: u64) -> Result<u64, String> {
        if n.is_multiple_of(2) {
            Ok(n)
        } else {
            Err(n.to_string())
        }
    }

    /// Two pieces of each.
    #[stage(from = even)]
    pub fn split(n: u64, out: &mut Emit<Piece>) {
        out.send(Piece::Part(n / 2));
        out.send(Piece::Rest(n - n / 2));
    }

    /// By key.
    #[stage(from = split::Part, key = |n: &u64| n % 4)]
    pub fn by_key(n: u64, seen: &mut u64) -> u64 {
        *seen += 1;
        n
    }

    /// Many at once.
    #[stage(from = [by_key, split::Rest], batch = 8)]
    pub fn many(batch: &mut Batch<u64>) {
        batch.retain(|n| *n > 0);
    }

    /// The sum.
    #[sink(from = many)]
    pub fn last(n: u64, sum: &mut u64) {
        *sum += n;
    }

    /// The odd ones.
    #[sink(from = even::Err)]
    pub fn odd(error: String, count: &mut usize) {
        *count += error.len().min(1);
    }
}

fn main() {
    let mut report = shapes::pipeline()
        .workers(2)
        .start(())
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(
        report.take_state::<shapes::last>().unwrap(),
        (0..100).step_by(2).sum::<u64>()
    );
}
