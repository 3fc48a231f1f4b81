//! Writes a random pipeline as a user would write it.

use std::fmt::Write as _;

use super::{Door, Form, Shape, Stage, State};

/// A file with a module `p0`, `p1`, .. for each pipeline, and a macro that names them all.
pub fn file(seed: u64, shapes: &[Shape]) -> String {
    let mut text = format!(
        "/// The seed of these pipelines.\npub const SEED: u64 = {seed};\n/// How many they are.\npub const COUNT: usize = {};\n",
        shapes.len()
    );
    for (n, shape) in shapes.iter().enumerate() {
        let _ = writeln!(text, "\n{}", module(n, shape));
    }
    let subjects: String = (0..shapes.len())
        .map(|n| format!("    &Drive{n},\n"))
        .collect();
    let _ = writeln!(
        text,
        "/// All of them.\npub static SUBJECTS: &[&(dyn Subject + Sync)] = &[\n{subjects}];"
    );
    text
}

/// The module of one pipeline, and how the test drives it.
pub fn module(n: usize, shape: &Shape) -> String {
    let mut text = String::new();
    let quantum = match shape.quantum_us {
        Some(us) => format!(", quantum = \"{us}us\""),
        None => String::new(),
    };
    let _ = writeln!(
        text,
        "#[pipeline(env = Env{quantum})]\npub mod p{n} {{\n    use super::*;\n"
    );
    for at in 0..shape.stages.len() {
        text.push_str(&stage(at, shape));
        text.push('\n');
    }
    let sources: Vec<String> = shape.sources().map(|at| format!("{at} = s{at}")).collect();
    let states: Vec<String> = shape.states().map(|at| format!("{at} = s{at}")).collect();
    let input = if shape.reads_input() {
        "pushed"
    } else {
        "alone"
    };
    let _ = writeln!(
        text,
        "}}\ndrive!(Drive{n}, p{n}, {input}, sources [{}], states [{}]);",
        sources.join(", "),
        states.join(", ")
    );
    text
}

fn stage(at: usize, shape: &Shape) -> String {
    let stage = &shape.stages[at];
    match stage.form {
        form if form.is_source() => source(at, stage),
        _ => {
            let kind = if stage.form.is_sink() {
                "sink"
            } else {
                "stage"
            };
            let args = arguments(at, shape).join(", ");
            format!(
                "    #[{kind}({args})]\n    pub {}fn s{at}{}\n",
                if stage.futures.is_some() {
                    "async "
                } else {
                    ""
                },
                function(at, stage)
            )
        }
    }
}

fn source(at: usize, stage: &Stage) -> String {
    let mut args = numbers(stage);
    if stage.form == Form::Poll {
        args.push(format!("state = start_{at}"));
    }
    let attribute = match args.is_empty() {
        true => "    #[source]\n".to_owned(),
        false => format!("    #[source({})]\n", args.join(", ")),
    };
    let function = match stage.form {
        Form::Range => format!("(env: &Env) -> std::ops::Range<u64> {{ 0..env.count({at}) }}"),
        Form::Vector => format!("(env: &Env) -> Vec<Item> {{ env.given({at}).collect() }}"),
        Form::Iterator => {
            format!("(env: &Env) -> impl Iterator<Item = Item> {{ env.given({at}) }}")
        }
        _ => "(given: &mut Given, out: &mut Emit<Item>) -> Flow { given.poll(out) }".to_owned(),
    };
    let start = match stage.form {
        Form::Poll => format!("    fn start_{at}(env: &Env) -> Given {{ env.given({at}) }}\n"),
        _ => String::new(),
    };
    format!("{start}{attribute}    pub fn s{at}{function}\n")
}

/// The keys with numbers and words.
fn numbers(stage: &Stage) -> Vec<String> {
    let mut args = Vec::new();
    if let Some(batch) = stage.batch {
        args.push(format!("batch = {batch}"));
    }
    if let Some(priority) = stage.priority {
        args.push(format!("priority = {priority}"));
    }
    if let Some(on_panic) = stage.on_panic {
        args.push(format!("on_panic = {on_panic}"));
    }
    if let Some(cores) = stage.cores {
        args.push(format!("cores = \"{cores}\""));
    }
    args
}

fn arguments(at: usize, shape: &Shape) -> Vec<String> {
    let stage = &shape.stages[at];
    let doors: Vec<String> = stage.from.iter().map(door).collect();
    let mut args = vec![match doors.as_slice() {
        [one] => format!("from = {one}"),
        all => format!("from = [{}]", all.join(", ")),
    }];
    match stage.state {
        State::None => {}
        State::Serial if at.is_multiple_of(2) => {}
        State::Serial => args.push("state = Tally::new".to_owned()),
        State::PerWorker => args.push("per_worker, state = Tally::new".to_owned()),
        State::Keyed if stage.bad_keys => {
            args.push(format!("key = |item| rules::key_or_panic({at}, item.tag)"))
        }
        State::Keyed => args.push(format!("key = |item| rules::key({at}, item.tag)")),
    }
    if stage.any {
        args.push("order = any".to_owned());
    }
    if stage.form.is_fallible() && shape.readers(Door::Err(at)).next().is_none() {
        args.push("on_error = drop".to_owned());
    }
    if let Some(futures) = stage.futures {
        args.push(format!("in_flight = {futures}"));
    }
    args.extend(numbers(stage));
    args
}

fn door(door: &Door) -> String {
    match door {
        Door::Input => "input".to_owned(),
        Door::Main(stage) => format!("s{stage}"),
        Door::Err(stage) => format!("s{stage}::Err"),
        Door::Variant(stage, variant) => format!("s{stage}::{}", ["A", "B", "C"][*variant]),
    }
}

/// Parameters, return type and body.
fn function(at: usize, stage: &Stage) -> String {
    let (state, given) = match stage.state {
        State::None => ("", "None"),
        _ => (", tally: &mut Tally", "Some(tally)"),
    };
    let (item, out, returns, call) = match stage.form {
        Form::Born => ("n: u64", "", " -> Item", "born(call, n)"),
        Form::Map => ("item: Item", "", " -> Item", "map(call, item)"),
        Form::InPlace => ("item: &mut Item", "", "", "in_place(call, item)"),
        Form::Keep => ("item: &Item", "", " -> bool", "keep(call, item)"),
        Form::Opt => ("item: Item", "", " -> Option<Item>", "opt(call, item)"),
        Form::Res => (
            "item: Item",
            "",
            " -> Result<Item, Item>",
            "res(call, item)",
        ),
        Form::ResOpt => (
            "item: Item",
            "",
            " -> Result<Option<Item>, Item>",
            "res_opt(call, item)",
        ),
        Form::Many => (
            "item: Item",
            "",
            " -> impl Iterator<Item = Item>",
            "many(call, item)",
        ),
        Form::Emit => (
            "item: Item",
            ", out: &mut Emit<Item>",
            "",
            "emit(call, item, out)",
        ),
        Form::EmitRes => (
            "item: Item",
            ", out: &mut Emit<Item>",
            " -> Result<(), Item>",
            "emit_res(call, item, out)",
        ),
        Form::Route(2) => ("item: Item", "", " -> Route2", "route2(call, item)"),
        Form::Route(_) => ("item: Item", "", " -> Route3", "route3(call, item)"),
        Form::BatchMut => ("batch: &mut Batch<Item>", "", "", "batch(call, batch)"),
        Form::SliceMut => ("batch: &mut [Item]", "", "", "slice(call, batch)"),
        Form::SliceEmit => (
            "batch: &[Item]",
            ", out: &mut Emit<Item>",
            "",
            "slice_emit(call, batch, out)",
        ),
        Form::Sink => ("item: Item", "", "", "take(call, item)"),
        Form::SinkRes => (
            "item: Item",
            "",
            " -> Result<(), Item>",
            "take_res(call, item)",
        ),
        _ => ("batch: &[Item]", "", "", "take_all(call, batch)"),
    };
    let waits = match stage.futures {
        Some(_) => "        user::turn(item.tag).await;\n",
        None => "",
    };
    format!(
        "({item}{out}{state}, env: &Env){returns} {{\n{waits}        let call = env.call({at}, {given});\n        user::{call}\n    }}"
    )
}
