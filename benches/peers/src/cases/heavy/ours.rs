//! pipewright, as its users write it.

use pipewright::pipeline;

use super::{Picture, Row, Task};
use crate::harness::Contender;

/// Rows of an iterator, two stages that any worker runs, and a sink that sees the rows in order.
#[pipeline(env = Picture)]
pub mod rows {
    use super::*;

    #[source]
    pub fn indexes(env: &Picture) -> impl Iterator<Item = usize> {
        0..env.size
    }

    #[stage(from = indexes)]
    pub fn begin(index: usize, env: &Picture) -> Row {
        env.begin(index)
    }

    #[stage(from = begin)]
    pub fn go_on(row: Row, env: &Picture) -> Row {
        env.go_on(row)
    }

    #[sink(from = go_on)]
    pub fn paint(row: Row, env: &Picture, image: &mut Vec<u8>) {
        env.paint(image, &row);
    }
}

fn ordered(picture: Picture) -> Vec<u8> {
    let run = rows::pipeline().workers(2).start(picture);
    let report = run.expect("the pipeline starts").wait();
    let image = report.expect("nothing fails").take_state::<rows::paint>();
    image.expect("the sink has a state")
}

pub(super) fn contenders(task: &Task) -> Vec<Contender> {
    vec![Contender::ours("pipewright, 2 workers", task.work(ordered))]
}
