//! loom models of a full queue whose senders take out what waits: every interleaving of a few threads, within a bound of
//! preemptions.

use loom::{sync::Arc, thread};

use super::{Buffers, Intake, Pushed, Shares};
use crate::{lane::Lane, loom_models::check};

const ALL: Shares = Shares {
    sharers: 1,
    least: 1,
};

fn lanes() -> impl Iterator<Item = Lane> {
    std::iter::once(Lane::NORMAL)
}

/// Sends `n` into a full queue; returns what was displaced, or `n` itself if it was not pushed.
fn displace(intake: &Intake<u32>, shard: usize, n: u32) -> Vec<u32> {
    let mut item = Some(n);
    if intake.push(shard, Lane::NORMAL, &mut item) != Pushed::Full {
        return item.into_iter().collect();
    }
    let (pushed, victim) = intake.displace(shard, Lane::NORMAL.into(), lanes, || {}, &mut item);
    assert!(
        pushed != Pushed::Full,
        "something of its lane waits, or there is room"
    );
    victim.into_iter().chain(item).collect()
}

fn take(intake: &Intake<u32>, into: &mut Vec<u32>) -> usize {
    intake.take(Lane::NORMAL, 8, ALL, Buffers::Kept, into, &mut Vec::new())
}

#[test]
fn loom_a_closing_input_loses_no_item() {
    check(3, || {
        let intake = Arc::new(Intake::new(8));
        let sender = {
            let intake = Arc::clone(&intake);
            thread::spawn(move || {
                let mut item = Some(1);
                let _ = intake.push(0, Lane::NORMAL, &mut item);
                item.is_none()
            })
        };
        let taker = {
            let intake = Arc::clone(&intake);
            thread::spawn(move || {
                let mut taken = Vec::new();
                take(&intake, &mut taken);
                // After the end nothing comes.
                let ended = intake.has_ended();
                take(&intake, &mut taken);
                (taken, ended)
            })
        };
        intake.close();
        let sent = sender.join().unwrap();
        let (mut taken, ended) = taker.join().unwrap();
        let before = taken.len();
        take(&intake, &mut taken);
        assert!(
            !ended || before == taken.len(),
            "an item came after the end"
        );
        assert_eq!(taken.len(), usize::from(sent));
        assert!(intake.has_ended());
    });
}

#[test]
fn loom_a_queue_that_becomes_smaller_has_room_again_when_it_was_emptied() {
    check(3, || {
        let intake = Arc::new(Intake::new(64));
        let sender = {
            let intake = Arc::clone(&intake);
            thread::spawn(move || {
                let mut items = vec![1, 2];
                let _ = intake.push_all(0, Lane::NORMAL.into(), &mut items);
                2 - items.len()
            })
        };
        let taker = {
            let intake = Arc::clone(&intake);
            thread::spawn(move || take(&intake, &mut Vec::new()))
        };
        intake.resize(1);
        let sent = sender.join().unwrap();
        let mut taken = taker.join().unwrap();
        taken += take(&intake, &mut Vec::new());
        assert_eq!(taken, sent);
        // Nobody has room in advance of which others would need some.
        assert_eq!(intake.room(), 1);
        let _ = intake.push(1, Lane::NORMAL, &mut Some(3));
        assert_eq!(intake.push(0, Lane::NORMAL, &mut Some(4)), Pushed::Full);
    });
}

#[test]
fn loom_an_item_that_is_displaced_is_nowhere_else() {
    check(2, || {
        let intake = Arc::new(Intake::new(1));
        let _ = intake.push(0, Lane::NORMAL, &mut Some(1));
        let sender = {
            let intake = Arc::clone(&intake);
            thread::spawn(move || displace(&intake, 1, 2))
        };
        let taker = {
            let intake = Arc::clone(&intake);
            thread::spawn(move || {
                let mut taken = Vec::new();
                intake.take(
                    Lane::NORMAL,
                    8,
                    ALL,
                    Buffers::Kept,
                    &mut taken,
                    &mut Vec::new(),
                );
                taken
            })
        };
        let mut all = displace(&intake, 0, 3);
        all.extend(sender.join().unwrap());
        all.extend(taker.join().unwrap());
        let waiting = intake.len();
        assert!(waiting <= 1, "a queue of one holds {waiting}");
        intake.take(
            Lane::NORMAL,
            8,
            ALL,
            Buffers::Kept,
            &mut all,
            &mut Vec::new(),
        );
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3]);
        assert!(intake.is_empty());
        assert_eq!(
            intake.push(0, Lane::NORMAL, &mut Some(4)),
            Pushed::Some { news: true }
        );
    });
}

#[test]
fn loom_a_closing_queue_takes_no_item_in_the_place_of_another() {
    check(2, || {
        let intake = Arc::new(Intake::new(1));
        let _ = intake.push(0, Lane::NORMAL, &mut Some(1));
        let sender = {
            let intake = Arc::clone(&intake);
            thread::spawn(move || displace(&intake, 0, 2))
        };
        intake.close();
        let mut all = Vec::new();
        let ended = intake.has_ended();
        let mut rest = Vec::new();
        intake.take(
            Lane::NORMAL,
            8,
            ALL,
            Buffers::Kept,
            &mut rest,
            &mut Vec::new(),
        );
        assert!(!ended || rest.is_empty(), "an item came after the end");
        all.extend(rest);
        all.extend(sender.join().unwrap());
        intake.take(
            Lane::NORMAL,
            8,
            ALL,
            Buffers::Kept,
            &mut all,
            &mut Vec::new(),
        );
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}
