//! Whole runs: real blocks, generated ones, and broken ones.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    cli::Order,
    env::Env,
    feed::Input,
    generate::Generator,
    run::{Outcome, Settings},
    sequential,
    summary::Summary,
};

/// Runs over texts, each as the stream of one file.
fn run(texts: &[impl AsRef<[u8]>], repeat: u32) -> Summary {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |(index, text)| {
        let path = folder.path().join(format!("{index}.json"));
        fs::write(&path, text).expect("writes");
        Input::File(path)
    };
    run_inputs(texts.iter().enumerate().map(file).collect(), repeat)
}

/// Calls the stages one after the other, then runs both pipelines with one, two and four workers: all say the same.
fn run_inputs(inputs: Vec<Input>, repeat: u32) -> Summary {
    let env = Env::new(inputs.clone(), repeat);
    sequential::run(&env);
    let expect = env.tally.summary();
    for order in [Order::Keep, Order::Any] {
        for workers in [1, 2, 4] {
            let outcome = pipeline(order, workers, Env::new(inputs.clone(), repeat));
            assert_eq!(outcome.summary, expect, "{order:?} with {workers} workers");
        }
    }
    expect
}

/// Runs a pipeline that must account for every item.
fn pipeline(order: Order, workers: u32, env: Env) -> Outcome {
    let settings = Settings {
        order,
        workers: Some(workers),
        tuning: None,
    };
    let outcome = settings.run(env).expect("starts");
    assert_eq!(outcome.ending.problems, Vec::<String>::new());
    assert!(
        outcome.ending.ledger.is_balanced(),
        "{}",
        outcome.ending.ledger
    );
    let ends = outcome.summary.transactions + outcome.summary.roots_matched;
    let policy: u64 = outcome.summary.rejected.values().sum();
    assert!(outcome.ending.ledger.delivered >= ends && outcome.ending.ledger.failed <= policy);
    outcome
}

pub(super) fn generated(seed: u64, transactions: usize) -> Vec<Bytes> {
    Generator::new(seed, transactions)
        .expect("keys")
        .collect::<Result<_, _>>()
        .expect("signs")
}

/// The folder of real blocks; nothing, said loudly, where there is none.
fn real_blocks() -> Option<Vec<PathBuf>> {
    let data = std::env::var_os("PIPEWRIGHT_DATA").map(PathBuf::from);
    let data =
        data.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let folder = data.join("ethereum");
    let Ok(entries) = fs::read_dir(&folder) else {
        // Not by `eprintln!`, which says nothing in a test that passes.
        let told = writeln!(
            io::stderr(),
            "SKIPPED: no real blocks in {}; set PIPEWRIGHT_DATA to the folder that holds `ethereum/`",
            folder.display()
        );
        told.expect("standard error");
        return None;
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        })
        .collect();
    paths.sort();
    Some(paths)
}

#[test]
fn real_blocks_are_what_they_claim() {
    let Some(paths) = real_blocks() else { return };
    let blocks = paths.len() as u64;
    let inputs: Vec<_> = paths.into_iter().map(Input::File).collect();
    let once = run_inputs(inputs.clone(), 1);
    assert_eq!(once.faults, Vec::<String>::new());
    assert!(once.is_good());
    assert_eq!((once.blocks, once.roots_matched), (blocks, blocks));
    // Mined blocks break no rule of a pool.
    assert!(once.rejected.is_empty(), "{:?}", once.rejected);
    assert!(
        once.by_kind.iter().all(|(_, count)| *count > 0),
        "{:?}",
        once.by_kind
    );

    let twice = pipeline(Order::Keep, 2, Env::new(inputs, 2)).summary;
    assert_eq!(
        (twice.blocks, twice.transactions),
        (2 * once.blocks, 2 * once.transactions)
    );
    assert!(twice.is_good() && twice.rejected.is_empty());
    assert_eq!(twice.best, once.best);
}

#[test]
fn the_same_seed_gives_the_same_blocks() {
    assert_eq!(generated(7, 450), generated(7, 450));
    assert_ne!(generated(7, 450), generated(8, 450));
    let size = |block: &Bytes| {
        parsed(block)["result"]["transactions"]
            .as_array()
            .map(Vec::len)
    };
    assert_eq!(
        generated(7, 450).iter().map(size).collect::<Vec<_>>(),
        [Some(200), Some(200), Some(50)]
    );
}

#[test]
fn generated_blocks_are_genuine_and_show_every_rule() {
    let summary = run(&generated(1, 3000), 1);
    assert_eq!(summary.faults, Vec::<String>::new());
    assert!(summary.is_good());
    assert_eq!((summary.blocks, summary.transactions), (15, 3000));
    assert!(
        summary.by_kind.iter().all(|(_, count)| *count > 0),
        "{:?}",
        summary.by_kind
    );
    let reasons: Vec<_> = summary.rejected.keys().copied().collect();
    assert_eq!(reasons, ["fee_below_base", "nonce_gap", "underpriced"]);
    assert!(summary.replaced > 0);
    assert!(
        summary.best.is_sorted_by(|a, b| a.tip >= b.tip) && summary.best.len() == Summary::SHOWN
    );
}

fn parsed(text: &[u8]) -> Value {
    serde_json::from_slice(text).expect("JSON")
}

/// One block of ten transactions that break no rule, changed.
fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut block = parsed(&generated(3, 10)[0]);
    change(&mut block["result"]);
    block.to_string()
}

/// What a broken text leaves: good transactions and reasons, and a message with so much in it.
fn check(text: impl AsRef<[u8]>, kept: u64, reasons: &[(&str, u64)], message: &str) {
    let summary = run(&[text.as_ref()], 1);
    let found: Vec<_> = summary
        .rejected
        .iter()
        .map(|(reason, count)| (*reason, *count))
        .collect();
    assert_eq!(found, reasons, "{:?}", summary.faults);
    assert_eq!(
        summary.by_kind.iter().map(|(_, count)| count).sum::<u64>(),
        kept
    );
    assert!(!summary.is_good());
    assert!(
        summary
            .faults
            .iter()
            .any(|fault| fault.contains("0.json") && fault.contains(message)),
        "{:?}",
        summary.faults
    );
}

#[test]
fn broken_files_are_told_and_good_transactions_still_count() {
    let good = changed(|_| ());
    assert!(run(&[&good], 1).is_good());
    check("", 0, &[("empty", 1)], "is empty");
    check("hello", 0, &[("not_json", 1)], "is not JSON");
    check("[1, 2]", 0, &[("not_a_block", 1)], "is not a block");
    check("{}", 0, &[("not_a_block", 1)], "it has no `transactions`");
    check([0xff, 0xfe, b'{'], 0, &[("not_json", 1)], "is not JSON");
    check(
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        0,
        &[("not_a_block", 1)],
        "null",
    );
    check(
        r#"{"error":{"code":-32005,"message":"limit"}}"#,
        0,
        &[("not_a_block", 1)],
        "limit",
    );
    check(
        format!("{good}\nhello\n{good}"),
        20,
        &[("not_json", 1)],
        "is not JSON",
    );
    check("9".repeat(1_000_000), 0, &[("not_json", 1)], "is not JSON");
    check("{".repeat(1_000_000), 0, &[("not_json", 1)], "is not JSON");
    check(
        format!("{{\"transactions\":[{}", "[".repeat(100_000)),
        0,
        &[("truncated", 1)],
        "ends before",
    );
}

#[test]
fn a_block_that_breaks_off_gives_what_it_holds() {
    let good = changed(|_| ());
    let at = good
        .match_indices("{\"accessList\"")
        .chain(good.match_indices("{\"blockNumber\""))
        .map(|(at, _)| at)
        .max()
        .expect("transactions");
    let summary = run(&[&good[..at]], 1);
    assert_eq!((summary.blocks, summary.roots_matched), (1, 0));
    assert!(summary.transactions > 0 && summary.hash_matched == summary.transactions);
    assert_eq!(summary.rejected.get("truncated"), Some(&1));
    let next = run(&[format!("{}\n{good}", &good[..at])], 1);
    assert_eq!((next.blocks, next.roots_matched), (2, 1));
    assert_eq!(next.transactions, summary.transactions + 10);
}

#[test]
fn a_bad_transaction_is_told_and_costs_no_other() {
    let tx = |change: fn(&mut Value)| changed(|block| change(&mut block["transactions"][4]));
    let one = |reason| [("incomplete_block", 1), (reason, 1)];
    let mut wrong_hash = one("wrong_hash");
    wrong_hash.sort_unstable();
    check(
        tx(|tx| tx["nonce"] = json!("0xffffffffffffffffffff")),
        9,
        &[("bad_field", 1), ("incomplete_block", 1)],
        "transaction 4: `nonce` does not fit",
    );
    check(
        tx(|tx| tx["type"] = json!("0x63")),
        9,
        &one("unknown_type"),
        "transaction 4: has the unknown type 99",
    );
    check(
        tx(|tx| tx["r"] = json!("0x1234")),
        9,
        &wrong_hash,
        "transaction 4: hashes to",
    );
    check(
        tx(|tx| *tx = json!(17)),
        9,
        &one("not_a_transaction"),
        "transaction 4: is not a transaction",
    );
    check(
        tx(|tx| *tx = tx["hash"].take()),
        9,
        &one("only_a_hash"),
        "transaction 4: is only a hash",
    );
    check(
        tx(|tx| tx["from"] = json!("0x0000000000000000000000000000000000000001")),
        9,
        &[("wrong_sender", 1)],
        "transaction 4: is signed by",
    );
}

#[test]
fn a_wrong_root_is_told_and_costs_no_transaction() {
    let zero = json!("0x0000000000000000000000000000000000000000000000000000000000000000");
    check(
        changed(|block| block["transactionsRoot"] = zero.clone()),
        10,
        &[("wrong_root", 1)],
        "its transactions hash to",
    );
    check(
        changed(|block| block["transactionsRoot"] = Value::Null),
        10,
        &[("no_root", 1)],
        "no readable `transactionsRoot`",
    );
    check(
        json!({"transactions": [], "transactionsRoot": zero}).to_string(),
        0,
        &[("wrong_root", 1)],
        "its transactions hash to",
    );
    let swapped = changed(|block| {
        block["transactions"]
            .as_array_mut()
            .expect("a list")
            .swap(2, 3)
    });
    check(
        swapped,
        10,
        &[("wrong_root", 1)],
        "its transactions hash to",
    );
}

#[test]
fn an_empty_block_has_the_root_of_nothing() {
    let root = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
    let summary = run(
        &[json!({"number": "0x1", "transactions": [], "transactionsRoot": root}).to_string()],
        1,
    );
    assert_eq!(
        (summary.blocks, summary.roots_matched, summary.is_good()),
        (1, 1, true)
    );
}

#[test]
fn many_blocks_may_share_a_file() {
    let blocks = generated(5, 500);
    let joined: Vec<u8> = blocks
        .iter()
        .flat_map(|block| block.iter().copied().chain(*b"\n"))
        .collect();
    let (apart, together) = (run(&blocks, 1), run(&[joined], 1));
    assert_eq!(apart.transactions, 500);
    assert_eq!(
        (together.blocks, together.transactions, together.is_good()),
        (apart.blocks, apart.transactions, true)
    );
    assert_eq!(together.rejected, apart.rejected);
}

#[test]
fn only_the_first_faults_are_kept_but_all_are_counted() {
    let texts: Vec<_> = (0..50).map(|_| "{}").collect();
    let summary = run(&texts, 1);
    assert_eq!((summary.failed, summary.faults.len()), (50, 20));
}

#[test]
fn no_damage_to_a_text_panics_or_loses_count() {
    let good = changed(|_| ()).into_bytes();
    let mut random = fastrand::Rng::with_seed(11);
    for _ in 0..200 {
        let mut text = good.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(0..text.len());
            match random.u8(0..3) {
                0 => text[at] = random.u8(..),
                1 => text.truncate(at + 1),
                _ => drop(text.drain(at..(at + random.usize(1..200)).min(text.len() - 1).max(at))),
            }
        }
        let summary = run(&[text], 1);
        let kept: u64 = summary.by_kind.iter().map(|(_, count)| count).sum();
        assert!(kept <= summary.sender_matched && summary.sender_matched <= summary.hash_matched);
        assert!(
            summary.hash_matched <= summary.transactions && summary.roots_matched <= summary.blocks
        );
    }
}
