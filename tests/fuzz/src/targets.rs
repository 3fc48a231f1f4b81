//! One function for each target. It takes any bytes, and panics where a promise is broken.

#[path = "../../../macros/core/tests/hostile/tuned.rs"]
mod tuned;

use std::fmt::Write;

use pipewright::dead_letters;
use pipewright_macros_core::{Kind, Source, expand_pipeline, expand_stage, read_pipelines};
use pipewright_spec::{
    model::Model,
    report::{Problems, Span},
    ron,
};
use proc_macro2::{TokenStream, TokenTree};

/// Takes any bytes, and must not panic.
pub type Target = fn(&[u8]);

/// Each target by its name.
pub const TARGETS: [(&str, Target); 4] = [
    ("topology", topology),
    ("tuning", tuning),
    ("tokens", tokens),
    ("dead_letters", dead_letters),
];

/// A topology is read, checked, planned and made into code; or what is wrong is told, with places.
pub fn topology(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let source = Source::new("m.ron", text);
    let model = match ron::topology(&source) {
        Ok(model) => model,
        Err(problems) => return told(&problems, &source),
    };
    let problems = pipewright_spec::check(&model);
    if !problems.is_empty() {
        return told(&problems, &source);
    }
    let files = |_: &str, _| Ok(source.clone());
    let module: Result<TokenStream, _> = module(&model).parse();
    if let Ok(module) = module {
        let expanded = expand_pipeline(quote::quote!("m.ron"), module, &files);
        if !says_an_error(expanded.clone()) {
            let parsed = syn::parse2::<syn::File>(expanded);
            assert!(parsed.is_ok(), "what is generated is Rust");
        }
    }
    forget_spans();
}

/// A tuning file fits a pipeline, or what does not is told.
pub fn tuning(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let source = Source::new("m.tuning.ron", text);
        if let Err(problems) = ron::tuning_of(&source, &tuned::TOPOLOGY) {
            told(&problems, &source);
        }
    }
}

/// Any text of Rust that tokens can be made of, in every way in which it may be read.
pub fn tokens(data: &[u8]) {
    (0..WAYS).for_each(|way| tokens_in(data, way));
}

/// The same in one of the ways, which its length decides: so a fuzzer tries more texts in a time.
pub fn tokens_in_one_way(data: &[u8]) {
    tokens_in(data, data.len() % WAYS);
}

/// As a source, a stage, a sink, a pipeline, and as a file.
const WAYS: usize = 5;

fn tokens_in(data: &[u8], way: usize) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // rustc's own parsers recurse with the text, as syn does.
    if text
        .matches(['(', '[', '{', '<', '&', '*', '!', '-'])
        .count()
        > 200
    {
        return;
    }
    let files = |path: &str, _: proc_macro2::Span| Ok(Source::new(path, "(stages: {\"a\": ()})"));
    if way == 4 {
        drop(read_pipelines(&Source::new("a.rs", text), &files));
        return forget_spans();
    }
    // What stands in front of the first line's end is the argument.
    let (attr, item) = text.split_once('\n').unwrap_or(("", text));
    if let (Ok(attr), Ok(item)) = (attr.parse::<TokenStream>(), item.parse::<TokenStream>()) {
        match way {
            0 => drop(expand_stage(Kind::Source, attr, item)),
            1 => drop(expand_stage(Kind::Stage, attr, item)),
            2 => drop(expand_stage(Kind::Sink, attr, item)),
            _ if has_module(&item) => drop(expand_pipeline(attr, item, &files)),
            _ => drop(expand_pipeline(
                attr,
                quote::quote!(mod m { #item }),
                &files,
            )),
        }
    }
    forget_spans();
}

fn has_module(tokens: &TokenStream) -> bool {
    let mut tokens = tokens.clone().into_iter();
    tokens.any(|token| matches!(token, TokenTree::Ident(word) if word == "mod"))
}

/// A segment of dead letters: what is whole is found, and all other bytes are said to be damaged. The same bytes are tried as
/// the body of a letter, because nobody finds a checksum by chance.
pub fn dead_letters(data: &[u8]) {
    segment(data);
    let length = (data.len() as u32).to_le_bytes();
    let crc = crc32c::crc32c_append(crc32c::crc32c(&length), data).to_le_bytes();
    segment(
        &[
            b"PWDEADL1",
            &[0xD1, 0xEA, 0xD1, 0x37][..],
            &length,
            &crc,
            data,
        ]
        .concat(),
    );
}

fn segment(data: &[u8]) {
    let mut damaged = 0;
    let mut last = 0;
    let mut tail = false;
    for letter in dead_letters::letters(data) {
        assert!(!tail, "nothing comes behind the tail");
        match letter {
            Ok(record) => drop(format!("{record:?}")),
            Err(damage) => {
                assert!(damage.bytes.start >= last && damage.bytes.start < damage.bytes.end);
                assert!(damage.bytes.end <= data.len());
                damaged += damage.bytes.len();
                last = damage.bytes.end;
                tail = damage.is_tail;
            }
        }
    }
    assert!(damaged <= data.len());
}

/// Each problem has a place in the text and words.
fn told(problems: &Problems<Span>, source: &Source) {
    assert!(!problems.is_empty());
    for problem in problems {
        assert!(!problem.message.is_empty() && !problem.message.contains('\n'));
        assert!(problem.place.start <= source.text.len());
    }
    assert!(problems.render(source).len() < 100_000);
}

/// The functions of a pipeline: a source for what reads nothing, a sink for what nobody reads.
fn module(model: &Model<Span>) -> String {
    let mut text = String::from("mod m {");
    for stage in &model.stages {
        let name = stage.run.as_ref().unwrap_or(&stage.name).text.as_str();
        let mut doors = model.stages.iter().flat_map(|reader| &reader.from);
        let read = doors.any(|door| door.stage.text == stage.name.text && !door.is_err());
        let fails = model.stages.iter().flat_map(|reader| &reader.from);
        let fails = fails
            .into_iter()
            .any(|door| door.stage.text == stage.name.text && door.is_err());
        let function = match (stage.from.is_empty(), read, fails) {
            (true, ..) => {
                format!("#[source] pub fn {name}() -> impl Iterator<Item = u8> {{ 0..9 }}")
            }
            (_, true, true) => {
                format!("#[stage] pub fn {name}(x: u8) -> Result<u8, E> {{ Ok(x) }}")
            }
            (_, true, false) => format!("#[stage] pub fn {name}(x: u8) -> u8 {{ x }}"),
            (_, false, true) => {
                format!("#[sink] pub fn {name}(x: u8) -> Result<(), E> {{ Ok(()) }}")
            }
            (_, false, false) => format!("#[sink] pub fn {name}(x: u8) {{}}"),
        };
        writeln!(text, "{function}").expect("text grows");
    }
    text + "}"
}

fn says_an_error(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(word) => word == "compile_error",
        TokenTree::Group(group) => says_an_error(group.stream()),
        _ => false,
    })
}

/// Outside of a compiler every text that was made into tokens is kept for its places.
fn forget_spans() {
    proc_macro2::extra::invalidate_current_thread_spans();
}
