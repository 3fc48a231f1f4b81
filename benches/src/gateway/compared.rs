//! In process against a server of its own: the cache against a Redis, the policies against a policy server. Results are compared first,
//! and have to be equal.

use std::{
    cell::{Cell, RefCell},
    io,
    path::Path,
    time::Instant,
};

use pipewright_pipelines::gateway::{
    cache::sample,
    policy::{WorkerEngine, input_json},
    types::Decision,
};
use serde_json::{Value, json};

use super::{
    cache::{filled, key, order},
    measure::{Case, Estimate, Measured, rounds},
    policy::{Asked, complex, decide, noon, simple},
    servers::{PolicyServer, Redis, RedisClient},
    table::{Table, ratio_of, time, time_of},
};

/// Entries in both caches.
const ENTRIES: usize = 10_000;
/// Commands that are sent together.
const TOGETHER: usize = 100;

/// A table, and what it says about the claims.
#[derive(Debug)]
pub struct Compared {
    /// The table.
    pub table: Table,
    /// Each claim, what was found, and whether it holds; `None` where there were too few rounds to say.
    pub claims: Vec<(String, String, Option<bool>)>,
}

/// A decision as a cache elsewhere keeps it.
fn text_of(decision: &Decision) -> String {
    json!({"allow": decision.allow, "reason": &*decision.reason}).to_string()
}

/// The cache against a Redis; nothing where there is none.
///
/// # Errors
///
/// If the Redis does not start, or breaks.
///
/// # Panics
///
/// If the two give different answers.
pub fn redis(times: usize, calls: usize) -> io::Result<Option<Compared>> {
    let Some(redis) = Redis::start()? else {
        return Ok(None);
    };
    let (cache, keys) = filled(ENTRIES);
    let mut client = redis.client()?;
    let value = text_of(&sample(true));
    for key in &keys {
        client.command(&["SET", key, &value, "EX", "3600"])?;
    }
    let now = Instant::now();
    for n in (0..ENTRIES).step_by(97) {
        let own = cache
            .get(&keys[n], 1, now)
            .map(|decision| text_of(&decision));
        let theirs = client.command(&["GET", &keys[n]])?;
        assert_eq!(own.as_deref().map(str::as_bytes), theirs, "{}", keys[n]);
    }
    assert_eq!(client.command(&["GET", &key(ENTRIES)])?, None);
    let random = order(ENTRIES, calls);
    let client = RefCell::new(client);
    let lost = Cell::new(0_u64);
    let mut cases = cases(&cache, &client, &keys, &random, &value, &lost);
    let found = rounds(times, &mut cases);
    drop(cases);
    assert_eq!(lost.get(), 0, "calls that got no answer");
    let pairs = [(0, 1), (2, 3), (4, 5)];
    let title = format!("Cache against {} on a Unix socket", redis.version);
    let table = pairs_table(&title, &found, &pairs);
    let p95 = found[0].percentile(95.0);
    let get = found[0].against(&found[1]);
    let claims = vec![
        (
            "95 of 100 gets of the cache take less than 0.5 ms".to_owned(),
            time(p95 as f64),
            Some(p95 < 500_000),
        ),
        claim("a get takes a tenth of one of Redis at most", &get, 10.0),
    ];
    Ok(Some(Compared { table, claims }))
}

fn cases<'a>(
    cache: &'a pipewright_pipelines::gateway::cache::Cache,
    client: &'a RefCell<RedisClient>,
    keys: &'a [Box<str>],
    random: &'a [usize],
    value: &'a str,
    lost: &'a Cell<u64>,
) -> Vec<Case<'a>> {
    let (calls, now) = (random.len(), Instant::now());
    let lose = move |is_lost: bool| lost.set(lost.get() + u64::from(is_lost));
    let get = move |n: usize| lose(cache.get(&keys[random[n % calls]], 1, now).is_none());
    let ask = move |words: &[&str]| {
        let mut client = client.borrow_mut();
        let answer = client.command(words);
        lose(!matches!(answer, Ok(Some(_))));
    };
    let together = move |n: usize| {
        let mut client = client.borrow_mut();
        let at = |i: usize| &*keys[random[(n * TOGETHER + i) % calls]];
        (0..TOGETHER).for_each(|i| client.push(&["GET", at(i)]));
        let sent = client.send();
        lose(sent.is_err());
        (0..TOGETHER).for_each(|_| lose(!matches!(client.reply(), Ok(Some(_)))));
    };
    // A Redis takes a hundred times as long; both have enough calls.
    let (few, batches) = (calls.div_ceil(20), calls.div_ceil(20 * TOGETHER));
    vec![
        Case::new("get", calls, || (), get),
        Case::new(
            "get, Redis",
            few,
            || (),
            move |n| ask(&["GET", &keys[random[n]]]),
        ),
        Case::new(
            "100 gets",
            calls.div_ceil(TOGETHER),
            || (),
            move |n| {
                (0..TOGETHER).for_each(|i| get(n * TOGETHER + i));
            },
        ),
        Case::new("100 gets, Redis, pipelined", batches, || (), together),
        Case::new(
            "set",
            calls,
            || (),
            move |n| {
                cache.set(keys[random[n]].clone(), sample(true), 1, now);
            },
        ),
        Case::new(
            "set, Redis",
            few,
            || (),
            move |n| {
                ask(&["SET", &keys[random[n]], value, "EX", "3600"]);
            },
        ),
    ]
}

/// The policies against a policy server: `opa` where there is one, else `own`.
///
/// # Errors
///
/// If the server does not start, or breaks.
///
/// # Panics
///
/// If the two give different answers.
pub fn policy_server(times: usize, calls: usize, own: &Path) -> io::Result<Vec<Compared>> {
    [simple(), complex()]
        .iter()
        .map(|asked| one_policy(asked, times, calls, own))
        .collect()
}

fn one_policy(asked: &Asked, times: usize, calls: usize, own: &Path) -> io::Result<Compared> {
    let server = PolicyServer::start(&asked.folder, own)?;
    let mut client = server.client()?;
    let questions: Vec<_> = asked
        .requests
        .iter()
        .map(|request| json!({"input": input_json(request, noon())}).to_string())
        .collect();
    let mut engine = WorkerEngine::default();
    for (n, question) in questions.iter().enumerate() {
        let answer: Value = serde_json::from_slice(client.ask(question)?)?;
        let own = decide(&mut engine, asked, n);
        assert_eq!(answer["result"]["allow"], own, "{question}: {answer}");
    }
    let lost = Cell::new(0_u64);
    let few = calls.div_ceil(4);
    let mut cases = [
        Case::new(
            asked.name,
            calls,
            || (),
            |n| {
                decide(&mut engine, asked, n);
            },
        ),
        Case::new(
            format!("{}, over HTTP", asked.name),
            few,
            || (),
            |n| {
                let answer = client.ask(&questions[n % questions.len()]);
                lost.set(lost.get() + u64::from(answer.is_err()));
            },
        ),
    ];
    let found = rounds(times, &mut cases);
    drop(cases);
    assert_eq!(lost.get(), 0, "questions that got no answer");
    let title = format!(
        "Policies, {}, against a policy server: {}",
        asked.name, server.version
    );
    let ratio = found[0].against(&found[1]);
    let claim = claim(
        &format!(
            "{}: a decision takes a quarter of one over HTTP at most",
            asked.name
        ),
        &ratio,
        4.0,
    );
    Ok(Compared {
        table: pairs_table(&title, &found, &[(0, 1)]),
        claims: vec![claim],
    })
}

fn claim(words: &str, ratio: &Estimate, bar: f64) -> (String, String, Option<bool>) {
    (words.to_owned(), ratio_of(ratio), ratio.is_at_least(bar))
}

/// Rows of both of each pair; the ratio stands at the first.
fn pairs_table(title: &str, found: &[Measured], pairs: &[(usize, usize)]) -> Table {
    let head = [
        "",
        "a call, on average [95 %]",
        "p50",
        "p95",
        "p99",
        "times faster [95 %]",
    ];
    let mut table = Table::new(title, &head);
    for (own, other) in pairs {
        for at in [own, other] {
            let one = &found[*at];
            let ratio = match at == own {
                true => ratio_of(&one.against(&found[*other])),
                false => "1".to_owned(),
            };
            let percentile = |of| time(one.percentile(of) as f64);
            table.row([
                one.name.clone(),
                time_of(&one.per_call()),
                percentile(50.0),
                percentile(95.0),
                percentile(99.0),
                ratio,
            ]);
        }
    }
    table
}
