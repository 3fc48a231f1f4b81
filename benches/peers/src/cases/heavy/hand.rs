//! By hand: one thread, two threads with a counter of rows, and the stage's body with AVX-512.

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use pipewright_peers_raw::{has_avx512, lanes};

use super::{Picture, Task};
use crate::harness::{Contender, contender::Kind, threads::joined};

/// Two threads that take the next row from a counter and write it where it belongs.
fn counter(picture: Picture, paint: impl Fn(usize, &mut [u8]) + Sync) -> Vec<u8> {
    let next = AtomicUsize::new(0);
    let rows = || {
        let mut mine = Vec::new();
        loop {
            let row = next.fetch_add(1, Relaxed);
            if row >= picture.size {
                return mine;
            }
            let mut line = vec![0; picture.size];
            paint(row, &mut line);
            mine.push((row, line));
        }
    };
    let (one, other) = thread::scope(|scope| {
        let other = scope.spawn(rows);
        (rows(), joined(other))
    });
    let mut image = vec![0; picture.size * picture.size];
    for (row, line) in one.into_iter().chain(other) {
        image[row * picture.size..][..picture.size].copy_from_slice(&line);
    }
    image
}

fn scalar(picture: Picture) -> Vec<u8> {
    counter(picture, |index, line| {
        let row = picture.go_on(picture.begin(index));
        let counts = row.counts.iter();
        line.iter_mut()
            .zip(counts)
            .for_each(|(pixel, count)| *pixel = picture.colour(*count));
    })
}

fn vector(picture: Picture) -> Vec<u8> {
    counter(picture, |index, line| {
        let mut counts = vec![0; picture.size];
        let Picture { first, second, .. } = picture;
        if lanes::row(
            Picture::LEFT,
            picture.step(),
            picture.y(index),
            first,
            second,
            &mut counts,
        ) {
            line.iter_mut()
                .zip(&counts)
                .for_each(|(pixel, count)| *pixel = picture.colour(*count));
        }
    })
}

pub(super) fn contenders(task: &Task) -> Vec<Contender> {
    let by_vector = "2 threads, AVX-512 stage body";
    let vector = match has_avx512() {
        true => Contender::limit(by_vector, task.work(vector)),
        false => Contender::skipped(Kind::Limit, by_vector, "the machine has no AVX-512"),
    };
    vec![
        Contender::limit("sequential", task.work(Picture::sequential)),
        Contender::limit("2 threads, row counter", task.work(scalar)),
        vector,
    ]
}
