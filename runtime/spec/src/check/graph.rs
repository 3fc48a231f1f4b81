//! Rules about the graph: what feeds what.

use super::{MAX_INPUTS, MAX_PATHS, MAX_READS, MAX_STAGES};
use crate::model::{Gives, Kind, Model, Place, Stage, Takes};
use crate::plan;
use crate::report::{Problem, Problems};

/// There is at least one stage, and not too many; the same for what each reads.
pub(super) fn size<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    if model.stages.is_empty() {
        problems.push(
            Problem::new(
                "E_EMPTY",
                "this pipeline has no stages",
                model.place.clone(),
            )
            .help("add a source, and a sink that reads it"),
        );
    }
    if let Some(stage) = model.stages.get(MAX_STAGES) {
        let message = format!(
            "a pipeline has at most {MAX_STAGES} stages, and this has {}",
            model.stages.len()
        );
        problems.push(
            Problem::new("E_TOO_MANY_STAGES", message, stage.name.place.clone())
                .help("split it into several pipelines"),
        );
    }
    for stage in &model.stages {
        if let Some(door) = stage.from.get(MAX_INPUTS) {
            let message = format!(
                "a stage reads at most {MAX_INPUTS} outputs, and this reads {}",
                stage.from.len()
            );
            problems.push(
                Problem::new("E_TOO_MANY_INPUTS", message, door.stage.place.clone())
                    .help("merge some of them in a stage before it"),
            );
        }
    }
    let mut reads = model.stages.iter().flat_map(|stage| &stage.from);
    let count = reads.clone().count();
    if let Some(door) = reads.nth(MAX_READS).filter(|_| problems.is_empty()) {
        let message = format!(
            "the stages of a pipeline read at most {MAX_READS} outputs together, and these read {count}"
        );
        problems.push(
            Problem::new("E_TOO_MANY_INPUTS", message, door.stage.place.clone())
                .help("split it into several pipelines"),
        );
    }
}

/// A source reads nothing.
pub(super) fn source_reads<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in model.stages.iter().filter(|stage| stage.is_source()) {
        if let Some(door) = stage.from.first() {
            let message = format!("`{}` is a source, so it reads nothing", stage.name.text);
            problems.push(
                Problem::new("E_SOURCE_FROM", message, door.stage.place.clone())
                    .help("remove `from`, or make it a `#[stage]`"),
            );
        }
    }
}

/// A stage reads something.
pub(super) fn no_input<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let reads = |stage: &&Stage<P>| matches!(stage.kind, Some(Kind::Stage | Kind::Sink));
    for stage in model
        .stages
        .iter()
        .filter(reads)
        .filter(|stage| stage.from.is_empty())
    {
        let help = match stage.kind {
            Some(Kind::Sink) => "add `from = ..`",
            _ => "add `from = ..`, or make it a `#[source]`",
        };
        let message = format!("`{}` has no input", stage.name.text);
        problems.push(Problem::new("E_NO_INPUT", message, stage.name.place.clone()).help(help));
    }
}

/// A stage gives something; one that does not is a sink.
pub(super) fn no_output<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in model
        .stages
        .iter()
        .filter(|stage| stage.kind == Some(Kind::Stage))
    {
        let Some(signature) = stage.signature else {
            continue;
        };
        let kept = matches!(
            signature.takes,
            Takes::ItemMut | Takes::Batch | Takes::SliceMut
        );
        if matches!(signature.gives, Gives::Unit | Gives::UnitResult) && !kept {
            let message = format!("`{}` passes nothing on, so it is a sink", stage.name.text);
            problems.push(
                Problem::new("E_NO_OUTPUT", message, stage.name.place.clone())
                    .help("write `#[sink(..)]`"),
            );
        }
    }
}

/// A sink has no output but its errors, and what its breaker diverts.
pub(super) fn from_sink<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for door in model
        .stages
        .iter()
        .flat_map(|stage| &stage.from)
        .filter(|door| !model.is_side_door(door))
    {
        let sink = model
            .find(&door.stage.text)
            .map(|n| &model.stages[n])
            .filter(|stage| stage.is_sink());
        if let Some(sink) = sink {
            let message = format!("`{}` is a sink, so it has no output", sink.name.text);
            problems.push(
                Problem::new("E_FROM_SINK", message, door.stage.place.clone())
                    .help("make it a `#[stage]` that returns what is to be read"),
            );
        }
    }
}

/// No stage feeds itself, not even by way of others.
pub(super) fn cycle<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let Some(circle) = plan::cycle(model) else {
        return;
    };
    let first = &model.stages[circle[0]];
    let last = &model.stages[circle[circle.len() - 1]].name.text;
    let place = first
        .from
        .iter()
        .find(|door| door.stage.text == *last)
        .map_or(&first.name.place, |d| &d.stage.place);
    let names: Vec<String> = circle
        .iter()
        .chain([&circle[0]])
        .map(|&n| format!("`{}`", model.stages[n].name.text))
        .collect();
    let message = match circle.len() {
        1 => format!("`{last}` feeds itself"),
        _ => format!("these stages feed each other: {}", names.join(" -> ")),
    };
    problems.push(
        Problem::new("E_CYCLE", message, place.clone())
            .help("a pipeline has no cycles; send feedback through `input` or through state"),
    );
}

/// What a stage passes on is read.
pub(super) fn unread<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let passes_on = |stage: &&Stage<P>| matches!(stage.kind, Some(Kind::Stage | Kind::Source));
    for stage in model.stages.iter().filter(passes_on) {
        let name = &stage.name.text;
        // Callers read what answers them; where nobody has that name, it may be meant to be this one.
        let reply = model.options.reply.as_ref();
        let reply = reply.map(|reply| &reply.value.stage.text);
        if reply.is_some_and(|reply| reply == name || model.find(reply).is_none()) {
            continue;
        }
        if model
            .stages
            .iter()
            .flat_map(|reader| &reader.from)
            .any(|door| door.stage.text == *name && !model.is_side_door(door))
        {
            continue;
        }
        let help = match stage.kind {
            Some(Kind::Source) => format!("add a stage or sink with `from = {name}`"),
            _ => format!(
                "add a stage or sink with `from = {name}`, or make it a `#[sink]` that returns nothing"
            ),
        };
        let message = format!("nothing reads `{name}`");
        problems.push(Problem::new("E_UNREAD", message, stage.name.place.clone()).help(help));
    }
}

/// An output is read whole or by its variants.
pub(super) fn mixed_doors<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    for stage in &model.stages {
        let name = &stage.name.text;
        let mut doors = model.stages.iter().flat_map(|reader| &reader.from);
        let mut reads = doors
            .clone()
            .filter(|door| door.stage.text == *name && !model.is_side_door(door));
        let Some(whole) = doors.find(|door| door.stage.text == *name && door.door.is_none()) else {
            continue;
        };
        if let Some(variant) = reads.find(|door| door.door.is_some()) {
            let message = format!("`{name}` is read whole here, and by its variants elsewhere");
            problems.push(
                Problem::new("E_MIXED_DOORS", message, whole.stage.place.clone())
                    .help("read every variant by its name, or add a stage that takes the whole and routes it")
                    .related(variant.stage.place.clone(), "read by variant"),
            );
        }
    }
}

/// A batch does not reach a stage by more paths than the runtime counts.
pub(super) fn paths<P: Place>(model: &Model<P>, problems: &mut Problems<P>) {
    let plan = plan::plan(model);
    if let Some(link) = plan.links.iter().find(|link| link.paths > MAX_PATHS) {
        let stage = &model.stages[link.to];
        let message = format!(
            "items reach `{}` by more than {MAX_PATHS} paths",
            stage.name.text
        );
        problems.push(
            Problem::new("E_TOO_MANY_PATHS", message, stage.name.place.clone())
                .help("join the paths earlier, in a stage with `&mut S` or in a sink"),
        );
    }
}
