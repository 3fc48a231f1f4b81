//! The transaction scanner: what each stage costs, and how long a run takes with so many workers. Its blocks are generated.

use std::{cell::RefCell, collections::HashMap, hint::black_box, rc::Rc, sync::Arc};

use pipewright_pipelines::txpool::{
    classify::classify,
    cli::Order,
    decode::decode,
    env::Env,
    feed::{Input, blocks},
    generate::Generator,
    hash::hash,
    parse::parse,
    recover::recover,
    root::{OpenBlocks, collect, part, root},
    run::Settings,
    sender::{Account, sender, sender_of},
    types::{Kept, Piece, RawBlock, RawTx, Recovered, Routed, Scored},
};

use crate::{
    measure::{Case, rounds},
    table::Table,
};

const SEED: u64 = 1;

/// Generated blocks with so many transactions.
fn input(transactions: usize) -> Input {
    let blocks = Generator::new(SEED, transactions).expect("the generator has good keys");
    let texts: Result<Vec<_>, _> = blocks.collect();
    Input::Texts(
        "generated".into(),
        Arc::from(texts.expect("they are signed")),
    )
}

/// A case that gives each of these to `f`, once. They are copied beforehand.
fn each<'a, T: Clone + 'a, U>(
    name: &str,
    items: &'a [T],
    mut f: impl FnMut(T) -> U + 'a,
) -> Case<'a> {
    let copies = Rc::new(RefCell::new(Vec::new()));
    let filled = Rc::clone(&copies);
    let prepare = move || {
        // The last is taken first.
        *filled.borrow_mut() = items.iter().rev().cloned().collect();
    };
    let op = move |_| {
        let next: Option<T> = copies.borrow_mut().pop();
        black_box(next.map(&mut f));
    };
    Case::new(name, items.len(), prepare, op)
}

/// What each stage takes for one item.
///
/// # Panics
///
/// If a generated transaction is rejected.
pub fn stages(times: usize, transactions: usize) -> Table {
    let env = Env::new(vec![input(transactions)], 1);
    let raw_blocks: Vec<RawBlock> = blocks(&env).collect();
    let raw: Vec<RawTx> = raw_blocks
        .iter()
        .cloned()
        .flat_map(parse)
        .filter_map(tx)
        .collect();
    let decoded = all(&raw, decode);
    let hashed = all(&decoded, hash);
    let recovered = all(&hashed, recover);
    let kept = all_kept(&recovered);
    let parts: Vec<_> = hashed.iter().cloned().map(part).collect();
    let mut open = OpenBlocks::default();
    let whole: Vec<_> = parts
        .iter()
        .cloned()
        .filter_map(|part| collect(part, &mut open))
        .collect();
    let mut cases = [
        each("parse, a block", &raw_blocks, |raw| parse(raw).count()),
        each("decode", &raw, decode),
        each("hash", &decoded, hash),
        each("recover the sender", &hashed, recover),
        each("check the sender's order", &recovered, {
            let mut accounts = HashMap::<_, Account>::new();
            move |tx: Recovered| {
                let account = accounts.entry(sender_of(&tx)).or_default();
                sender(tx, account)
            }
        }),
        each("classify and score", &kept, score),
        each("root, a block", &whole, root),
    ];
    Table::of_calls(
        "Transaction scanner, stage by stage, one thread",
        &rounds(times, &mut cases),
    )
}

fn tx(piece: Piece) -> Option<RawTx> {
    match piece {
        Piece::Tx(raw) => Some(raw),
        Piece::Empty(_) | Piece::Bad(_) => None,
    }
}

fn all<T: Clone, U, E: std::fmt::Debug>(items: &[T], f: impl Fn(T) -> Result<U, E>) -> Vec<U> {
    let done = items.iter().cloned().map(f);
    done.collect::<Result<_, _>>()
        .expect("what is generated is right")
}

/// What is left when senders' orders are checked: some of what is generated repeats, and is left out.
fn all_kept(recovered: &[Recovered]) -> Vec<Kept> {
    let mut accounts = HashMap::<_, Account>::new();
    let keep = |tx: Recovered| {
        let account = accounts.entry(sender_of(&tx)).or_default();
        sender(tx, account).ok()
    };
    recovered.iter().cloned().filter_map(keep).collect()
}

fn score(tx: Kept) -> Option<Scored> {
    use pipewright_pipelines::txpool::score::{
        score_blob, score_call, score_creation, score_swap, score_transfer,
    };
    let scored = match classify(tx) {
        Routed::Transfer(tx) => score_transfer(tx),
        Routed::Call(tx) => score_call(tx),
        Routed::Creation(tx) => score_creation(tx),
        Routed::Blob(tx) => score_blob(tx),
        Routed::Swap(swap) => score_swap(swap),
    };
    scored.ok()
}

/// What a whole run takes, from start to end.
///
/// # Panics
///
/// If a run fails.
pub fn workers(times: usize, transactions: usize) -> Table {
    let input = input(transactions);
    let run = |workers, order| {
        let settings = Settings {
            order,
            workers: Some(workers),
            tuning: None,
        };
        let outcome = settings.run(Env::new(vec![input.clone()], 1));
        let outcome = outcome.expect("it starts");
        assert!(outcome.is_good(), "{:?}", outcome.ending.problems);
    };
    let mut cases: Vec<_> = [1, 2, 4, 8]
        .into_iter()
        .flat_map(|workers| [(workers, Order::Keep), (workers, Order::Any)])
        .map(|(workers, order)| {
            let kept = match order {
                Order::Keep => "in order",
                Order::Any => "in any order",
            };
            let name = format!("workers: {workers}, {kept}");
            Case::new(name, 1, || (), move |_| run(workers, order))
        })
        .collect();
    let title = format!("Transaction scanner, a run over {transactions} transactions");
    Table::of_calls(&title, &rounds(times, &mut cases))
}
