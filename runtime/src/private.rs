//! What generated code uses. Not for anybody else: it changes without notice.

pub use pipewright_macros::finish_pipeline;
pub use pipewright_spec::{
    info::{
        DoorInfo, Enforce, FieldInfo, FieldValue, GuardInfo, Kind, LinkInfo, LinkKindInfo,
        LoadInfo, PinnedInfo, PoolInfo, RateInfo, Smt, SourceInfo, StageInfo, StateKind,
        TopologyInfo, Wait,
    },
    options::{OnError, OnPanic, Overflow, Priority},
};

pub use crate::{
    acks::{Acked, Acknowledged, acknowledged, acknowledged_and_rewound},
    ahead::Ahead,
    aside::{Parked, Served},
    batch::{Collector, Due},
    call::{Call, CallBatch, Outlet, Routed, finished, no_env, routed, routed_copied},
    calls::{
        Answers, Call as Asked, Called, Calls as CallsOf, Desk as CallDesk, Entry, Itself,
        key_of_called,
    },
    carrier::{Carrier, Task},
    counts::Counts,
    diagnose::*,
    drive::{Segment, Tally, Watch, drive, drive_tagged, flush, stop_with},
    dry_run::DryAssembly,
    each::{
        apart, at_once, each, each_ahead, each_called, each_emitted, each_judged, each_left,
        each_letter, each_verdict, one_for_each,
    },
    error::{InitError, Panicked},
    flights::{
        Ahead as LeavesAhead, Answered, Beside, Flying, Futures, Landing, Waiting, drive_async,
        drive_async_or_turn_away,
    },
    graph::{Blueprint, Graph, NoGraph, NoInput, Site, States, never},
    guard::{
        Guarding, Pause, drive_guarded, drive_guarded_ahead, drive_guarded_batch,
        drive_guarded_tagged, drive_guarded_tagged_ahead, drive_guarded_tagged_batch,
        drive_guarded_tagged_vector, drive_guarded_vector,
    },
    letter::{Whence, keep, keep_all, kept_letter_link, letter_link},
    link::{
        Deposit, Direct, Hashed, KeyedDeposit, KeyedLink, KeyedSolo, Keys, Merge, Part, RingLink,
        RingLoad, Sender, Sending, Serial, Shard,
    },
    load::{Load, Rest},
    pin::{Start, feed},
    prefetch::{DISTANCE, prefetch},
    simd::{
        Block, Copied, CopiedNot, Copies as CopiesItems, CopiesNot, CopiesYes, Feed, Lanes, Levels,
        MayCopy, Sieve, Vector, drive_tagged_vector, drive_vector,
    },
    source::{
        ArcPieces, IngressSource, IntoSplittable, IterSource, Morsel, Pieces, PollSource, Pulled,
        SplitSource, Splittable,
    },
    stage::{
        ClassFn, Held, Init, KeyFn, Keyed, Leave, LeaveDropped, LeaveMerged, LooksAhead, StageFn,
        ask_target, class_of, copy, diverted_link, env_for, err_link, fallback, found_by, found_in,
        found_of, hash_of_key, key_of, link, make_state, panicked, refused, saved, shown,
        slice_link, timed_out,
    },
    worker::Worker,
};
