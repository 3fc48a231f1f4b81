//! Whatever a user has typed so far, the macros return tokens. Editors expand on every key stroke.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use pipewright_macros_core::{
    Kind, Source, expand_pipeline, expand_stage, finish_pipeline, read_pipelines,
};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Pieces of arguments, right and wrong.
const ARGUMENTS: [&str; 58] = [
    "",
    ",",
    ",,",
    "=",
    "= 1",
    "from",
    "from =",
    "from = ,",
    "from = a",
    "from = [a",
    "from = [a,]",
    "from = [,]",
    "from = a::",
    "from = ::a",
    "from = a::b::c",
    "from = \"a\"",
    "from = a b",
    "from = [[a]]",
    "from = (a)",
    "from = -1",
    "from = input",
    "from = input::x",
    "from = self",
    "from = crate::a",
    "from = Self",
    "from = a::Err, from = b",
    "batch = 0",
    "batch = -9223372036854775809",
    "batch = 340282366920938463463374607431768211456",
    "batch = 1e400",
    "batch = 0x",
    "batch = \"\"",
    "batch = \"9999999999999999999Ki\"",
    "batch = b\"x\"",
    "batch = '\\u{0}'",
    "batch()",
    "batch(())",
    "linger = \"µs\"",
    "linger = \"🦀\"",
    "cores = \"0-4294967295\"",
    "cores = \"7-3\"",
    "key = |x|",
    "key = |x| x",
    "key = |x, y| x",
    "state = 1",
    "per_worker per_worker",
    "retry(max = 3, max)",
    "retry((((",
    "retry(a(b(c(d))))",
    "\"a.ron\"",
    "\"a.ron\" \"b.ron\"",
    "\"\", env = Env",
    "env = fn(&u8) -> u8",
    "env = <A as B>::C",
    "env = ",
    "pool(workers)",
    "r#from = r#type",
    "'a",
];

/// Items, right and wrong.
const ITEMS: [&str; 50] = [
    "",
    ";",
    "fn",
    "fn f",
    "fn f(",
    "fn f()",
    "fn f();",
    "fn f() {}",
    "fn f(x) {}",
    "fn f(x:) {}",
    "fn f(x: ) -> {}",
    "fn f(x: u8) ->",
    "fn f(x: u8) -> u8 { x }",
    "fn f(x: u8) -> Result<",
    "fn f(x: u8) -> Result<> {}",
    "fn f(x: &) {}",
    "fn f(x: &mut) {}",
    "fn f(x: &'a u8) {}",
    "fn f(self) {}",
    "fn f(&mut self, x: u8) {}",
    "fn f(..) {}",
    "fn f(x: u8, ...) {}",
    "fn f<T>(x: T) {}",
    "fn f<'a, const N: usize>(x: [&'a u8; N]) {}",
    "fn f(x: Emit<u8>) {}",
    "fn f(x: &mut Emit<u8>) {}",
    "fn f(x: u8, o: &mut Emit) {}",
    "fn f(x: u8) -> impl {}",
    "fn f(x: u8) -> impl Iterator<Item> {}",
    "fn f(x: u8) -> impl Iterator<Item = > {}",
    "fn f((a, b): (u8, u8)) {}",
    "fn f(_: u8) {}",
    "fn f(x: dyn Fn(&u8) -> &u8) -> Option<Option<u8>> { x }",
    "fn r#fn(x: u8) {}",
    "fn f(x: m!()) -> m!() {}",
    "async fn f(x: u8) {}",
    "const unsafe extern \"C\" fn f(x: u8) {}",
    "struct S",
    "struct S;",
    "enum E {",
    "impl X for Y {}",
    "mod m",
    "mod m;",
    "mod m {}",
    "use a::{b, c as d, *};",
    "macro_rules! m { () => {} }",
    "static X: u8 = 1;",
    "#[cfg(x)] fn f(x: u8) {}",
    "#[stage] fn f(x: u8) {}",
    "#![inner] fn f(x: u8) {}",
];

/// Files, right and wrong.
const FILES: [&str; 16] = [
    "",
    "(",
    ")",
    "()",
    "(stages: {})",
    "(stages: {\"a\": ()})",
    "(stages: {\"\": ()})",
    "(stages: {\"self\": (), \"fn\": (from: \"self\")})",
    "(stages: {\"a::b\": (from: \"::\")})",
    "(stages: {\"a\": (from: [])})",
    "(stages: {\"🦀\": (from: \"🦀\")})",
    "(stages: [1])",
    "\u{0}",
    "((((((((((((((((((",
    "(stages: {\"a\": (run: \"a\")}, pool: (workers: 18446744073709551616))",
    "// only a comment",
];

/// A pipeline with everything; cut off after each token it is what somebody is typing.
const WHOLE: &str = r#"
    #![allow(unused)]
    use super::{decode, types::*, other as another};
    /// Reads.
    #[source(state = connect, idle = "20us")]
    pub fn ingest(socket: &mut Socket, out: &mut Emit<Frame>) -> Flow { Flow::Done }
    #[stage(from = ingest, key = |x: &Frame| x.id)]
    pub(crate) fn parse(x: Frame, s: &mut Seen, env: &Env) -> Result<Option<Tx>, Error> { Ok(None) }
    #[stage(from = parse, batch = 64, linger = "150us")]
    fn verify(xs: &mut Batch<Tx>) { xs.retain(|x| x.ok()) }
    #[pipewright::stage(from = [verify, another])]
    fn classify(x: Tx) -> Routed { x.into() }
    #[sink(from = [classify::Swap, classify::Lookup], order = any, on_panic = stop)]
    fn publish(x: Swap, all: &mut Vec<Swap>) -> Result<(), Error> { Ok(()) }
    #[sink(from = [parse::Err, publish::Err])]
    fn reject(error: Error) {}
    const X: u8 = { 1 };
"#;

/// Calls `f`; the input is in the message if it panics.
fn survives(what: &str, f: impl FnOnce() -> TokenStream) -> TokenStream {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(tokens) => tokens,
        Err(_) => panic!("panicked on: {what}"),
    }
}

/// The text as tokens, if it is made of any.
fn tokens(text: &str) -> Option<TokenStream> {
    text.parse().ok()
}

fn pipeline(attr: &str, item: TokenStream, ron: &str) -> TokenStream {
    let files = |path: &str, _| Ok(Source::new(path, ron));
    survives(&format!("#[pipeline({attr})] {item}\n{ron}"), || {
        expand_pipeline(tokens(attr).unwrap_or_default(), item.clone(), &files)
    })
}

fn module(body: TokenStream) -> TokenStream {
    let body = TokenTree::Group(Group::new(Delimiter::Brace, body));
    let mut item = tokens("pub mod m").unwrap_or_default();
    item.extend([body]);
    item
}

#[test]
fn any_arguments_on_any_item_give_tokens() {
    for attr in ARGUMENTS.iter().filter_map(|text| tokens(text)) {
        for item in ITEMS.iter().filter_map(|text| tokens(text)) {
            for kind in [Kind::Source, Kind::Stage, Kind::Sink] {
                let what = format!("#[{kind}({attr})] {item}");
                let expanded = survives(&what, || expand_stage(kind, attr.clone(), item.clone()));
                assert!(!expanded.is_empty(), "{what}");
            }
        }
    }
}

#[test]
fn any_arguments_on_a_pipeline_give_tokens() {
    let body = tokens(WHOLE).unwrap_or_default();
    for attr in ARGUMENTS {
        pipeline(attr, module(body.clone()), FILES[5]);
        ITEMS
            .iter()
            .filter_map(|text| tokens(text))
            .for_each(|item| drop(pipeline(attr, item, "")));
    }
}

#[test]
fn any_items_in_a_pipeline_give_tokens() {
    for item in ITEMS.iter().filter_map(|text| tokens(text)) {
        for attr in ARGUMENTS.iter().filter(|text| tokens(text).is_some()) {
            let stage = tokens(&format!("#[stage({attr})]")).unwrap_or_default();
            let body = [
                tokens("struct Before;"),
                Some(stage),
                Some(item.clone()),
                tokens("fn after() {}"),
            ];
            pipeline("", module(body.into_iter().flatten().collect()), "");
        }
    }
}

#[test]
fn any_file_gives_tokens() {
    let body = tokens(WHOLE).unwrap_or_default();
    for ron in FILES {
        pipeline("\"m.ron\", env = Env", module(body.clone()), ron);
        pipeline("\"m.ron\"", module(TokenStream::new()), ron);
    }
}

#[test]
fn a_pipeline_that_is_being_typed_gives_tokens() {
    let all: Vec<TokenTree> = tokens(WHOLE).unwrap_or_default().into_iter().collect();
    for end in 0..all.len() {
        let body: TokenStream = all[..end].iter().cloned().collect();
        let expanded = pipeline("env = Env", module(body), "").to_string();
        let ends = expanded.contains("struct Pipeline") || expanded.contains("finish_pipeline");
        assert!(ends, "the pipeline is missing after {end} tokens");
    }
    for missing in 0..all.len() {
        let body = all
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, token)| token.clone());
        pipeline("env = Env", module(body.collect()), "");
    }
}

#[test]
fn the_end_of_a_pipeline_with_imports_takes_anything() {
    let files = |path: &str, _: proc_macro2::Span| Ok(Source::new(path, FILES[4]));
    let inputs = [
        "",
        ";",
        "; {}",
        "; { m {} {} {} }",
        "; { m {} {} {} } {}",
        "; { m {env} { {} } {a} } { fn }",
        "; { m { \"x\" } { {fn f() {}} } { a b } } { fn g() {} }",
    ];
    for input in inputs.iter().chain(&ITEMS).filter_map(|text| tokens(text)) {
        survives(&input.to_string(), || {
            finish_pipeline(input.clone(), &files)
        });
    }
}

#[test]
fn any_source_file_can_be_read() {
    let files = |path: &str, _: proc_macro2::Span| Ok(Source::new(path, FILES[4]));
    let whole = format!("#[pipeline(\"m.ron\")] mod m {{ {WHOLE} }}");
    let texts = ITEMS
        .iter()
        .chain(&ARGUMENTS)
        .chain(&FILES)
        .copied()
        .chain([WHOLE, &whole]);
    for text in texts {
        survives(text, || {
            drop(read_pipelines(&Source::new("a.rs", text), &files));
            TokenStream::new()
        });
    }
}
