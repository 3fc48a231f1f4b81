//! Pools on recorded and made-up machines.

use pipewright_spec::cores::CoreSet;

use super::*;
use crate::machine::tests::recorded;

/// `workers=4 cores=0-3 smt=use numa=1`
fn wish(text: &str) -> Wish {
    let mut wish = Wish::default();
    for part in text.split_whitespace() {
        let (key, value) = part.split_once('=').expect("key=value");
        match key {
            "workers" => wish.workers = value.parse().ok(),
            "cores" => wish.cores = CoreSet::parse(value).ok().map(|set| set.as_slice().into()),
            "smt" => wish.smt = Smt::from_name(value),
            "numa" => wish.numa = value.parse().ok(),
            "pin" => wish.pin = value.parse().ok(),
            "taken" => wish.taken = CoreSet::parse(value).expect("a list").as_slice().to_vec(),
            "works" => wish.caller = value.parse().ok().map(Caller::Works),
            "goes_on" => wish.caller = value.parse().ok().map(Caller::GoesOn),
            _ => panic!("no key {key}"),
        }
    }
    wish
}

/// A recording, or a made-up machine where the name says how.
fn machine(name: &str) -> Machine {
    Machine::simulate(name).unwrap_or_else(|_| recorded(name))
}

#[track_caller]
fn check(name: &str, text: &str, cpus: &[u32], pin: Pin) {
    let placement = machine(name).place(&wish(text)).expect("a pool that fits");
    let taken: Vec<u32> = placement.seats.iter().map(|seat| seat.cpu).collect();
    assert_eq!(
        (taken.as_slice(), placement.pin),
        (cpus, pin),
        "{name}, {text}"
    );
    assert!(placement.short.is_empty(), "{:?}", placement.short);
}

#[test]
fn workers_take_one_cpu_of_every_core_first() {
    check("one_node", "", &[0, 1, 2, 3], Pin::Auto);
    check("hybrid", "", &[0, 2, 4, 5, 6, 7], Pin::Auto);
    check("hybrid", "smt=use", &[0, 2, 4, 5, 6, 7, 1, 3], Pin::Auto);
    check("hybrid", "smt=avoid", &[0, 2, 4, 5, 6, 7], Pin::Auto);
    check("hybrid", "workers=3", &[0, 2, 4], Pin::No);
    check("hybrid", "workers=7", &[0, 2, 4, 5, 6, 7, 1], Pin::Auto);
    check("capacities", "workers=3", &[4, 5, 0], Pin::No);
    check("two_nodes_smt", "", &[0, 1, 2], Pin::Auto);
    check("two_nodes_smt", "smt=use", &[0, 1, 2, 4, 5, 6], Pin::Auto);
    check("2x2x2", "smt=use", &[0, 1, 2, 3, 4, 5, 6, 7], Pin::No);
    check("1x2", "workers=3", &[0, 1, 0], Pin::No);
    check("1x1", "", &[0], Pin::No);
    check("offline", "", &[0, 1], Pin::Begun);
    check("no_sysfs", "", &[0, 1, 2, 5], Pin::Auto);
}

#[test]
fn workers_keep_away_from_cpus_that_others_have() {
    check("one_node", "taken=1", &[0, 2, 3], Pin::Auto);
    check("one_node", "taken=0-2", &[3], Pin::Auto);
    check("one_node", "taken=0-3", &[0, 1, 2, 3], Pin::Auto);
    check("one_node", "taken=0 workers=2", &[1, 2], Pin::No);
    check("one_node", "taken=0 workers=4", &[1, 2, 3, 1], Pin::Begun);
    check("one_node", "taken=3 cores=2-3", &[2], Pin::Asked);
    // The other thread of a core that has one comes after whole cores.
    check("hybrid", "taken=1", &[2, 4, 5, 6, 7], Pin::Auto);
    check(
        "hybrid",
        "taken=1 workers=6",
        &[2, 4, 5, 6, 7, 0],
        Pin::Auto,
    );
    check("1x2", "taken=0", &[1], Pin::No);
    check("offline", "taken=0", &[1], Pin::Begun);
}

#[test]
fn the_first_worker_sits_where_its_thread_is_and_no_core_is_shared_for_it() {
    check("one_node", "works=0", &[0, 1, 2, 3], Pin::Auto);
    check("one_node", "works=2", &[2, 1, 0, 3], Pin::Auto);
    check("offline", "works=1", &[1, 0], Pin::Begun);
    check("offline", "workers=1 works=1", &[1], Pin::Begun);
    // The second thread of a core instead of the first.
    check("hybrid", "works=3", &[3, 0, 4, 5, 6, 7], Pin::Auto);
    check(
        "hybrid",
        "workers=7 works=3",
        &[3, 0, 4, 5, 6, 7, 1],
        Pin::Auto,
    );
    check("container", "workers=3 works=7", &[7, 2, 6], Pin::Begun);
    // Cpus that were asked for, and one that the pool may not use.
    check("one_node", "cores=1,3 works=3", &[1, 3], Pin::Asked);
    check("container", "works=0", &[2, 3], Pin::Begun);
}

#[test]
fn the_core_of_a_thread_that_goes_on_beside_the_workers_is_taken_last() {
    check("offline", "goes_on=0", &[1, 0], Pin::Begun);
    check("offline", "goes_on=1", &[0, 1], Pin::Begun);
    check("offline", "workers=1 goes_on=0", &[1], Pin::Begun);
    check("container", "goes_on=2", &[3, 2], Pin::Begun);
    check("container", "workers=3 goes_on=6", &[3, 2, 6], Pin::Begun);
    check("container_v1", "workers=1 goes_on=1", &[3], Pin::Begun);
    // Cpus that the pool may not use, that were asked for, and to which workers are bound.
    check("container", "goes_on=0", &[2, 3], Pin::Begun);
    check("one_node", "cores=1,3 goes_on=1", &[1, 3], Pin::Asked);
    check("one_node", "goes_on=1", &[0, 1, 2, 3], Pin::Auto);
}

#[test]
fn a_quota_bounds_the_workers_that_nobody_asked_for() {
    check("four_nodes", "", &[0, 1, 2, 3, 4, 5], Pin::No);
    check("container", "", &[2, 3], Pin::Begun);
    check("container", "smt=use", &[2, 3], Pin::Begun);
    check("container", "workers=3", &[2, 3, 6], Pin::Begun);
    check("container_v1", "", &[1], Pin::Begun);
}

#[test]
fn named_cores_and_nodes_are_taken_and_bound_to() {
    check("one_node", "cores=1,3", &[1, 3], Pin::Asked);
    check("one_node", "cores=0-3 workers=2", &[0, 1], Pin::Asked);
    check("hybrid", "cores=0-3", &[0, 2, 1, 3], Pin::Asked);
    check("hybrid", "cores=0-3 smt=avoid", &[0, 2], Pin::Asked);
    check("two_nodes_smt", "numa=1", &[2], Pin::Asked);
    check("two_nodes_smt", "numa=0 smt=use", &[0, 1, 4, 5], Pin::Asked);
    check("container", "cores=2,6", &[2, 6], Pin::Asked);
    check("2x4", "cores=5-6", &[5, 6], Pin::No);
    check("high_ids", "cores=1022-1023", &[1022, 1023], Pin::Asked);
    check("one_node", "pin=false", &[0, 1, 2, 3], Pin::No);
    check("one_node", "cores=0-3 pin=false", &[0, 1, 2, 3], Pin::No);
    check("offline", "pin=true", &[0, 1], Pin::Asked);
    check("2x4", "cores=0 pin=true", &[0], Pin::No);
}

#[test]
fn a_pool_that_does_not_fit_the_machine_is_refused() {
    #[track_caller]
    fn check(name: &str, text: &str, message: &str) {
        let error = machine(name)
            .place(&wish(text))
            .expect_err("a pool that does not fit");
        assert_eq!(error.to_string(), message);
    }
    check(
        "one_node",
        "cores=2-5",
        "this machine has no core 4; write some of `0-3`",
    );
    check(
        "offline",
        "cores=0,2",
        "core 2 is offline; write some of `0-1`",
    );
    check(
        "container",
        "cores=0",
        "this process may not run on core 0; write some of `2-3,6-7`, or start it with another cpuset or affinity mask",
    );
    check(
        "two_nodes_smt",
        "cores=3",
        "this process may not run on core 3; write some of `0-2,4-6`, or start it with another cpuset or affinity mask",
    );
    check(
        "high_ids",
        "cores=1024",
        "no thread can be bound to core 1024; cores above 1023 do not fit the system's cpu set",
    );
    check(
        "2x4",
        "numa=2",
        "memory node 2 has no core that this process may use; write one of `0-1`",
    );
    check(
        "2x4",
        "numa=1 workers=5",
        "the pool has 5 workers on 4 cores; write at most `workers = 4`, or name more cores",
    );
    check(
        "one_node",
        "cores=0,8191",
        "no thread can be bound to core 8191; cores above 1023 do not fit the system's cpu set",
    );
}

#[test]
fn what_the_pool_asks_for_and_does_not_get_is_told() {
    #[track_caller]
    fn check(name: &str, text: &str, cpus: &[u32], short: &[&str]) {
        let placement = machine(name).place(&wish(text)).expect("a pool");
        let taken: Vec<u32> = placement.seats.iter().map(|seat| seat.cpu).collect();
        assert_eq!(taken, cpus, "{name}, {text}");
        assert!(matches!(placement.pin, Pin::No | Pin::Begun));
        let told: Vec<String> = placement.short.iter().map(ToString::to_string).collect();
        assert_eq!(told, short, "{name}, {text}");
    }
    check(
        "2x2x2",
        "workers=6 smt=avoid",
        &[0, 1, 2, 3, 0, 1],
        &["6 workers share 4 cores, though `smt = avoid`"],
    );
    check(
        "high_ids",
        "numa=7",
        &[1022, 1023, 1024, 1025],
        &["workers are not bound to cpus, because a thread cannot be bound to one above 1023"],
    );
    // The cpuset has four of eight cpus.
    check("container", "workers=4", &[2, 3, 6, 7], &[]);
    check(
        "container",
        "workers=5",
        &[2, 3, 6, 7, 2],
        &["5 workers share 4 cpus: the machine has 8, and this process may not use the others"],
    );
    // All there are were asked for in vain, but nobody keeps any from the process.
    check("1x2", "workers=3", &[0, 1, 0], &[]);
}

#[test]
fn workers_steal_from_the_nearest_first() {
    #[track_caller]
    fn check(name: &str, text: &str, worker: usize, node: u16, levels: &[&[usize]]) {
        let placement = machine(name).place(&wish(text)).expect("a pool that fits");
        let seat = &placement.seats[worker];
        assert_eq!(seat.victims.levels(), levels, "{name}, {text}");
        assert_eq!(seat.node, node, "{name}, {text}");
    }
    check("2x4", "", 0, 0, &[&[1, 2, 3], &[4, 5, 6, 7]]);
    check("2x4", "", 5, 1, &[&[4, 6, 7], &[0, 1, 2, 3]]);
    // Workers 0 to 3 have the first threads of cores 0 to 3, workers 4 to 7 the second ones.
    check("2x2x2", "smt=use", 1, 0, &[&[5], &[0, 4], &[2, 3, 6, 7]]);
    check("four_nodes", "workers=6", 2, 0, &[&[3], &[0, 1], &[4, 5]]);
    check("four_nodes", "workers=6", 4, 1, &[&[5], &[0, 1, 2, 3]]);
    check("1x1", "workers=3", 0, 0, &[&[1, 2]]);
    check("1x1", "", 0, 0, &[]);
    // Nodes are counted among those that have workers.
    check("high_ids", "cores=1022-1023", 1, 0, &[&[0]]);
}

#[test]
fn within_a_level_the_first_victim_varies() {
    let placement = machine("2x4").place(&Wish::default()).expect("a pool");
    let mut victims = placement.seats[0].victims.clone();
    let mut first = [0; 8];
    for _ in 0..300 {
        let mut asked = Vec::new();
        let none: Option<()> = victims.find(|victim| {
            asked.push(victim);
            None
        });
        assert!(none.is_none());
        first[asked[0]] += 1;
        let (near, far) = asked.split_at(3);
        let sorted = |part: &[usize]| {
            let mut part = part.to_vec();
            part.sort_unstable();
            part
        };
        assert_eq!(
            (sorted(near), sorted(far)),
            (vec![1, 2, 3], vec![4, 5, 6, 7])
        );
    }
    assert!(first[1..4].iter().all(|&n| n > 50), "{first:?}");
    assert_eq!(
        victims
            .find(|victim| (victim > 3).then_some(victim))
            .map(|v| v > 3),
        Some(true)
    );
}

#[test]
fn seats_for_those_who_stand_in_have_the_places_of_workers_and_all_steal_from_there() {
    let placement = machine("2x2").place(&wish("")).expect("a pool");
    let before: Vec<Seat> = placement.seats.to_vec();
    let placement = placement.with_seats(6);
    let place = |seat: &Seat| (seat.cpu, seat.node);
    for (id, seat) in placement.seats.iter().enumerate() {
        assert_eq!(place(seat), place(&before[id % 4]));
        let mut victims: Vec<usize> = seat.victims.levels().concat();
        if id < 4 {
            assert_eq!(victims[3..], [4, 5], "last of all");
        }
        victims.sort_unstable();
        assert!(victims.into_iter().eq((0..6).filter(|other| *other != id)));
    }
    let same = machine("2x2")
        .place(&wish(""))
        .expect("a pool")
        .with_seats(4);
    assert_eq!(same.seats.to_vec(), before);
}
