//! What becomes of errors and panics in a dry run.

use std::any::Any;

use pipewright_spec::options::{OnError, OnPanic};

use super::{
    calls::MaybeCall,
    engine::{Engine, Timed, When},
};
use crate::{
    call::Item,
    drive::panic_message,
    error::{Panicked, RunError},
    shared::PanicNote,
};

/// Most panic messages that a report keeps.
const PANICS_KEPT: usize = 8;

impl<E> Engine<'_, E> {
    /// Do items with which a stage panics leave by its `Err`?
    pub(super) fn leaves(&self, stage: usize) -> bool {
        self.settings.stages[stage].on_panic == OnPanic::DeadLetter
            && self.nodes[stage].part.panic.is_some()
    }

    /// The items with which a stage panicked leave by its `Err`.
    pub(super) fn panicked_out(
        &mut self,
        stage: usize,
        calls: Vec<MaybeCall>,
        kept: Vec<Item>,
        when: When,
        payload: Box<dyn Any + Send>,
    ) {
        let panicked = Panicked {
            stage: self.info.stages[stage].name,
            message: panic_message(payload),
        };
        self.note(panicked.stage, &panicked.message);
        let node = &mut self.nodes[stage];
        if let Some(machine) = &mut node.part.machine {
            machine.reset();
        }
        if let Some(make) = &node.part.panic {
            node.tally.failed += calls.len() as u64;
            let mut kept = kept.into_iter();
            let error = |call| Timed {
                item: make(panicked.clone()),
                when,
                kept: kept.next(),
                call,
            };
            node.failed.extend(calls.into_iter().map(error));
        }
    }

    /// Ends the run if the stage has sent errors since there were `known`, and that is what they do.
    pub(super) fn stop_for_errors(&mut self, stage: usize, known: usize) {
        let stops = self.info.stages[stage].on_error == Some(OnError::Stop);
        if stops && self.nodes[stage].failed.len() > known {
            self.stop_for_error(stage, known);
        }
    }

    fn stop_for_error(&mut self, stage: usize, error: usize) {
        let node = &self.nodes[stage];
        let text = node.part.err_text.as_ref();
        let error = text.map_or_else(
            || "an error that cannot be shown".to_owned(),
            |text| text(&*node.failed[error].item),
        );
        let stage = self.info.stages[stage].name;
        self.fail(RunError::Failed { stage, error });
    }

    /// Decides what follows a panic that lost `items`.
    pub(super) fn panicked(&mut self, stage: usize, items: u64, payload: Box<dyn Any + Send>) {
        let message = panic_message(payload);
        let name = self.info.stages[stage].name;
        self.note(name, &message);
        let node = &mut self.nodes[stage];
        node.tally.panicked += items;
        match self.settings.stages[stage].on_panic {
            OnPanic::Isolate | OnPanic::DeadLetter | OnPanic::Keep => {}
            OnPanic::Reset => {
                if let Some(machine) = &mut node.part.machine {
                    machine.reset();
                }
            }
            OnPanic::Stop => self.fail(RunError::Panicked {
                stage: name,
                message,
            }),
        }
    }

    pub(super) fn note(&mut self, stage: &'static str, message: &str) {
        if self.panics.len() < PANICS_KEPT {
            self.panics.push(PanicNote {
                stage,
                message: message.to_owned(),
            });
        }
    }

    /// Ends the run with an error; the first one counts.
    pub(super) fn fail(&mut self, error: RunError) {
        self.error.get_or_insert(error);
    }
}
