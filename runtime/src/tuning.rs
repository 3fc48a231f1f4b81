//! Tuning files: numbers of a run that can be changed without compiling.

use std::path::Path;

use pipewright_spec::{
    files,
    info::{FieldValue, TopologyInfo},
    report::Source,
    ron::{self, StageTuning, TuningFile},
};

use crate::{
    error::TuningError,
    settings::{Settings, StageSettings},
};

/// The environment variable that names a tuning file.
pub(crate) const VARIABLE: &str = "PIPEWRIGHT_TUNING";

/// The path as it is shown, and the text.
pub(crate) fn read(path: &Path) -> Result<(String, String), TuningError> {
    let shown = path.display().to_string();
    match files::read(path, ron::MAX_BYTES as u64) {
        Ok(text) => Ok((shown, text)),
        Err(error) => Err(TuningError::Read {
            path: shown,
            source: error.into(),
        }),
    }
}

/// Changes `settings` as the file says, wholly or not at all.
pub(crate) fn apply(
    settings: &mut Settings,
    info: &TopologyInfo,
    name: &str,
    text: &str,
) -> Result<(), TuningError> {
    let file = parse(&Source::new(name, text), info)?;
    change(settings, info, &file);
    Ok(())
}

/// Reads a file for a pipeline.
pub(crate) fn parse(source: &Source, info: &TopologyInfo) -> Result<TuningFile, TuningError> {
    ron::tuning_of(source, info).map_err(|problems| TuningError::Wrong(problems.render(source)))
}

/// Changes `settings` as a file says that fits the pipeline.
pub(crate) fn change(settings: &mut Settings, info: &TopologyInfo, file: &TuningFile) {
    if let Some(workers) = file.pool.workers.as_ref().filter(|_| !settings.by_code) {
        settings.pool.workers = Some(workers.value as usize);
    }
    if let Some(cores) = &file.pool.cores {
        settings.pool.cores = Some(cores.value.as_slice().into());
    }
    if let Some(smt) = &file.pool.smt {
        settings.pool.smt = Some(smt.value);
    }
    if let Some(numa) = &file.pool.numa {
        settings.pool.numa = Some(numa.value);
    }
    if let Some(quantum) = &file.quantum_ns {
        settings.quantum = quantum.value;
    }
    if let Some(memory) = &file.memory {
        settings.memory = Some(memory.value);
    }
    if let Some(enforce) = &file.enforce {
        settings.enforce = enforce.value;
        settings.enforce_said = true;
    }
    for tuned in &file.stages {
        if let Some(id) = info.find(&tuned.name.text) {
            let stage = &mut settings.stages[id];
            change_stage(stage, tuned);
            change_guard(stage, tuned);
        }
    }
}

fn change_stage(stage: &mut StageSettings, tuned: &StageTuning) {
    if let Some(batch) = &tuned.batch {
        stage.batch = Some(batch.value);
    }
    if let Some(linger) = &tuned.linger_ns {
        stage.linger = linger.value;
    }
    if let Some(budget) = &tuned.budget_ns {
        stage.budget = budget.value;
    }
    if let Some(idle) = &tuned.idle_ns {
        stage.idle = idle.value;
    }
    if let Some(queue) = &tuned.queue {
        stage.queue = queue.value;
    }
    if let Some(in_flight) = &tuned.in_flight {
        stage.in_flight = in_flight.value;
    }
    if let Some(priority) = &tuned.priority {
        stage.priority = Some(priority.value);
    }
    if let Some(cores) = &tuned.cores {
        stage.cores = Some(cores.value.clone());
    }
    if let Some(wait) = &tuned.wait {
        stage.wait = Some(wait.value);
    }
    if let Some(realtime) = &tuned.realtime {
        // The table keeps it below 50.
        stage.realtime = u8::try_from(realtime.value).ok();
    }
    if let (Some(tuned), Some(shed)) = (&tuned.shed, &mut stage.shed) {
        for field in &tuned.value.fields {
            if let Some(FieldValue::Time(ns)) = field.value.as_field() {
                shed.set(field.name, ns);
            }
        }
    }
    if let Some(on_panic) = &tuned.on_panic {
        stage.on_panic = on_panic.value;
    }
}

/// The numbers of guards that the stage has.
fn change_guard(stage: &mut StageSettings, tuned: &StageTuning) {
    let Some(guard) = &mut stage.guard else {
        return;
    };
    if let Some(workers) = &tuned.workers {
        guard.workers = Some(workers.value);
    }
    if let Some(timeout) = &tuned.timeout_ns {
        guard.timeout = Some(timeout.value);
    }
    if let Some(rate) = &tuned.rate {
        guard.rate = Some(rate.value.info());
    }
    if let Some(retry) = &tuned.retry {
        guard.tune_retry(&retry.value);
    }
    if let Some(breaker) = &tuned.breaker {
        guard.tune_breaker(&breaker.value);
    }
}
