//! In process against a server of its own: the cache against a Redis, the policies against a policy server. Results are compared first,
//! and have to be equal.

use std::{
    cell::{Cell, RefCell},
    io,
    path::Path,
    time::Instant,
};

use pipewright_pipelines::gateway::{
    cache::{Cache, sample},
    policy::{WorkerEngine, input_json},
    types::Decision,
};
use serde_json::{Value, json};

use super::{
    cache::{filled, key, order},
    link::{Filled, Link},
    policy::{Asked, complex, decide, noon, simple},
    servers::{PolicyServer, Redis},
};
use crate::{
    measure::{Case, Estimate, Measured, judged},
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
/// If the Redis does not start, or breaks too often.
///
/// # Panics
///
/// If the two give different answers.
pub fn redis(times: usize, calls: usize) -> io::Result<Option<Compared>> {
    let Some(redis) = Redis::start()? else {
        return Ok(None);
    };
    against(redis, times, calls, |_| None).map(Some)
}

/// `also` is called in turn with the others, and stands in no table.
fn against(
    redis: Redis,
    times: usize,
    calls: usize,
    also: impl for<'a> FnOnce(&'a RefCell<Link<Filled<'_>>>) -> Option<Case<'a>>,
) -> io::Result<Compared> {
    let (cache, keys) = filled(ENTRIES);
    let value = text_of(&sample(true));
    let title = format!("Cache against {} on a Unix socket", redis.version);
    let (keys, value) = (&keys[..], &*value);
    let link = RefCell::new(Link::open(Filled { redis, keys, value })?);
    equal(&cache, &mut link.borrow_mut(), keys)?;
    let random = order(ENTRIES, calls);
    let lost = Cell::new(0_u64);
    let mut cases = cases(&cache, &link, keys, &random, value, &lost);
    cases.extend(also(&link));
    let found = judged(times, &mut cases, || link.borrow_mut().mend())?;
    drop(cases);
    assert_eq!(lost.get(), 0, "calls that got no answer");
    let mut table = pairs_table(&title, &found, &[(0, 1), (2, 3), (4, 5)]);
    link.borrow().tell(&mut table);
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
    Ok(Compared { table, claims })
}

/// Both caches give the same; looked at again if the connection breaks meanwhile.
fn equal(cache: &Cache, link: &mut Link<Filled<'_>>, keys: &[Box<str>]) -> io::Result<()> {
    let now = Instant::now();
    loop {
        for key in keys.iter().step_by(97) {
            let own = cache.get(key, 1, now).map(|decision| text_of(&decision));
            link.ask(|client| {
                let theirs = client.command(&["GET", key])?;
                assert_eq!(own.as_deref().map(str::as_bytes), theirs, "{key}");
                Ok(())
            });
        }
        link.ask(|client| {
            assert_eq!(client.command(&["GET", &key(ENTRIES)])?, None);
            Ok(())
        });
        if link.mend()? {
            return Ok(());
        }
    }
}

fn cases<'a>(
    cache: &'a Cache,
    link: &'a RefCell<Link<Filled<'_>>>,
    keys: &'a [Box<str>],
    random: &'a [usize],
    value: &'a str,
    lost: &'a Cell<u64>,
) -> Vec<Case<'a>> {
    let (calls, now) = (random.len(), Instant::now());
    let lose = move |is_lost: bool| lost.set(lost.get() + u64::from(is_lost));
    let get = move |n: usize| lose(cache.get(&keys[random[n % calls]], 1, now).is_none());
    let ask = move |words: &[&str]| {
        let mut link = link.borrow_mut();
        let is_none = link.ask(|client| Ok(client.command(words)?.is_none()));
        lose(is_none == Some(true));
    };
    let together = move |n: usize| {
        let mut link = link.borrow_mut();
        let at = |i: usize| &*keys[random[(n * TOGETHER + i) % calls]];
        let none = link.ask(|client| {
            (0..TOGETHER).for_each(|i| client.push(&["GET", at(i)]));
            client.send()?;
            (0..TOGETHER).try_fold(false, |none, _| Ok(none | client.reply()?.is_none()))
        });
        lose(none == Some(true));
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
/// If the server does not start, or breaks too often.
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
    let title = format!(
        "Policies, {}, against a policy server: {}",
        asked.name, server.version
    );
    let link = RefCell::new(Link::open(server)?);
    let questions: Vec<_> = asked
        .requests
        .iter()
        .map(|request| json!({"input": input_json(request, noon())}).to_string())
        .collect();
    let mut engine = WorkerEngine::default();
    same(&mut engine, &mut link.borrow_mut(), asked, &questions)?;
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
                let question = &questions[n % questions.len()];
                let mut link = link.borrow_mut();
                link.ask(|client| client.ask(question).map(drop));
            },
        ),
    ];
    let found = judged(times, &mut cases, || link.borrow_mut().mend())?;
    drop(cases);
    let mut table = pairs_table(&title, &found, &[(0, 1)]);
    link.borrow().tell(&mut table);
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
        table,
        claims: vec![claim],
    })
}

/// The engine and the server decide the same; looked at again if the connection breaks meanwhile.
fn same(
    engine: &mut WorkerEngine,
    link: &mut Link<PolicyServer>,
    asked: &Asked,
    questions: &[String],
) -> io::Result<()> {
    loop {
        for (n, question) in questions.iter().enumerate() {
            let own = decide(engine, asked, n);
            link.ask(|client| {
                let answer: Value = serde_json::from_slice(client.ask(question)?)?;
                let result = &answer["result"];
                assert_eq!(result["allow"], own.allow, "{question}: {answer}");
                // Where a policy gives no reason, the gateway says that it is allowed or denied.
                if let Some(reason) = result["reason"].as_str() {
                    assert_eq!(reason, &*own.reason, "{question}");
                }
                Ok(())
            });
        }
        if link.mend()? {
            return Ok(());
        }
    }
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::gateway::link::MOST;

    /// A comparison whose Redis is killed at these of the times at which it is looked at; nothing, said loudly, without a Redis.
    fn killed(at: fn(usize) -> bool) -> Option<io::Result<Compared>> {
        let Some(redis) = Redis::start().expect("it starts") else {
            // Not by `eprintln!`, which says nothing in a test that passes.
            let told = writeln!(
                io::stderr(),
                "SKIPPED: there is no `redis-server`; apt-get install redis-server"
            );
            told.expect("standard error");
            return None;
        };
        let mut looked = 0;
        Some(against(redis, 6, 200, |link| {
            let kill = move |_| {
                looked += 1;
                if at(looked) {
                    link.borrow_mut().remote.redis.kill();
                }
            };
            Some(Case::new("kill", 1, || (), kill))
        }))
    }

    #[test]
    fn a_redis_that_is_killed_is_started_again_and_its_round_is_made_again() {
        // Each round looks twice, and every other one before all else: in the second one, and in the one that is made instead.
        let Some(found) = killed(|time| [3, 5].contains(&time)) else {
            return;
        };
        let text = found.expect("twice is not too often").table.markdown();
        let told = text.matches("The server was started again, and the round was made again.");
        assert_eq!(told.count(), 2, "{text}");
        assert!(text.contains("The connection to Redis "), "{text}");
        assert!(
            !text.contains("too few rounds"),
            "all six rounds count: {text}"
        );
    }

    #[test]
    fn a_redis_that_is_killed_again_and_again_ends_the_comparison() {
        let Some(found) = killed(|_| true) else {
            return;
        };
        let error = found.expect_err("it never holds").to_string();
        let expect = format!(" broke {} times, at last because of: ", MOST + 1);
        assert!(
            error.contains(&expect) && error.contains("help: "),
            "{error}"
        );
    }
}
