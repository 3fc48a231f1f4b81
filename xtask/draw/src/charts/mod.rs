//! The kinds of charts.

pub(crate) mod bars;
pub(crate) mod forest;
pub(crate) mod heat_map;
pub(crate) mod lines;
mod rows;
pub(crate) mod waterfall;
