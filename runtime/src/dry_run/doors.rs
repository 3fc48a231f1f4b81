//! How items get from the doors of one stage to the stages that read them, in a dry run.

use std::{
    any::Any,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

use pipewright_spec::info::DoorInfo;

use super::engine::{Engine, Timed, When};
use crate::{
    call::{CopyFn, Item},
    classify::ErrorClass,
    drive::panic_message,
    error::RunError,
    letter::Whence,
};

/// Where a reader finds what it reads.
#[derive(Clone, Copy)]
enum Door {
    Input,
    Main(usize),
    Err(usize),
    Diverted(usize),
    Variant(usize, &'static str),
}

impl Door {
    /// The stage behind which it is.
    fn stage(self) -> Option<usize> {
        match self {
            Self::Input => None,
            Self::Main(stage)
            | Self::Err(stage)
            | Self::Diverted(stage)
            | Self::Variant(stage, _) => Some(stage),
        }
    }
}

impl<E> Engine<'_, E> {
    /// Brings what waits at the doors that a stage reads to all readers of those doors.
    pub(super) fn collect(&mut self, stage: usize) {
        for door in self.info.stages[stage].inputs {
            if door.stage == DoorInfo::INPUT {
                for item in mem::take(&mut self.input.waiting) {
                    self.hand_on(Door::Input, item, None);
                }
                continue;
            }
            let from = usize::from(door.stage);
            let side = door.door.filter(|name| self.info.is_side_door(from, name));
            let node = &mut self.nodes[from];
            match side {
                Some("Err") => {
                    for item in mem::take(&mut node.failed) {
                        self.hand_on(Door::Err(from), item, None);
                    }
                }
                Some(_) => {
                    for item in mem::take(&mut node.diverted) {
                        self.hand_on(Door::Diverted(from), item, None);
                    }
                }
                None => {
                    for item in mem::take(&mut node.sent) {
                        self.hand_on_sent(from, item);
                    }
                }
            }
        }
    }

    /// Hands on what a stage or source sent by its main door, or by the door of its variant.
    fn hand_on_sent(&mut self, from: usize, sent: Timed) {
        let Some(route) = &self.nodes[from].part.route else {
            return self.hand_on(Door::Main(from), sent, None);
        };
        let routed = route(sent.item);
        let item = Timed {
            item: routed.item,
            ..sent
        };
        self.hand_on(Door::Variant(from, routed.door), item, routed.copy);
    }

    /// Hands an item to every reader of a door. If the run has failed, counts it as dropped before each of them.
    fn hand_on(&mut self, door: Door, mut item: Timed, copy: Option<CopyFn>) {
        let readers = self.readers(door);
        let mut call = item.call.take();
        let Some((_, others)) = readers.split_last() else {
            return;
        };
        if self.error.is_none() {
            let when = item.when;
            // All copies are made before any of them goes: a `Clone` may panic.
            let copies = catch_unwind(AssertUnwindSafe(|| {
                let copy = |_: &usize| Timed {
                    item: self.copy_of(door, &*item.item, copy.as_ref()),
                    when,
                    kept: self.kept_copy(door, &item),
                    call: None,
                };
                others.iter().map(copy).collect::<Vec<_>>()
            }));
            match copies {
                Ok(copies) => {
                    for (reader, item) in readers.into_iter().zip(copies.into_iter().chain([item]))
                    {
                        let mut item = self.as_letter(door, reader, item);
                        // It goes on to the one reader that leads to the answer; where there is none, it ends in the stage behind it.
                        if self.nodes[reader].part.passes {
                            item.call = call.take();
                        }
                        if let Some(call) = &mut item.call {
                            call.leave();
                        }
                        self.nodes[reader].queue.push(item);
                    }
                }
                Err(payload) => {
                    if let (Some(call), Some(stage)) = (call, door.stage()) {
                        call.panicked(stage as u16);
                    }
                    return self.lost_by_copying(door, &readers, payload);
                }
            }
        } else {
            if let Some(call) = &mut call {
                call.leave();
            }
            self.drop_before(&readers);
        }
        self.count_routed(door);
    }

    /// A copy of the item behind an error, where a dead letter has it.
    fn kept_copy(&self, door: Door, error: &Timed) -> Option<Item> {
        let Door::Err(stage) = door else { return None };
        let keep = self.nodes[stage].part.keep.as_ref()?;
        Some(keep(&**error.kept.as_ref()?))
    }

    /// An error as the reader takes it: as it is, or as a dead letter.
    fn as_letter(&self, door: Door, reader: usize, error: Timed) -> Timed {
        let Door::Err(stage) = door else { return error };
        let mut letters = self.nodes[stage].part.letters.iter();
        let Some((_, make)) = letters.find(|(by, _)| *by == reader) else {
            return error;
        };
        let Timed {
            item, when, kept, ..
        } = error;
        let class = self.nodes[stage].part.class.as_ref();
        let class = class.map_or(ErrorClass::Dependency, |class| class(&*item).0);
        let whence = Whence::dry(when.from, when.at).told(class, when.calls);
        Timed {
            item: make(item, kept, whence),
            when: When { calls: 1, ..when },
            kept: None,
            call: None,
        }
    }

    fn copy_of(&self, door: Door, item: &dyn Any, routed: Option<&CopyFn>) -> Item {
        let copy = match door {
            Door::Input => self.input.copy.as_ref(),
            Door::Main(stage) => self.nodes[stage].part.copy.as_ref(),
            Door::Err(stage) => self.nodes[stage].part.err_copy.as_ref(),
            Door::Diverted(stage) => self.nodes[stage].part.in_copy.as_ref(),
            Door::Variant(..) => routed,
        };
        match copy {
            Some(copy) => copy(item),
            // Generated code copies what has several readers.
            None => unreachable!("an output with several readers cannot be copied"),
        }
    }

    fn lost_by_copying(&mut self, door: Door, readers: &[usize], payload: Box<dyn Any + Send>) {
        match door {
            Door::Input => {
                let message = panic_message(payload);
                self.note("input", &message);
                self.fail(RunError::Panicked {
                    stage: "input",
                    message,
                });
                self.drop_before(readers);
            }
            Door::Main(stage) | Door::Variant(stage, _) => {
                self.nodes[stage].tally.sent -= 1;
                self.panicked(stage, 1, payload);
            }
            Door::Err(stage) => {
                self.nodes[stage].tally.failed -= 1;
                self.panicked(stage, 1, payload);
            }
            Door::Diverted(stage) => {
                self.nodes[stage].tally.diverted -= 1;
                self.panicked(stage, 1, payload);
            }
        }
    }

    fn drop_before(&mut self, readers: &[usize]) {
        for &reader in readers {
            self.nodes[reader].tally.dropped.stopped += 1;
        }
    }

    fn count_routed(&mut self, door: Door) {
        if let Door::Variant(stage, name) = door {
            let routed = &mut self.nodes[stage].tally.routed;
            match routed.iter_mut().find(|(door, _)| *door == name) {
                Some((_, n)) => *n += 1,
                None => routed.push((name, 1)),
            }
        }
    }

    fn readers(&self, door: Door) -> Vec<usize> {
        let reads = |read: &DoorInfo| match door {
            Door::Input => read.stage == DoorInfo::INPUT,
            Door::Main(stage) => usize::from(read.stage) == stage && read.door.is_none(),
            Door::Err(stage) => usize::from(read.stage) == stage && read.door == Some("Err"),
            Door::Diverted(stage) => {
                usize::from(read.stage) == stage && read.door == Some("Diverted")
            }
            Door::Variant(stage, name) => {
                usize::from(read.stage) == stage && read.door == Some(name)
            }
        };
        let stages = self.info.stages.iter().enumerate();
        stages
            .filter(|(_, stage)| stage.inputs.iter().any(reads))
            .map(|(id, _)| id)
            .collect()
    }
}
