//! The pipelines: the same stages, for whole blocks with the input's order kept and without, and for one transaction at a time.

use pipewright::pipeline;

/// Decides which transactions a node may keep.
#[pipeline("txpool.ron", env = Env)]
pub mod txpool {
    use crate::txpool::{
        classify::classify,
        decode::decode,
        env::Env,
        feed::blocks,
        hash::hash,
        parse::parse,
        recover::recover,
        root::{collect, missing, part, root},
        score::{score_blob, score_call, score_creation, score_swap, score_transfer},
        sender::sender,
        tally::{rank, reject, roots},
    };
}

/// Decides which transactions a node may keep; its sinks see them as they come.
#[pipeline("txpool_any.ron", env = Env)]
pub mod txpool_any {
    use crate::txpool::{
        classify::classify,
        decode::decode,
        env::Env,
        feed::blocks,
        hash::hash,
        parse::parse,
        recover::recover,
        root::{collect, missing, part, root},
        score::{score_blob, score_call, score_creation, score_swap, score_transfer},
        sender::sender,
        tally::{rank, reject, roots},
    };
}

/// Decides which transactions a node may keep, one at a time.
#[pipeline("txpool_live.ron", env = Live)]
pub mod txpool_live {
    use crate::txpool::{
        classify::classify,
        decode::decode,
        hash::hash,
        live::{Live, keep, refuse},
        recover::recover,
        score::{score_blob, score_call, score_creation, score_swap, score_transfer},
        sender::sender,
    };
}
