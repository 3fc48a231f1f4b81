//! A pipeline that can be tuned in every way: for the files in `tuning`, and for whoever fuzzes what reads such files.

use pipewright_spec::info::{
    DoorInfo, FieldInfo, FieldValue, GuardInfo, Kind, RateInfo, StageInfo, StateKind, TopologyInfo,
};

const SOURCE: StageInfo = StageInfo {
    name: "ingest",
    kind: Kind::Source,
    file: "src/mempool.rs",
    line: 1,
    state: StateKind::Serial,
    is_poll: true,
    ..StageInfo::EMPTY
};

const STAGE: StageInfo = StageInfo {
    kind: Kind::Stage,
    state: StateKind::None,
    is_poll: false,
    inputs: &[DoorInfo {
        stage: 0,
        door: None,
    }],
    ..SOURCE
};

/// The pipeline.
pub(crate) static TOPOLOGY: TopologyInfo = TopologyInfo {
    name: "mempool",
    stages: &[
        SOURCE,
        StageInfo {
            name: "verify",
            is_batch: true,
            ..STAGE
        },
        StageInfo {
            name: "dedup",
            state: StateKind::Keyed,
            ..STAGE
        },
        StageInfo {
            name: "call",
            fallible: true,
            ..STAGE
        },
        StageInfo {
            name: "pinned",
            cores: Some(&[1]),
            ..STAGE
        },
        StageInfo {
            name: "publish",
            kind: Kind::Sink,
            ..STAGE
        },
        StageInfo {
            name: "parse",
            kind: Kind::Sink,
            inputs: &[DoorInfo {
                stage: DoorInfo::INPUT,
                door: None,
            }],
            ..STAGE
        },
    ],
    guards: &[GuardInfo {
        stage: 3,
        workers: Some(2),
        timeout_ns: Some(1_000_000_000),
        rate: Some(RateInfo {
            items: 10,
            per_ns: 1_000_000_000,
        }),
        retry: Some(&[FieldInfo {
            name: "max",
            value: FieldValue::Count(3),
        }]),
        breaker: Some(&[FieldInfo {
            name: "failure_pct",
            value: FieldValue::Count(50),
        }]),
    }],
    ..TopologyInfo::EMPTY
};
