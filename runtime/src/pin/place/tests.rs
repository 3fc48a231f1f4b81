//! Pinned threads on machines that are large enough and on others.

use pipewright_spec::{info::StageInfo, options::Priority};

use super::*;

const fn stage(name: &'static str, cores: &'static [u32], wait: Wait) -> StageInfo {
    StageInfo {
        name,
        cores: Some(cores),
        wait: Some(wait),
        ..StageInfo::EMPTY
    }
}

const fn pinned(stages: &'static [u16]) -> PinnedInfo {
    PinnedInfo {
        stages,
        source: None,
        link: None,
    }
}

static INFO: TopologyInfo = TopologyInfo {
    name: "three",
    stages: &[
        stage("first", &[0], Wait::Spin),
        stage("middle", &[1, 2], Wait::Park),
        stage("last", &[3], Wait::Spin),
    ],
    pinned: &[pinned(&[0]), pinned(&[1]), pinned(&[2])],
    ..TopologyInfo::EMPTY
};

/// On so many cores, after `change`: the workers, which segments have their cores, how they wait, and what is told.
#[track_caller]
fn check(
    usable: u32,
    change: impl FnOnce(&mut Settings),
    workers: usize,
    own: [bool; 3],
    waits: [Wait; 3],
    told: &[&str],
) {
    let mut settings = Settings::of(&INFO);
    settings.set_threads(usable as usize, 0);
    change(&mut settings);
    let placement = place_on(&mut settings, &INFO, &(0..usable).collect()).unwrap();
    assert_eq!(settings.workers, workers);
    let owns = |seat: &Seat| seat.owns() == seat.cores.len();
    assert!(placement.seats.iter().map(owns).eq(own), "{placement:?}");
    assert!(
        placement.seats.iter().map(|seat| seat.wait).eq(waits),
        "{placement:?}"
    );
    let short: Vec<String> = placement.short.iter().map(ToString::to_string).collect();
    assert_eq!(short, told);
}

const AS_GIVEN: [Wait; 3] = [Wait::Spin, Wait::Park, Wait::Spin];
const LAST: [Wait; 3] = [Wait::Spin, Wait::Park, Wait::Adaptive];

fn of_workers(workers: usize) -> impl FnOnce(&mut Settings) {
    move |settings| {
        settings.set_threads(workers, 0);
        settings.pool.workers = Some(workers);
    }
}

#[test]
fn the_pool_shrinks_first_and_then_the_last_segments_share() {
    check(8, |_| (), 4, [true, true, true], AS_GIVEN, &[]);
    check(5, |_| (), 1, [true, true, true], AS_GIVEN, &[]);
    check(
        4,
        |_| (),
        1,
        [true, true, false],
        LAST,
        &[
            "`last` shares core 3: 4 pinned threads and 1 worker are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
        ],
    );
    check(
        4,
        of_workers(2),
        2,
        [true, false, false],
        LAST,
        &[
            "`last` shares core 3: 4 pinned threads and 2 workers are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
            "`middle` shares cores 1-2: 4 pinned threads and 2 workers are more than the 4 usable cores",
        ],
    );
    check(
        4,
        of_workers(4),
        4,
        [false, false, false],
        [Wait::Adaptive, Wait::Park, Wait::Adaptive],
        &[
            "`last` shares core 3: 4 pinned threads and 4 workers are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
            "`middle` shares cores 1-2: 4 pinned threads and 4 workers are more than the 4 usable cores",
            "`first` shares core 0: 4 pinned threads and 4 workers are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
        ],
    );
}

#[test]
fn the_least_urgent_segments_share_first() {
    let urgent = |stages: [(usize, Priority); 2]| {
        move |settings: &mut Settings| {
            for (stage, priority) in stages {
                settings.stages[stage].priority = Some(priority);
            }
        }
    };
    check(
        4,
        urgent([(0, Priority::Low), (2, Priority::Critical)]),
        1,
        [false, true, true],
        [Wait::Adaptive, Wait::Park, Wait::Spin],
        &[
            "`first` shares core 0: 4 pinned threads and 1 worker are more than the 4 usable cores; it waits as `adaptive`, not as `spin`",
        ],
    );
    check(
        4,
        urgent([(0, Priority::High), (2, Priority::High)]),
        1,
        [true, false, true],
        AS_GIVEN,
        &[
            "`middle` shares cores 1-2: 4 pinned threads and 1 worker are more than the 4 usable cores",
        ],
    );
}

#[test]
fn threads_that_share_have_no_real_time_priority() {
    let realtime = |settings: &mut Settings| {
        settings.stages[1].realtime = Some(10);
        settings.stages[1].priority = Some(Priority::Low);
    };
    check(
        4,
        realtime,
        1,
        [true, false, true],
        AS_GIVEN,
        &[
            "`middle` shares cores 1-2: 4 pinned threads and 1 worker are more than the 4 usable cores; it has no real-time priority",
        ],
    );
    let mut settings = Settings::of(&INFO);
    realtime(&mut settings);
    let placement = place_on(&mut settings, &INFO, &(0..8).collect()).unwrap();
    assert_eq!(placement.seats[1].realtime, Some(10));
    let placement = place_on(&mut settings, &INFO, &(0..4).collect()).unwrap();
    assert_eq!(placement.seats[1].realtime, None);
}

/// What is wrong after a change.
#[track_caller]
fn refused(info: &'static TopologyInfo, change: impl FnOnce(&mut Settings), expect: &str) {
    let mut settings = Settings::of(info);
    change(&mut settings);
    let usable = [0, 1, 2, 3, 5, 6, 7].into_iter().collect();
    let error = place_on(&mut settings, info, &usable).unwrap_err();
    assert_eq!(error.to_string(), expect);
}

#[test]
fn cores_that_are_not_there_are_named_with_those_that_are() {
    refused(
        &INFO,
        |settings| settings.stages[1].cores = CoreSet::of(&[4]),
        "`middle` is pinned to core 4, which this process may not use; it may use cores 0-3,5-7",
    );
}

#[test]
fn a_thread_that_does_not_sleep_has_no_real_time_priority() {
    refused(
        &INFO,
        |settings| settings.stages[2].realtime = Some(1),
        "`wait = spin` of `last` does not go with `realtime`: a thread that never sleeps starves the kernel's own threads of its core, and the kernel stops it for 50 ms of each second; write `wait = park`, which is the default with `realtime`, or remove `realtime`",
    );
}

#[test]
fn stages_of_one_loop_are_told_alike() {
    static TWO: TopologyInfo = TopologyInfo {
        pinned: &[pinned(&[0, 1]), pinned(&[2])],
        stages: &[
            stage("first", &[0], Wait::Spin),
            stage("middle", &[0], Wait::Spin),
            stage("last", &[3], Wait::Spin),
        ],
        ..INFO
    };
    refused(
        &TWO,
        |settings| settings.stages[1].wait = Some(Wait::Park),
        "`middle` runs in one loop with `first`, and a tuning file gives them different `wait`; give both the same",
    );
    refused(
        &TWO,
        |settings| settings.stages[1].cores = CoreSet::of(&[1]),
        "`middle` runs in one loop with `first`, and a tuning file gives them different `cores`; give both the same",
    );
}

#[test]
fn a_core_belongs_to_the_better_claim() {
    let shared = |settings: &mut Settings| settings.stages[2].cores = CoreSet::of(&[1]);
    check(
        8,
        shared,
        4,
        [true, true, false],
        LAST,
        &["`last` shares core 1, which `middle` has; it waits as `adaptive`, not as `spin`"],
    );
    check(
        8,
        |settings| {
            shared(settings);
            settings.stages[2].priority = Some(Priority::High);
        },
        4,
        [true, false, true],
        AS_GIVEN,
        &["`middle` shares core 1, which `last` has"],
    );
}
