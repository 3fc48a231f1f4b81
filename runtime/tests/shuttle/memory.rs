//! Sources are paused while memory is scarce: workers sleep, and are woken when there is memory again or the run is drained.

use std::{fs, time::Duration};

use pipewright::{Builder, pipeline, pressure::MemoryWatch};
use tempfile::TempDir;

use crate::harness::{Seen, any, check, ended, pause, start, uneven};

const ITEMS: u64 = 24;

/// A control group with a limit of 1000 bytes, in files that the test writes.
struct Group(TempDir);

impl Group {
    fn new() -> Self {
        let group = Self(tempfile::tempdir().unwrap());
        let folder = group.0.path().join("sys/fs/cgroup");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("cgroup.controllers"), "memory\n").unwrap();
        fs::write(folder.join("memory.max"), "1000\n").unwrap();
        group.use_bytes(100);
        group
    }

    fn use_bytes(&self, bytes: u64) {
        let file = self.0.path().join("sys/fs/cgroup/memory.current");
        fs::write(file, format!("{bytes}\n")).unwrap();
    }

    /// Lets the memory become scarce and plentiful again, some times.
    fn change(&self) {
        for _ in 0..1 + any(3) {
            self.use_bytes([820, 920, 990][any(3) as usize]);
            pause(200);
            self.use_bytes(100);
            pause(50);
        }
    }
}

#[pipeline(env = Seen<u64>, quantum = "1us")]
mod numbers {
    use super::*;

    #[source(batch = 2)]
    pub fn numbers() -> impl Iterator<Item = u64> {
        0..ITEMS
    }

    #[stage(from = numbers)]
    pub fn work(n: u64) -> u64 {
        uneven(n)
    }

    #[sink(from = work)]
    pub fn last(n: u64, env: &Seen<u64>) {
        env.see(n);
    }
}

fn watched(group: &Group) -> Builder<numbers::Pipeline> {
    let quick = Duration::from_micros(1);
    let watch = MemoryWatch::new()
        .root(group.0.path())
        .every(quick)
        .hold(quick);
    numbers::pipeline().watch_memory(watch)
}

#[test]
fn sources_that_were_paused_are_read_to_their_end() {
    check(|| {
        let (group, seen) = (Group::new(), Seen::new());
        let run = start(watched(&group), seen.clone());
        group.change();
        let report = ended(run.wait());
        assert_eq!(seen.take(), (0..ITEMS).collect::<Vec<_>>(), "{report}");
    });
}

#[test]
fn a_drain_ends_a_run_whose_sources_are_paused() {
    check(|| {
        let (group, seen) = (Group::new(), Seen::new());
        group.use_bytes(990);
        let run = start(watched(&group), seen.clone());
        pause(300);
        let report = ended(run.drain());
        let items = seen.take();
        assert_eq!(
            items,
            (0..items.len() as u64).collect::<Vec<_>>(),
            "{report}"
        );
    });
}
