//! Tokens: what is generated beside the user's functions. It is safe code, it names everything by absolute
//! paths, and its locals cannot be seen by user code.

mod call;
mod calls;
mod companion;
mod stage;

mod pipe;

mod fields;
mod flow;
mod futures;
mod segment;
mod tally;
mod vector;

mod dry;
mod graph;
mod guards;
mod info;
mod pinned;
mod pipeline;
mod stub;

pub(crate) use self::{
    companion::{companion, told},
    pipeline::pipeline,
    stage::stage,
    stub::stub,
};
