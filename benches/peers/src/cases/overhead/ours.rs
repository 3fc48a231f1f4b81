//! pipewright: fused, handed over in batches, and handed over one by one; always in order.

use pipewright::pipeline;

use super::{Tokens, folded, mixed, scaled};
use crate::harness::Contender;

/// Tokens that are handed over at once.
const BATCH: u64 = 512;

/// The generator sees all four stages.
#[pipeline(env = u64)]
pub mod fused {
    use super::*;

    #[source]
    pub fn tokens(env: &u64) -> impl Iterator<Item = u64> {
        0..*env
    }

    #[stage(from = tokens)]
    pub fn scale(x: u64) -> u64 {
        scaled(x)
    }

    #[stage(from = scale)]
    pub fn mix(x: u64) -> u64 {
        mixed(x)
    }

    #[sink(from = mix)]
    pub fn fold(x: u64, sum: &mut u64) {
        *sum = folded(*sum, x);
    }
}

/// The caller's thread is the first stage and hands over to the pipeline's.
#[pipeline]
pub mod handed {
    use super::*;

    #[stage(from = input, queue = 16384)]
    pub fn scale(x: u64) -> u64 {
        scaled(x)
    }

    #[stage(from = scale)]
    pub fn mix(x: u64) -> u64 {
        mixed(x)
    }

    #[sink(from = mix)]
    pub fn fold(x: u64, sum: &mut u64) {
        *sum = folded(*sum, x);
    }
}

fn run_fused(count: u64) -> u64 {
    let report = fused::pipeline().workers(2).run(count);
    let sum = report.expect("nothing fails").take_state::<fused::fold>();
    sum.expect("the sink has a state")
}

fn run_handed(count: u64, batch: u64) -> u64 {
    let run = handed::pipeline()
        .workers(2)
        .start(())
        .expect("the pipeline starts");
    if batch == 1 {
        (0..count)
            .try_for_each(|x| run.send(x))
            .expect("it takes items");
    } else {
        let mut tokens = Vec::with_capacity(batch as usize);
        for start in (0..count).step_by(batch as usize) {
            tokens.extend(start..count.min(start + batch));
            run.send_batch(&mut tokens).expect("it takes items");
        }
    }
    let mut report = run.drain().expect("nothing fails");
    report
        .take_state::<handed::fold>()
        .expect("the sink has a state")
}

pub(super) fn contenders(tokens: Tokens) -> Vec<Contender> {
    vec![
        Contender::ours("pipewright, fused stages", tokens.work(run_fused)),
        Contender::ours(
            "pipewright, ordered hand-over in batches",
            tokens.work(|count| run_handed(count, BATCH)),
        ),
        Contender::ours(
            "pipewright, one token at a time",
            tokens.work(|count| run_handed(count, 1)),
        ),
    ]
}
