//! Random token streams: garbage, and pipelines in which something is missing, doubled, exchanged or replaced.
//! `PIPEWRIGHT_SEED` gives others, `PIPEWRIGHT_CASES` their number.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pipewright_macros_core::{
    Kind, Source, expand_pipeline, expand_stage, finish_pipeline, read_pipelines,
};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::told;

/// How many there are without `PIPEWRIGHT_CASES`.
const CASES: u64 = 2_000;

/// SplitMix64, of which each number is a case.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        x ^ (x >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// What garbage is made of.
const WORDS: &[&str] = &[
    "fn",
    "mod",
    "pub",
    "impl",
    "dyn",
    "mut",
    "self",
    "Self",
    "super",
    "crate",
    "async",
    "const",
    "unsafe",
    "extern",
    "where",
    "for",
    "use",
    "struct",
    "enum",
    "stage",
    "source",
    "sink",
    "pipeline",
    "input",
    "from",
    "key",
    "state",
    "per_worker",
    "batch",
    "linger",
    "cores",
    "retry",
    "breaker",
    "max",
    "on_open",
    "order",
    "any",
    "keep",
    "reply",
    "env",
    "pool",
    "a",
    "b",
    "z",
    "x",
    "Env",
    "u8",
    "Result",
    "Option",
    "Emit",
    "Batch",
    "Flow",
    "Iterator",
    "Item",
    "DeadLetter",
    "Err",
    "r#fn",
    "_",
    "é",
    "0",
    "1",
    "64",
    "18446744073709551616",
    "1e400",
    "\"64Ki\"",
    "\"50us\"",
    "\"m.ron\"",
    "\"\"",
    "b\"x\"",
    "'x'",
    "r#\"y\"#",
    "'a",
    "'static",
    "=",
    "==",
    "=>",
    "->",
    "::",
    ":",
    ";",
    ",",
    ".",
    "..",
    "...",
    "&",
    "&&",
    "*",
    "|",
    "||",
    "<",
    ">",
    ">>",
    "#",
    "!",
    "?",
    "@",
    "$",
    "+",
    "-",
    "#![x]",
    "#[cfg(test)]",
    "#[stage]",
    "#[stage(from = a)]",
    "#[sink(from = [a, b])]",
];

/// A pipeline with most of what there is.
const WHOLE: &str = r#"
    use super::{decode, types::*, other as another};
    #[source(state = connect, idle = "20us", acks)]
    pub fn ingest(socket: &mut Socket, out: &mut Emit<Frame>) -> Flow { Flow::Done }
    #[source(cores = "1", wait = spin)]
    fn numbers() -> std::ops::Range<u64> { 0..9 }
    #[stage(from = [ingest, input], key = |x: &Frame| x.id, linger = "1ms", queue = 64)]
    pub(crate) fn parse(x: Frame, s: &mut Seen, env: &Env) -> Result<Option<Tx>, Error> { Ok(None) }
    #[stage(from = parse, batch = 64, linger = "150us")]
    pub fn verify(xs: &mut Batch<Tx>) { xs.retain(|x| x.ok()) }
    #[stage(from = [verify, numbers], simd = [avx2], prefetch = 8)]
    fn classify(x: Tx) -> Routed { x.into() }
    #[stage(from = classify::Left, timeout = "1s", rate = "10k/s", retry(max = 3, backoff = "10ms"), breaker(window = "10s", on_open = hold, counts = [dependency]))]
    fn call(x: Swap) -> Result<impl Iterator<Item = Swap>, Error> { Ok([x].into_iter()) }
    #[sink(from = [classify::Right, call], order = any, on_panic = stop, per_worker, priority = high)]
    fn publish(x: Swap, all: &mut Vec<Swap>) -> Result<(), Error> { Ok(()) }
    #[sink(from = [parse::Err, publish::Err, call::Err])]
    fn reject(letter: DeadLetter<Error, Swap>) {}
    const X: u8 = { 1 };
"#;

const ARGUMENTS: &str = "\"m.ron\", env = Env, reply = call, pool(workers = 4, cores = \"0-3\"), quantum = \"64us\", hw(enforce = warn)";

fn tokens(text: &str) -> Vec<TokenTree> {
    let stream: TokenStream = text.parse().expect("text of these tests is made of tokens");
    stream.into_iter().collect()
}

/// Any tokens, up to five levels deep.
fn garbage(random: &mut Random, depth: usize) -> Vec<TokenTree> {
    const BRACKETS: [Delimiter; 4] = [
        Delimiter::Parenthesis,
        Delimiter::Brace,
        Delimiter::Bracket,
        Delimiter::None,
    ];
    let mut made = Vec::new();
    for _ in 0..random.below(8) {
        match random.below(5) {
            0 if depth < 5 => {
                let inside = garbage(random, depth + 1).into_iter().collect();
                let bracket = random.one(&BRACKETS);
                made.push(TokenTree::Group(Group::new(bracket, inside)));
            }
            _ => made.extend(tokens(random.one(WORDS))),
        }
    }
    made
}

/// Changes one place of the tokens, at any depth.
fn mutate(random: &mut Random, tokens: &mut Vec<TokenTree>) {
    let at = random.below(tokens.len());
    if let Some(TokenTree::Group(group)) = tokens.get(at)
        && random.below(8) > 0
    {
        let mut inside: Vec<TokenTree> = group.stream().into_iter().collect();
        mutate(random, &mut inside);
        let mut changed = Group::new(group.delimiter(), inside.into_iter().collect());
        changed.set_span(group.span());
        tokens[at] = TokenTree::Group(changed);
        return;
    }
    match random.below(5) {
        0 if !tokens.is_empty() => drop(tokens.remove(at)),
        1 if !tokens.is_empty() => tokens.insert(at, tokens[at].clone()),
        2 if !tokens.is_empty() => {
            let other = random.below(tokens.len());
            tokens.swap(at, other);
        }
        3 if !tokens.is_empty() => {
            let other = self::tokens(random.one(WORDS));
            drop(tokens.splice(at..=at, other));
        }
        _ => {
            let more = garbage(random, 3);
            drop(tokens.splice(at..at, more));
        }
    }
}

fn mutated(random: &mut Random, text: &str, most: usize) -> TokenStream {
    let mut tokens = tokens(text);
    for _ in 0..random.below(most) {
        mutate(random, &mut tokens);
    }
    tokens.into_iter().collect()
}

fn garbage_stream(random: &mut Random) -> TokenStream {
    garbage(random, 0).into_iter().collect()
}

/// One case: what went in, for messages, and what came out.
fn case(random: &mut Random) -> (String, TokenStream) {
    const FILE: &str =
        "(stages: {\"ingest\": (), \"parse\": (from: \"ingest\"), \"publish\": (from: \"parse\")})";
    let files = |path: &str, _: proc_macro2::Span| Ok(Source::new(path, FILE));
    match random.below(6) {
        0 => {
            let (attr, item) = (garbage_stream(random), garbage_stream(random));
            let kind = random.one(&[Kind::Source, Kind::Stage, Kind::Sink]);
            (
                format!("#[{kind}({attr})] {item}"),
                expand_stage(kind, attr, item),
            )
        }
        1 => {
            let kind = random.one(&[Kind::Source, Kind::Stage, Kind::Sink]);
            let attr = mutated(
                random,
                "from = [a, b::Err], batch = 64, retry(max = 3), key = |x: &T| x.id, cores = \"1\"",
                9,
            );
            let item = mutated(
                random,
                "pub async fn f(xs: &mut Batch<T>, s: &mut S, env: &Env, out: &mut Emit<T>) -> Result<Option<T>, E> { x }",
                9,
            );
            (
                format!("#[{kind}({attr})] {item}"),
                expand_stage(kind, attr, item),
            )
        }
        2 => {
            let input = mutated(
                random,
                "{ m {env = Env} { {} } {a} } ; { #[stage(from = input)] fn f(x: u8) -> u8 { x } }",
                6,
            );
            (
                format!("finish_pipeline!({input})"),
                finish_pipeline(input, &files),
            )
        }
        3 => {
            let text = format!("#[pipeline({ARGUMENTS})] mod m {{ {WHOLE} }}");
            let text = mutated(random, &text, 9).to_string();
            // What is no text of Rust is an error as well.
            drop(read_pipelines(&Source::new("a.rs", text.as_str()), &files));
            (text, tokens("struct Read;").into_iter().collect())
        }
        _ => {
            let attr = if random.below(2) == 0 {
                TokenStream::new()
            } else {
                mutated(random, ARGUMENTS, 4)
            };
            let body = mutated(random, WHOLE, 9);
            let item: TokenStream = [
                tokens("pub mod m"),
                vec![Group::new(Delimiter::Brace, body).into()],
            ]
            .into_iter()
            .flatten()
            .collect();
            (
                format!("#[pipeline({attr})] {item}"),
                expand_pipeline(attr, item, &files),
            )
        }
    }
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok().map(|text| text.parse());
    given.map_or(default, |number| number.expect("a number"))
}

#[test]
fn random_tokens_give_tokens() {
    let (seed, cases) = (
        number("PIPEWRIGHT_SEED", 1),
        number("PIPEWRIGHT_CASES", CASES),
    );
    println!("PIPEWRIGHT_SEED={seed} PIPEWRIGHT_CASES={cases}");
    let mut refused = 0;
    for at in 0..cases {
        let seed = seed.wrapping_mul(0x2545_F491_4F6C_DD1D).wrapping_add(at);
        let run = || case(&mut Random(seed));
        let (input, output) =
            catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| panic!("case {at} panicked"));
        refused += u64::from(!told(output).is_empty());
        assert!(!input.is_empty(), "case {at}");
    }
    println!("{cases} cases, {refused} of them refused");
    assert!(refused > cases / 3, "most of this is no pipeline");
}
