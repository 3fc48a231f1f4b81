//! Attributes and RON become one model. A key is given in one of them, never in both.

use pipewright_spec::{
    model::{Model, Stage},
    options::{KeyInfo, PIPELINE_KEYS, PipelineOptions, StageOptions},
    report::Source,
    suggest,
};
use proc_macro2::Span;

use crate::{errors::Errors, options::PipelineArgs, place::Place, stage::StageDef};

/// What is written about one pipeline.
pub(crate) struct Written<'w> {
    /// The name of the module.
    pub(crate) name: String,
    /// Where that name stands.
    pub(crate) span: Span,
    /// The stages of the module, and those it imports.
    pub(crate) defs: &'w [StageDef],
    /// The arguments of `#[pipeline]`.
    pub(crate) args: &'w PipelineArgs,
    /// Functions of the module that are no stages.
    pub(crate) plain: &'w [String],
    /// The RON file.
    pub(crate) file: Option<File<'w>>,
    /// `true` if stages may be missing because only the text of the module is known.
    pub(crate) partial: bool,
}

/// A RON file that was read.
pub(crate) struct File<'w> {
    /// Its text.
    pub(crate) source: &'w Source,
    /// What it says.
    pub(crate) model: Model<Place>,
}

/// A model, and which function each of its stages runs.
pub(crate) struct Merged {
    /// The model.
    pub(crate) model: Model<Place>,
    /// For each stage of the model, its place in the list of functions.
    pub(crate) functions: Vec<Option<usize>>,
}

/// Puts everything together.
pub(crate) fn merge(written: Written<'_>, errors: &mut Errors) -> Merged {
    match written.file {
        None => from_attributes(&written),
        Some(_) => with_file(written, errors),
    }
}

fn from_attributes(written: &Written<'_>) -> Merged {
    let model = Model {
        name: written.name.clone(),
        place: written.span.into(),
        stages: written.defs.iter().map(StageDef::model).collect(),
        options: written.args.options.clone(),
    };
    Merged {
        model,
        functions: (0..written.defs.len()).map(Some).collect(),
    }
}

fn with_file(mut written: Written<'_>, errors: &mut Errors) -> Merged {
    let Some(file) = written.file.take() else {
        return from_attributes(&written);
    };
    let mut functions = Vec::new();
    let mut stages = Vec::new();
    for stage in file.model.stages {
        let function = function_of(&stage, &written);
        match function {
            Some(at) => stages.push(join(stage, &written.defs[at], file.source, errors)),
            None => {
                if !written.partial {
                    no_function(&stage, &written, file.source, errors);
                }
                stages.push(stage);
            }
        }
        functions.push(function);
    }
    unmentioned(&written, &functions, file.source, errors);
    let options = join_pipeline(
        file.model.options,
        written.args.options.clone(),
        file.source,
        errors,
    );
    let model = Model {
        name: written.name,
        place: written.span.into(),
        stages,
        options,
    };
    Merged { model, functions }
}

fn function_name(stage: &Stage<Place>) -> &str {
    stage.run.as_ref().map_or(&stage.name.text, |run| &run.text)
}

fn function_of(stage: &Stage<Place>, written: &Written<'_>) -> Option<usize> {
    written
        .defs
        .iter()
        .position(|def| def.name() == function_name(stage))
}

/// The RON names a function that is not here.
fn no_function(stage: &Stage<Place>, written: &Written<'_>, source: &Source, errors: &mut Errors) {
    let name = function_name(stage);
    let shown = pipewright_spec::units::short(name);
    let place = &stage.run.as_ref().unwrap_or(&stage.name).place;
    let names: Vec<String> = written.defs.iter().map(StageDef::name).collect();
    let help = match suggest::nearest(name, names.iter().map(String::as_str)) {
        _ if written.plain.iter().any(|plain| plain == name) => {
            format!("put `#[stage]` on `fn {shown}`")
        }
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("write `#[stage] fn {shown}` in it, or `use` the stage by its name"),
    };
    let file = short(source);
    errors
        .place(
            "E_NO_FUNCTION",
            place,
            format!("`{file}` names `{shown}`, but this module has no `#[stage] fn {shown}`"),
        )
        .help(help);
}

/// Functions that the RON does not mention.
fn unmentioned(
    written: &Written<'_>,
    functions: &[Option<usize>],
    source: &Source,
    errors: &mut Errors,
) {
    for (at, def) in written.defs.iter().enumerate() {
        if !functions.contains(&Some(at)) {
            let (name, kind, file) = (def.name(), def.kind, short(source));
            errors
                .at(
                    "E_UNMENTIONED",
                    def.item.span(),
                    format!("`{name}` is a {kind} here, but `{file}` does not mention it"),
                )
                .help(format!(
                    "add `\"{name}\": (from: ..)` there, or take `#[{kind}]` away"
                ));
        }
    }
}

/// A stage of the file and the attribute of its function.
fn join(
    mut stage: Stage<Place>,
    def: &StageDef,
    source: &Source,
    errors: &mut Errors,
) -> Stage<Place> {
    let here = def.model();
    let name = stage.name.text.clone();
    if let (Some(key), Some(first)) = (def.args.from_key, stage.from.first()) {
        both(
            "from",
            Some(&name),
            &key.into(),
            &first.stage.place,
            source,
            errors,
        );
    }
    for (info, place) in here.options.all_given() {
        if let Some(there) = stage.options.given(info.key) {
            both(info.name, Some(&name), place, there, source, errors);
        }
    }
    if stage.from.is_empty() {
        stage.from = here.from;
    }
    stage.kind = here.kind;
    stage.signature = here.signature;
    stage.options = join_options(stage.options, here.options);
    stage
}

fn both(
    key: &str,
    stage: Option<&str>,
    here: &Place,
    there: &Place,
    source: &Source,
    errors: &mut Errors,
) {
    let at = match there {
        Place::Ron(range) => source.locate(range),
        Place::Rust(_) => source.path.clone(),
    };
    // As elsewhere, the file is called by its name; the folders before it are those of whoever compiles.
    let at = at.rsplit('/').next().unwrap_or(&at);
    let of = stage
        .map(|stage| format!(" of `{stage}`"))
        .unwrap_or_default();
    errors
        .place(
            "E_BOTH",
            here,
            format!("`{key}`{of} is set here and in `{at}`"),
        )
        .help("keep one");
}

fn join_options(ron: StageOptions<Place>, rust: StageOptions<Place>) -> StageOptions<Place> {
    StageOptions {
        workers: ron.workers.or(rust.workers),
        cores: ron.cores.or(rust.cores),
        wait: ron.wait.or(rust.wait),
        realtime: ron.realtime.or(rust.realtime),
        batch: ron.batch.or(rust.batch),
        linger: ron.linger.or(rust.linger),
        budget: ron.budget.or(rust.budget),
        idle: ron.idle.or(rust.idle),
        queue: ron.queue.or(rust.queue),
        overflow: ron.overflow.or(rust.overflow),
        priority: ron.priority.or(rust.priority),
        order: ron.order.or(rust.order),
        on_error: ron.on_error.or(rust.on_error),
        on_panic: ron.on_panic.or(rust.on_panic),
        in_flight: ron.in_flight.or(rust.in_flight),
        timeout: ron.timeout.or(rust.timeout),
        rate: ron.rate.or(rust.rate),
        shed: ron.shed.or(rust.shed),
        retry: ron.retry.or(rust.retry),
        breaker: ron.breaker.or(rust.breaker),
        prefetch: ron.prefetch.or(rust.prefetch),
        simd: ron.simd.or(rust.simd),
        rust: rust.rust,
    }
}

fn join_pipeline(
    ron: PipelineOptions<Place>,
    rust: PipelineOptions<Place>,
    source: &Source,
    errors: &mut Errors,
) -> PipelineOptions<Place> {
    let given = |info: &'static KeyInfo| Some((info, rust.given(info.key)?, ron.given(info.key)?));
    for (info, here, there) in PIPELINE_KEYS.iter().filter_map(given) {
        both(info.name, None, here, there, source, errors);
    }
    PipelineOptions {
        pool: if ron.pool.key.is_some() {
            ron.pool
        } else {
            rust.pool
        },
        quantum: ron.quantum.or(rust.quantum),
        reply: ron.reply.or(rust.reply),
        memory: ron.memory.or(rust.memory),
        hw: if ron.hw.key.is_some() {
            ron.hw
        } else {
            rust.hw
        },
        env: rust.env,
    }
}

/// The last part of the path, which is what the user wrote.
fn short(source: &Source) -> &str {
    source
        .path
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(&source.path)
}
