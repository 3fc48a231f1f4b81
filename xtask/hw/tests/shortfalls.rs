//! What a run tells when it starts has the id of the check that tells it beforehand.

#![forbid(unsafe_code)]

use pipewright::machine::{RealtimeError, Shortfall};
use pipewright_hw::check::find;

#[test]
fn every_shortfall_of_a_run_is_explained_by_a_check() {
    let stage = "a";
    let all = [
        (Shortfall::NotPinned { stage, core: 1 }, "core-allowed"),
        (Shortfall::HighCpu, "core-allowed"),
        (Shortfall::NotBound, "core-allowed"),
        (
            Shortfall::Taken {
                stage,
                core: 1,
                owner: "b",
                spins: true,
                realtime: false,
            },
            "double-booking",
        ),
        (
            Shortfall::SharedCores {
                workers: 2,
                cores: 1,
            },
            "smt-share",
        ),
        (
            Shortfall::OneCore {
                stage,
                other: "b",
                cpus: (1, 5),
            },
            "smt-share",
        ),
        (
            Shortfall::FewCpus {
                workers: 2,
                usable: 1,
                online: 2,
            },
            "over-subscription",
        ),
        (
            Shortfall::Shares {
                stage,
                cores: vec![1],
                threads: 1,
                workers: 1,
                usable: 1,
                spins: false,
                realtime: false,
            },
            "over-subscription",
        ),
        (Shortfall::OnlyIsolated { workers: 2 }, "isolation"),
        (
            Shortfall::Efficient {
                stage,
                cores: vec![1],
            },
            "hybrid-mix",
        ),
        (
            Shortfall::NotRealtime {
                stage,
                source: RealtimeError::Unsupported,
            },
            "realtime",
        ),
        (
            Shortfall::Quota {
                threads: 2,
                quota: 1.5,
                spins: None,
            },
            "cpu-quota",
        ),
        (Shortfall::Memory { asked: 2, room: 1 }, "available"),
        (
            Shortfall::SlowClock {
                clock: "hpet".to_owned(),
            },
            "clocksource",
        ),
    ];
    for (short, title) in all {
        let check = find(short.id()).unwrap_or_else(|| panic!("{short} has no check"));
        assert_eq!(check.title, title, "{short}");
    }
}
