//! Frameworks that keep the order: rayon's indexed iterators, a thread for each stage, and oneTBB.

use std::{sync::Arc, thread};

use pipewright_peers_raw::tbb;
use rayon::prelude::*;

use super::{Tokens, folded, mixed, scaled};
use crate::harness::{Contender, contender::Kind, threads::joined};

/// The maps are fused by rayon; the results are collected in order and folded.
fn rayon_collect(count: u64) -> u64 {
    let tokens: Vec<u64> = (0..count as usize)
        .into_par_iter()
        .map(|x| scaled(x as u64))
        .map(mixed)
        .collect();
    tokens.into_iter().fold(0, folded)
}

/// The same with a job for each token.
fn rayon_jobs(count: u64) -> u64 {
    let tokens = (0..count as usize).into_par_iter().with_max_len(1);
    let tokens: Vec<u64> = tokens.map(|x| scaled(x as u64)).map(mixed).collect();
    tokens.into_iter().fold(0, folded)
}

fn thread_per_stage(count: u64) -> u64 {
    const CAPACITY: usize = 1024;
    let (to_scale, tokens) = crossbeam_channel::bounded(CAPACITY);
    let (to_mix, scaled_tokens) = crossbeam_channel::bounded(CAPACITY);
    let (to_fold, mixed_tokens) = crossbeam_channel::bounded(CAPACITY);
    thread::scope(|scope| {
        scope.spawn(move || (0..count).try_for_each(|x| to_scale.send(x)));
        scope.spawn(move || tokens.into_iter().try_for_each(|x| to_mix.send(scaled(x))));
        scope.spawn(move || {
            scaled_tokens
                .into_iter()
                .try_for_each(|x| to_fold.send(mixed(x)))
        });
        joined(scope.spawn(move || mixed_tokens.into_iter().fold(0, folded)))
    })
}

/// oneTBB with two threads; the middle stages are parallel or serial.
fn one_tbb(tokens: Tokens, name: &'static str, parallel: bool) -> Contender {
    if !tbb::INSTALLED {
        return Contender::skipped(Kind::Peer, name, tbb::MISSING);
    }
    // No sum is a wrong result.
    Contender::peer(
        name,
        tokens.work(move |count| tbb::tokens(count, parallel, 2, 16).unwrap_or_default()),
    )
}

pub(super) fn contenders(tokens: Tokens) -> Vec<Contender> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
    let pool = Arc::new(pool.expect("rayon starts its threads"));
    let same = Arc::clone(&pool);
    let not_here = "a C++ library without a package of the distribution; it is not built here";
    vec![
        Contender::peer(
            "rayon indexed map + collect + fold",
            tokens.work(move |n| pool.install(|| rayon_collect(n))),
        ),
        Contender::peer(
            "rayon, max_len 1 (a job per token)",
            tokens.work(move |n| same.install(|| rayon_jobs(n))),
        ),
        Contender::peer(
            "crossbeam-channel, thread per stage",
            tokens.work(thread_per_stage),
        ),
        one_tbb(tokens, "oneTBB SPPS, 16 tokens", true),
        one_tbb(tokens, "oneTBB SSSS, 16 tokens", false),
        Contender::skipped(Kind::Peer, "FastFlow pipe of 4 threads", not_here),
        Contender::skipped(Kind::Peer, "Taskflow SPPS, 16 lines", not_here),
    ]
}
