//! What generated code uses. Not for anybody else: it changes without notice.

pub use pipewright_macros::finish_pipeline;
pub use pipewright_spec::{
    info::{
        DoorInfo, Kind, LinkInfo, LinkKindInfo, SourceInfo, StageInfo, StateKind, TopologyInfo,
    },
    options::{OnError, OnPanic, Priority},
};

pub use crate::{
    batch::{Collector, Due},
    call::{Call, CallBatch, Outlet, Routed, no_env, routed, routed_copied},
    carrier::{Carrier, Task},
    counts::Counts,
    diagnose::*,
    drive::{Load, Segment, Tally, Watch, drive, drive_tagged, flush, stop_with},
    dry_run::DryAssembly,
    each::{apart, at_once, each, each_emitted, each_left},
    error::InitError,
    graph::{Blueprint, Graph, NoGraph, NoInput, Site, States, never},
    link::{Direct, Hashed, KeyedLink, KeyedSolo, Merge, Serial, Shard},
    source::{
        ArcPieces, IngressSource, IntoSplittable, IterSource, Morsel, Pieces, PollSource, Pulled,
        SplitSource, Splittable,
    },
    stage::{
        Held, Init, KeyFn, Keyed, Leave, LeaveDropped, LeaveMerged, StageFn, copy, env_for,
        err_link, key_of, link, make_state, shown, slice_link,
    },
    worker::Worker,
};
