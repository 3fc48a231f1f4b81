//! What a dry run has counted, and the ledger of it: as a run with threads, plus what the caller fed and took.

use std::time::Duration;

use pipewright_spec::info::{DoorInfo, Kind};

use super::{
    engine::{Engine, Tally},
    guarded::DryGuard,
};
use crate::{
    dropped::Dropped,
    error::RunError,
    metrics::{StageMetrics, doors_of},
    report::Ledger,
};

impl<E> Engine<'_, E> {
    /// What every stage has counted.
    pub(super) fn stages(&self) -> Box<[StageMetrics]> {
        (0..self.nodes.len())
            .map(|stage| self.stage(stage))
            .collect()
    }

    fn stage(&self, stage: usize) -> StageMetrics {
        let info = &self.info.stages[stage];
        let tally = &self.nodes[stage].tally;
        let source = info.kind == Kind::Source;
        let received = if source { tally.fed } else { tally.received };
        let left =
            tally.sent + tally.failed + tally.diverted + tally.panicked + tally.dropped_inside;
        let doors = doors_of(self.info, stage).into_iter();
        StageMetrics {
            name: info.name,
            kind: info.kind,
            received,
            sent: tally.sent,
            filtered: if source {
                0
            } else {
                received.saturating_sub(left)
            },
            failed: tally.failed,
            diverted: tally.diverted,
            panicked: tally.panicked,
            dropped: tally.dropped.total() + tally.dropped_inside,
            dropped_by: Dropped {
                stopped: tally.dropped.stopped + tally.dropped_inside,
                ..tally.dropped
            },
            in_flight: if source {
                0
            } else {
                self.came(stage)
                    .saturating_sub(received + tally.dropped.total())
            },
            routed: doors.map(|door| (door, tally.routed_by(door))).collect(),
            late_batches: tally.late_batches,
            longest_batch: Duration::from_nanos(tally.longest_batch),
            guard: self.nodes[stage].guard.as_ref().map(DryGuard::seen),
            flights: None,
        }
    }

    /// Items that came to a stage, or are on their way to it.
    fn came(&self, stage: usize) -> u64 {
        let doors = self.info.stages[stage].inputs.iter();
        let by_doors: u64 = doors.map(|door| self.by_door(door)).sum();
        by_doors + self.nodes[stage].tally.fed
    }

    fn by_door(&self, door: &DoorInfo) -> u64 {
        if door.stage == DoorInfo::INPUT {
            return self.input.count;
        }
        let from = usize::from(door.stage);
        let tally = &self.nodes[from].tally;
        match door.door {
            None => tally.sent - tally.taken,
            Some("Err") if self.info.stages[from].fallible => tally.failed - tally.taken_errors,
            Some("Diverted") if self.info.diverts(door.stage) => tally.diverted,
            Some(variant) => tally.routed_by(variant),
        }
    }

    /// Adds the stages up and checks what each of them must fulfil.
    pub(super) fn audit(&self, stages: &[StageMetrics]) -> (Ledger, Option<RunError>) {
        let mut ledger = Ledger {
            received: self.input.count,
            ..Ledger::default()
        };
        let readers = self.info.stages.iter().filter(|stage| stage.reads_input());
        ledger.created += self.input.count * (readers.count() as u64).saturating_sub(1);
        let mut read = vec![0; stages.len()];
        for door in self.info.stages.iter().flat_map(|stage| stage.inputs) {
            if door.stage != DoorInfo::INPUT {
                read[usize::from(door.stage)] += self.by_door(door);
            }
        }
        let mut wrong = None;
        for (id, stage) in stages.iter().enumerate() {
            let ends = self.info.ends_at(id);
            self.add(&mut ledger, stage, &self.nodes[id].tally, read[id], ends);
            if wrong.is_none() {
                wrong = self.problem_of(id, stage).map(RunError::Ledger);
            }
        }
        if wrong.is_none() && !ledger.is_balanced() {
            wrong = Some(RunError::Ledger(format!("{ledger:?}")));
        }
        (ledger, wrong)
    }

    /// Adds a stage of which `read` items and errors went to other stages.
    fn add(&self, ledger: &mut Ledger, stage: &StageMetrics, tally: &Tally, read: u64, ends: bool) {
        ledger.received += tally.fed;
        // What the caller took does not end here.
        let kept = if ends { stage.sent - tally.taken } else { 0 };
        let delivered = kept + tally.taken + tally.taken_errors;
        ledger.delivered += delivered;
        ledger.filtered += stage.filtered;
        ledger.failed += stage.failed;
        ledger.panicked += stage.panicked;
        ledger.dropped += stage.dropped;
        ledger.dropped_by = ledger.dropped_by.and(stage.dropped_by);
        ledger.in_flight += stage.in_flight;
        let lost = stage.filtered + stage.failed + stage.panicked + tally.dropped_inside;
        ledger.created += (read + delivered + lost).saturating_sub(stage.received);
    }

    fn problem_of(&self, id: usize, stage: &StageMetrics) -> Option<String> {
        let (name, tally) = (stage.name, &self.nodes[id].tally);
        let out =
            stage.sent + stage.failed + stage.diverted + stage.panicked + tally.dropped_inside;
        if !self.info.stages[id].many && out > stage.received {
            let received = stage.received;
            return Some(format!(
                "`{name}` received {received} items, but {out} left it"
            ));
        }
        let routed: u64 = stage.routed.iter().map(|(_, n)| n).sum();
        if !stage.routed.is_empty() && routed + tally.taken != stage.sent {
            let sent = stage.sent;
            return Some(format!(
                "`{name}` sent {sent} items, but {routed} by its doors"
            ));
        }
        if stage.in_flight > 0 {
            let lost = stage.in_flight;
            return Some(format!(
                "{lost} items that were sent to `{name}` did not arrive"
            ));
        }
        None
    }
}

impl Tally {
    fn routed_by(&self, door: &str) -> u64 {
        let routed = self.routed.iter().find(|(name, _)| *name == door);
        routed.map_or(0, |(_, n)| *n)
    }
}
