//! Generated code as it would be written down: it should read as if somebody had written it with care.
//!
//! `cargo insta review` shows what has changed. Paths of the input are left out, as it has no file.

mod common;

use common::expand;
use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Block, Expr, ExprBlock, File, ImplItem, Item, Type};

/// What of an expansion a snapshot shows.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Everything.
    All,
    /// The bodies of the loops and their counts.
    Loops,
    /// The loops of workers that work together, and how segments call each other.
    Segments,
}

fn printed(tokens: TokenStream) -> String {
    let file: File =
        syn::parse2(tokens.clone()).unwrap_or_else(|error| panic!("{error}\n{tokens}"));
    let text = prettyplease::unparse(&file);
    let mut rest = text.as_str();
    let mut shown = String::new();
    // The number of the parsed string depends on the order of tests.
    while let Some((before, after)) = rest.split_once("<parsed string ") {
        shown.push_str(before);
        shown.push_str("input.rs");
        rest = after.split_once('>').map_or("", |(_, rest)| rest);
    }
    shown + rest
}

fn shown(input: &str, ron: Option<&str>, part: Part) -> String {
    let tokens = expand(input, ron);
    if part == Part::All {
        return printed(tokens);
    }
    let file: File = syn::parse2(tokens).expect("generated code is valid");
    let mut shown = TokenStream::new();
    for item in hidden(file) {
        kept(item, part).to_tokens(&mut shown);
    }
    printed(shown)
}

/// The items in the block at the end of the module.
fn hidden(file: File) -> Vec<Item> {
    let module = file.items.into_iter().find_map(|item| match item {
        Item::Mod(module) => module.content,
        _ => None,
    });
    let items = module.map(|(_, items)| items).unwrap_or_default();
    let block = items.into_iter().find_map(|item| match item {
        Item::Const(item) => match *item.expr {
            Expr::Block(ExprBlock {
                block: Block { stmts, .. },
                ..
            }) => Some(stmts),
            _ => None,
        },
        _ => None,
    });
    let stmts = block.unwrap_or_default().into_iter();
    stmts
        .filter_map(|stmt| {
            if let syn::Stmt::Item(item) = stmt {
                Some(item)
            } else {
                None
            }
        })
        .collect()
}

fn kept(item: Item, part: Part) -> Option<Item> {
    let Item::Impl(mut found) = item else {
        return None;
    };
    let name = match &*found.self_ty {
        Type::Path(path) => path.path.segments.last()?.ident.to_string(),
        _ => return None,
    };
    let is_trait = found.trait_.is_some();
    let wanted = match (part, name.as_str()) {
        (Part::Segments, "Graph") => true,
        (Part::Segments, "Solo" | "SoloTally") => false,
        (_, "Graph" | "Pipeline") => false,
        (Part::Loops, name) => name.starts_with("Solo"),
        (_, name) => name.starts_with("Segment") || name.starts_with("Tally"),
    };
    if name.ends_with("Tally") || name.starts_with("Tally") {
        let told = |item: &ImplItem| matches!(item, ImplItem::Fn(f) if f.sig.ident == "settle" || f.sig.ident == "recount");
        found.items.retain(told);
    }
    (wanted && (is_trait || !found.items.is_empty())).then_some(Item::Impl(found))
}

fn check(name: &str, input: &str, part: Part) {
    insta::assert_snapshot!(name, shown(input, None, part), input.trim());
}

#[test]
fn a_guarded_stage_may_leave_its_batch_in_the_middle() {
    check(
        "guarded",
        "#[pipeline(env = Env)] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = numbers, breaker(failure_pct = 50), retry(max = 2))]
             fn ask(n: u64, env: &Env) -> Result<u64, NoAnswer> { env.ask(n) }
             #[stage(from = ask, breaker(on_open = dead_letter))]
             fn count(n: u64, sum: &mut Sum) -> Result<u64, NoAnswer> { sum.add(n) }
             #[sink(from = count)] fn print(n: u64) {}
             #[sink(from = [ask::Err, count::Err])] fn reject(error: NoAnswer) {}
         }",
        Part::Segments,
    );
}

#[test]
fn pinned_threads_wait_with_their_batches_and_guarded_loops_look_ahead_and_have_levels() {
    check(
        "guarded_kinds",
        "#[pipeline(env = Env)] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = numbers, cores = \"0\", breaker(failure_pct = 50))]
             fn ask(n: u64, env: &Env) -> Result<u64, NoAnswer> { env.ask(n) }
             #[stage(from = ask, cores = \"1,2\", key = |n: &u64| n % 8, retry(max = 2))]
             fn count(n: u64, sum: &mut Sum) -> Result<u64, NoAnswer> { sum.add(n) }
             #[stage(from = count, order = any, prefetch = Env::place, timeout = \"1s\")]
             fn look(n: u64, env: &Env) -> Result<u64, NoAnswer> { env.look(n) }
             #[stage(from = look, rate = \"1k/s\", simd = avx2)]
             fn mix(n: u64) -> u64 { n * 3 }
             #[sink(from = mix)] fn print(n: u64) {}
             #[sink(from = [ask::Err, count::Err, look::Err])] fn reject(error: NoAnswer) {}
         }",
        Part::Segments,
    );
}

#[test]
fn items_leave_stages_by_doors_of_their_own() {
    check(
        "doors",
        "#[pipeline(env = Env)] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = numbers, on_panic = dead_letter, breaker(on_open = divert))]
             async fn ask(n: u64, env: &Env) -> Result<u64, NoAnswer> { env.ask(n).await }
             #[stage(from = ask, batch = 16, on_panic = dead_letter, retry(max = 2))]
             fn tell(all: &mut Batch<u64>, env: &Env) -> Vec<Result<u64, NoAnswer>> { env.tell(all) }
             #[sink(from = [tell, ask::Diverted])] fn print(n: u64) {}
             #[sink(from = [ask::Err, tell::Err])] fn reject(error: NoAnswer) {}
         }",
        Part::Segments,
    );
}

#[test]
fn what_leads_to_calls_that_may_hang_is_handed_on_last_and_all_but_one_left_for_any_worker() {
    check(
        "hanging",
        "#[pipeline(env = Env)] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = numbers, timeout = \"1s\")]
             fn ask(n: u64, env: &Env) -> Result<u64, NoAnswer> { env.ask(n) }
             #[stage(from = numbers, breaker(slow = \"1s\"))]
             fn look(n: u64, env: &Env) -> Result<u64, NoAnswer> { env.look(n) }
             #[sink(from = numbers, order = any)] fn print(n: u64) {}
             #[sink(from = [ask, look], order = any)] fn publish(n: u64) {}
             #[sink(from = [ask::Err, look::Err])] fn reject(error: NoAnswer) {}
         }",
        Part::Segments,
    );
}

#[test]
fn an_async_stage_hands_its_results_on_as_they_come() {
    check(
        "futures",
        "#[pipeline(env = Env)] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = numbers, in_flight = 8, timeout = \"1s\", retry(max = 2))]
             async fn ask(n: u64, env: &Env) -> Result<u64, NoAnswer> { env.ask(n).await }
             #[stage(from = ask, order = any)]
             async fn tell(n: u64) -> Option<u64> { Some(n) }
             #[sink(from = tell)] fn print(n: u64) {}
             #[sink(from = ask::Err)] async fn reject(error: NoAnswer) {}
         }",
        Part::Segments,
    );
}

#[test]
fn a_stage_alone_has_a_marker_and_a_companion() {
    check(
        "stage",
        "#[stage(from = ingest)] /// Parses.\npub fn parse(line: String) -> Result<Option<Tx>, ParseError> { line.parse() }",
        Part::All,
    );
}

#[test]
fn a_keyed_stage_says_how_its_key_and_its_state_are_made() {
    check(
        "stage_keyed",
        "#[stage(key = Tx::sender, state = Seen::load)] pub fn dedup(tx: Tx, seen: &mut Seen, env: &Env) -> Option<Tx> { None }",
        Part::All,
    );
}

#[test]
fn a_linear_pipeline_is_one_loop_and_a_gate() {
    check(
        "linear",
        "#[pipeline(env = Env, pool(workers = 4))]
         /// Prices orders.
         pub mod orders {
             use super::*;

             /// Reads orders.
             #[source]
             pub fn ingest(env: &Env) -> impl Iterator<Item = Line> { env.lines() }

             #[stage(from = ingest)]
             pub fn parse(line: Line) -> Option<Order> { line.parse() }

             #[stage(from = parse)]
             pub fn price(order: Order) -> Result<Priced, PriceError> { order.price() }

             #[stage(from = price)]
             pub fn book(priced: Priced, book: &mut Book) -> Priced { book.add(priced) }

             #[sink(from = book)]
             pub fn deliver(priced: Priced, env: &Env) { env.deliver(priced) }

             #[sink(from = price::Err)]
             pub fn reject(error: PriceError) { drop(error) }
         }",
        Part::All,
    );
}

#[test]
fn filters_and_changes_in_place_stay_in_the_loop() {
    check(
        "in_place",
        "#[pipeline] mod m {
             #[source] fn numbers() -> std::ops::Range<u64> { 0..9 }
             #[stage(from = numbers)] fn even(n: &u64) -> bool { n % 2 == 0 }
             #[stage(from = even)] fn double(n: &mut u64) { *n *= 2 }
             #[sink(from = double, on_error = stop)] fn print(n: u64) -> Result<(), Broken> { Ok(()) }
         }",
        Part::Loops,
    );
}

#[test]
fn a_loop_for_vector_levels_takes_blocks_up_to_its_last_filter() {
    check(
        "vector",
        "#[pipeline] mod vector {
             #[source] fn numbers() -> std::ops::Range<u64> { 0..9 }
             #[stage(from = numbers, simd = [avx2, avx512])] fn mix(n: u64) -> u64 { n }
             #[stage(from = mix, simd = avx2)] fn even(n: &u64) -> bool { n % 2 == 0 }
             #[stage(from = even, simd = avx2)] #[inline] fn half(n: u64) -> u32 { n as u32 / 2 }
             #[stage(from = half, simd = avx2)] fn odd(n: &u32) -> bool { n % 2 == 1 }
             #[stage(from = odd, simd = avx2)] fn text(n: u32) -> String { n.to_string() }
             #[sink(from = text)] fn print(text: String) {}
         }",
        Part::Segments,
    );
}

#[test]
fn one_to_many_stages_get_an_inner_loop() {
    check(
        "many",
        "#[pipeline] mod m {
             #[source] fn lines() -> Vec<String> { vec![] }
             #[stage(from = lines)] fn words(line: String) -> impl Iterator<Item = String> { [].into_iter() }
             #[stage(from = words)] fn letters(word: String, out: &mut Emit<char>) {}
             #[stage(from = letters, on_error = drop)] fn codes(c: char, out: &mut Emit<u32>) -> Result<(), Odd> { Ok(()) }
             #[sink(from = codes)] fn print(code: u32) {}
         }",
        Part::Segments,
    );
}

#[test]
fn batch_stages_collect_and_are_flushed() {
    check(
        "batches",
        "#[pipeline] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = numbers, batch = 64, linger = \"150us\")] fn verify(xs: &mut Batch<u64>) { xs.retain(|x| x % 2 == 0) }
             #[stage(from = verify, batch = 8)] fn pack(xs: &[u64], out: &mut Emit<Row>) {}
             #[sink(from = pack, batch = 4)] fn store(rows: &mut [Row], db: &mut Db) {}
         }",
        Part::Segments,
    );
}

#[test]
fn items_wait_in_front_of_a_stage_with_prefetch() {
    check(
        "prefetch",
        "#[pipeline(env = Env)] mod walk {
             #[source] fn places() -> impl Iterator<Item = u32> { 0..9 }
             #[stage(from = places, prefetch = Env::record)] fn lookup(at: u32, env: &Env) -> Box<Record> { env.load(at) }
             #[stage(from = lookup, prefetch = 16)] fn keep(record: &Box<Record>) -> bool { record.0 > 0 }
             #[sink(from = keep)] fn store(record: Box<Record>, db: &mut Db) {}
         }",
        Part::Loops,
    );
}

#[test]
fn pinned_stages_have_a_method_that_is_the_life_of_their_threads() {
    check(
        "pinned",
        "#[pipeline(env = Env)] mod m {
             #[source] fn lines() -> impl Iterator<Item = String> { [].into_iter() }
             #[stage(from = lines, cores = \"0\", wait = spin)] fn words(line: String, out: &mut Emit<Word>) {}
             #[stage(from = words, cores = \"1\", queue = 64)] fn count(word: Word, counts: &mut Counts) -> Word { counts.add(word) }
             #[sink(from = count, cores = \"1\")] fn store(word: Word, env: &Env) {}
             #[sink(from = words, per_worker)] fn sum(word: Word, sum: &mut Sum) {}
         }",
        Part::Segments,
    );
}

#[test]
fn keys_on_pinned_threads_have_their_states_there() {
    check(
        "pinned_keys",
        "#[pipeline(env = Env)] mod m {
             #[source] fn txs(env: &Env) -> impl Iterator<Item = Tx> { env.txs() }
             #[stage(from = txs, key = Tx::sender, cores = \"0-1\")] fn dedup(tx: Tx, seen: &mut Seen) -> Option<Tx> { Some(tx) }
             #[stage(from = dedup, cores = \"2\", realtime = 10)] fn touch(tx: &mut Tx) {}
             #[sink(from = touch, key = Tx::receiver, cores = \"2\")] fn publish(tx: Tx, last: &mut Last, env: &Env) {}
         }",
        Part::Segments,
    );
}

#[test]
fn variants_are_arms_and_join_again_in_a_method() {
    check(
        "route",
        "#[pipeline(env = Env)] mod m {
             #[source(state = connect, idle = \"20us\")] fn ticks(socket: &mut Socket, out: &mut Emit<Frame>, env: &Env) -> Flow { Flow::Done }
             #[stage(from = ticks)] fn classify(frame: Frame) -> Routed { frame.routed() }
             #[stage(from = classify::Swap)] fn price(swap: Swap) -> Priced { swap.price() }
             #[stage(from = classify::Lookup)] fn enrich(lookup: Lookup, env: &Env) -> Result<Option<Priced>, Missing> { env.look(lookup) }
             #[stage(from = [price, enrich])] fn round(priced: Priced) -> Priced { priced }
             #[sink(from = round, order = any)] fn publish(priced: Priced) {}
             #[sink(from = enrich::Err, order = any)] fn reject(error: Missing) {}
         }",
        Part::Loops,
    );
}

#[test]
fn several_readers_get_copies() {
    check(
        "broadcast",
        "#[pipeline] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = numbers)] fn left(n: u64) -> u64 { n }
             #[stage(from = numbers)] fn right(n: u64) -> Option<u64> { Some(n) }
             #[stage(from = numbers, per_worker)] fn sum(n: u64, sum: &mut Sum) -> u64 { n }
             #[sink(from = [left, right, sum])] fn print(n: u64) {}
         }",
        Part::Segments,
    );
}

#[test]
fn branches_with_gates_carry_the_order_of_the_source() {
    check(
        "tagged",
        "#[pipeline] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = numbers)] fn left(n: u64, count: &mut u64) -> u64 { n }
             #[stage(from = numbers)] fn right(n: u64) -> u64 { n }
             #[sink(from = [left, right])] fn print(n: u64) {}
         }",
        Part::Segments,
    );
}

#[test]
fn keyed_state_is_found_by_the_key_of_the_item() {
    check(
        "keyed",
        "#[pipeline(env = Env)] mod m {
             #[source] fn txs(env: &Env) -> impl Iterator<Item = Tx> { env.txs() }
             #[stage(from = txs, key = Tx::sender)] fn dedup(tx: Tx, seen: &mut Seen) -> Option<Tx> { Some(tx) }
             #[stage(from = dedup)] fn touch(tx: &mut Tx) {}
             #[sink(from = touch)] fn publish(tx: Tx, env: &Env) {}
         }",
        Part::Segments,
    );
}

#[test]
fn keyed_state_alone_is_found_likewise() {
    check(
        "keyed_solo",
        "#[pipeline] mod m {
             #[source] fn txs() -> Vec<Tx> { vec![] }
             #[stage(from = txs, key = |tx: &Tx| tx.sender)] fn dedup(tx: Tx, seen: &mut Seen) -> impl Iterator<Item = Tx> { [tx].into_iter() }
             #[sink(from = dedup)] fn publish(tx: Tx) {}
         }",
        Part::Loops,
    );
}

#[test]
fn neighbouring_serial_stages_share_a_gate() {
    check(
        "serial",
        "#[pipeline] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = numbers)] fn first(n: u64, sum: &mut Sum) -> u64 { n }
             #[stage(from = first)] fn second(n: u64, last: &mut Last) -> u64 { n }
             #[sink(from = second)] fn print(n: u64) {}
         }",
        Part::Segments,
    );
}

#[test]
fn pushed_items_enter_like_those_of_a_source() {
    check(
        "input",
        "#[pipeline] mod m {
             #[source] fn ticks() -> impl Iterator<Item = Tick> { [].into_iter() }
             #[stage(from = input, queue = \"1Ki\")] pub fn parse(request: Request) -> Query { request.query() }
             #[sink(from = input)] fn log(request: Request) {}
             #[sink(from = [parse, ticks::Query])] fn answer(query: Query) {}
             #[sink(from = ticks::Other)] fn other(other: Other) {}
         }",
        Part::Loops,
    );
}

#[test]
fn dead_letters_are_made_where_an_error_is_handed_on() {
    check(
        "letters",
        "#[pipeline] mod m {
             #[source] fn lines() -> impl Iterator<Item = String> { [].into_iter() }
             #[stage(from = lines)] fn parse(line: String) -> Result<u64, Error> { line.parse() }
             #[sink(from = parse)] fn store(n: u64, sum: &mut u64) -> Result<(), Full> { Ok(()) }
             #[sink(from = parse::Err)] fn keep(letter: DeadLetter<Error, String>) {}
             #[sink(from = store::Err)] fn tell(letter: DeadLetter<Full>) {}
         }",
        Part::Loops,
    );
}

#[test]
fn imported_stages_are_asked_for_their_heads() {
    let ron = "(stages: {\"a\": (), \"b\": (from: \"a\"), \"c\": (from: \"b\")})";
    let input = "#[pipeline(\"m.ron\", env = Env)] mod m {
        use crate::stages::{a, inner::other as b};
        #[sink] fn c(x: u8, env: &Env) {}
    }";
    insta::assert_snapshot!("imports", shown(input, Some(ron), Part::All), input);
}

#[test]
fn a_mistake_leaves_a_stub_that_has_every_name() {
    check(
        "stub",
        "#[pipeline(env = Env)] mod m {
             #[source] fn numbers() -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = number)] fn double(n: u64) -> u64 { n }
             #[sink(from = double)] fn print<T>(n: T) {}
         }",
        Part::All,
    );
}

#[test]
fn calls_travel_beside_the_items() {
    check(
        "reply",
        "#[pipeline(reply = price)]
         pub mod quotes {
             #[stage(from = input, on_error = drop)]
             pub fn parse(text: String) -> Result<Option<Request>, ParseError> { text.parse() }

             #[stage(from = parse)]
             pub fn classify(request: Request) -> Way { Way::of(request) }

             #[stage(from = classify::Known, key = Known::id)]
             pub fn count(known: Known, seen: &mut u64) -> Known { *seen += 1; known }

             #[stage(from = [count, classify::New])]
             pub fn price(known: Known) -> Result<Price, PriceError> { known.price() }

             #[sink(from = price)]
             pub fn publish(price: Price) {}

             #[sink(from = price::Err)]
             pub fn reject(error: PriceError) {}

             #[sink(from = classify::Other)]
             pub fn other(request: Request) {}
         }",
        Part::Loops,
    );
}

#[test]
fn names_of_stages_and_types_do_not_collide_with_generated_ones() {
    check(
        "names",
        "#[pipeline(env = Graph)] mod m {
             #[source] fn n(env: &Graph) -> impl Iterator<Item = u64> { 0..9 }
             #[stage(from = n)] fn x(x: u64) -> Option<u64> { Some(x) }
             #[stage(from = x)] fn t(x: u64) -> impl Iterator<Item = u64> { [x].into_iter() }
             #[stage(from = t)] fn env(x: u64, w: &mut Local) -> u64 { x }
             #[stage(from = env)] fn rt(x: u64) -> u64 { x }
             #[stage(from = rt)] fn r#type(x: u64, env: &Graph) -> u64 { x }
             #[sink(from = r#type)] fn at(x: u64) {}
         }",
        Part::Segments,
    );
}
