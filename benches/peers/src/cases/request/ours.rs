//! pipewright: requests go into a run's input, a sink that every worker runs serves them.

use std::{fmt, sync::Arc};

use pipewright::pipeline;

use super::{Desk, Task};
use crate::harness::{Contender, Sample};

/// A request on its way.
pub struct Ticket {
    desk: Arc<Desk>,
    number: usize,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.number).finish()
    }
}

#[pipeline]
pub mod serving {
    use super::*;

    #[sink(from = input, order = any, queue = 65536)]
    pub fn serve(ticket: Ticket) {
        ticket.desk.serve(ticket.number);
    }
}

fn run(task: &Task) -> Result<Sample, String> {
    let run = serving::pipeline()
        .workers(task.load.workers)
        .start(())
        .map_err(|error| error.to_string())?;
    let sample = task.run(|desk, number| {
        let desk = Arc::clone(desk);
        run.send(Ticket { desk, number }).expect("it takes items");
    })?;
    let report = run.drain().map_err(|failed| failed.error.to_string())?;
    crate::harness::same(&report.ledger().delivered, &(task.arrivals.len() as u64))?;
    Ok(sample)
}

pub(super) fn contenders(task: &Task) -> Vec<Contender> {
    let task = task.clone();
    vec![Contender::ours(
        "pipewright, input to a parallel sink",
        move || run(&task),
    )]
}
