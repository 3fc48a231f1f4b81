//! `bench impl`: two implementations of one interface, in one binary, block by block.
//!
//! Before anything is timed both take the same items, and what came of them has to be the same.

use super::{
    ab::{Deny, Pair, compare, denied, gating},
    load::{Asked, LoadArgs},
    options::{Common, Source},
};
use crate::{
    error::{Error, code},
    process::Binary,
    protocol::{Request, Scenario},
    results::Saved,
    verdict::Verdict,
};

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An implementation: a name such as `events`, or one scenario of it such as `throughput/events`
    a: String,
    /// The one that is compared with it
    b: String,
    #[command(flatten)]
    common: Common,
    /// How many items the results are compared of
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    items: u64,
    #[command(flatten)]
    deny: Deny,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    source: Source,
}

/// `bench impl`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let common = &args.common;
    let asked = args.load.asked(common.mode().measure_ms)?;
    let subject = args.source.subject("trial")?;
    let binary = subject.binary()?;
    let all = binary.list()?.scenarios;
    let pairs = pairs(&args.a, &args.b, &all)?;
    for asked in &asked {
        pairs.iter().flatten().try_for_each(|one| asked.fits(one))?;
    }
    // What comes when does not change what comes of it.
    let mut known: Vec<&Asked> = Vec::new();
    for asked in &asked {
        if known.iter().any(|one| one.items() == asked.items()) {
            continue;
        }
        known.push(asked);
        for [a, b] in &pairs {
            if let Some(differs) = differs(args, asked, &binary, [a, b])? {
                eprintln!("error: {differs}");
                return Ok(code::REFUSED);
            }
        }
    }
    let meant = common.patterns.as_slice();
    let is_meant =
        |id: &str| meant.is_empty() || meant.iter().any(|pattern| id.contains(pattern.as_str()));
    let each = asked
        .iter()
        .flat_map(|asked| pairs.iter().map(move |pair| (asked, pair)));
    let pairs: Vec<Pair> = each
        .filter(|(asked, [a, _])| is_meant(&a.id) && (asked.load.is_none() || a.open_loop))
        .map(|(asked, [a, b])| Pair {
            id: asked.called(&format!("{} -> {}", a.id, b.id)),
            requests: [a, b].map(|one| asked.of(common.request(&one.id))),
            interface: a.interface.clone(),
        })
        .collect();
    if pairs.is_empty() {
        return Err(Error::Usage(
            "nothing is left to compare: a load is for open loops".to_owned(),
        ));
    }
    let keeper = compare(common, [&subject, &subject], &pairs, summary)?;
    Ok(denied(&keeper.saved, args.deny))
}

/// The scenarios of both that do the same.
fn pairs<'a>(a: &str, b: &str, all: &'a [Scenario]) -> Result<Vec<[&'a Scenario; 2]>, Error> {
    let of = |name: &str| -> Result<Vec<&'a Scenario>, Error> {
        let is = |one: &&Scenario| {
            one.id == name || one.id.split_once('/').is_some_and(|(_, id)| id == name)
        };
        let found: Vec<&Scenario> = all.iter().filter(is).collect();
        match found.is_empty() {
            false => Ok(found),
            true => Err(Error::Usage(format!(
                "no implementation is called `{name}`; there are {}",
                known(all)
            ))),
        }
    };
    let (of_a, of_b) = (of(a)?, of(b)?);
    let kind = |one: &Scenario| one.id.split('/').next().unwrap_or("").to_owned();
    let mut pairs = Vec::new();
    for one in &of_a {
        let other = of_b.iter().find(|other| {
            other.interface.is_some()
                && other.interface == one.interface
                && kind(other) == kind(one)
        });
        if let Some(other) = other {
            pairs.push([*one, *other]);
        }
    }
    if let Some([one, _]) = pairs.iter().find(|[one, other]| one.id == other.id) {
        return Err(Error::Usage(format!(
            "`{a}` and `{b}` are the same, `{}`: name two; there are {}",
            one.id,
            known(all)
        )));
    }
    match pairs.is_empty() {
        false => Ok(pairs),
        true => Err(Error::Usage(format!(
            "`{a}` and `{b}` do not implement one interface; there are {}",
            known(all)
        ))),
    }
}

/// The interfaces with their implementations.
fn known(all: &[Scenario]) -> String {
    let mut interfaces: Vec<(&str, Vec<&str>)> = Vec::new();
    for scenario in all {
        let Some(interface) = &scenario.interface else {
            continue;
        };
        let name = scenario.id.split_once('/').map_or("", |(_, name)| name);
        match interfaces.iter_mut().find(|(one, _)| one == interface) {
            None => interfaces.push((interface, vec![name])),
            Some((_, names)) if !names.contains(&name) => names.push(name),
            Some(_) => {}
        }
    }
    let told = interfaces
        .iter()
        .map(|(interface, names)| format!("of `{interface}`: `{}`", names.join("`, `")));
    match interfaces.is_empty() {
        true => "none".to_owned(),
        false => told.collect::<Vec<String>>().join("; "),
    }
}

/// How the results differ, if they do. Only where a scenario can be asked for a number of items.
fn differs(
    args: &Args,
    asked: &Asked,
    binary: &Binary,
    pair: [&Scenario; 2],
) -> Result<Option<String>, Error> {
    if pair.iter().any(|one| !one.counts) {
        return Ok(None);
    }
    let digest = |scenario: &Scenario| -> Result<u64, Error> {
        let request = Request {
            items: Some(args.items),
            level: asked.level,
            mix: asked.mix,
            ..args.common.request(&scenario.id)
        };
        let digest = binary.run(&request)?.digest;
        digest.ok_or_else(|| {
            Error::Usage(format!(
                "`{}` tells no results, so nobody knows whether it does the same",
                scenario.id
            ))
        })
    };
    let [a, b] = [digest(pair[0])?, digest(pair[1])?];
    Ok((a != b).then(|| {
        format!(
            "`{}` and `{}` have different results of the same {} items ({a:016x} and {b:016x}), so they cannot be compared",
            pair[0].id, pair[1].id, args.items
        )
    }))
}

/// How B is, in any metric: nothing is gated here, and a trial that is too short for a p99 has other percentiles.
fn summary(saved: &Saved) -> String {
    let metrics = saved.scenarios.iter().flat_map(|one| &one.metrics);
    let all: Vec<&Verdict> = metrics
        .filter_map(|metric| Some(&metric.change.as_ref()?.verdict))
        .collect();
    let found = |word: &str| all.iter().any(|verdict| verdict.word() == word);
    // What is not known of a metric that says little anyway, such as the largest latency, says nothing of the whole.
    let has = |word: &str| gating(saved).any(|verdict| verdict.word() == word);
    match (found("improved"), found("regressed")) {
        (true, true) => "B is better in some metrics and worse in others",
        (true, false) => "B is better",
        (false, true) => "B is worse",
        _ if saved.scenarios.iter().any(|one| one.refused.is_some()) || has("refused") => "refused",
        _ if has("inconclusive") => "inconclusive",
        _ => "equivalent",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(id: &str, interface: Option<&str>) -> Scenario {
        Scenario {
            id: id.to_owned(),
            about: String::new(),
            open_loop: id.starts_with("latency/"),
            metrics: vec![],
            interface: interface.map(str::to_owned),
            counts: true,
            allocates: false,
            levels: false,
        }
    }

    fn all() -> Vec<Scenario> {
        vec![
            scenario("throughput/x", Some("io")),
            scenario("latency/x", Some("io")),
            scenario("throughput/y", Some("io")),
            scenario("latency/y", Some("io")),
            scenario("throughput/z", Some("other")),
            scenario("throughput/alone", None),
        ]
    }

    #[test]
    fn what_does_the_same_is_paired() {
        let check = |a: &str, b: &str, expect: &[[&str; 2]]| {
            let all = all();
            let pairs = pairs(a, b, &all).expect("there are pairs");
            let ids: Vec<[&str; 2]> = pairs
                .iter()
                .map(|pair| pair.map(|one| one.id.as_str()))
                .collect();
            assert_eq!(ids, expect);
        };
        check(
            "x",
            "y",
            &[["throughput/x", "throughput/y"], ["latency/x", "latency/y"]],
        );
        check("latency/y", "x", &[["latency/y", "latency/x"]]);
    }

    #[test]
    fn what_does_something_else_says_what_there_is() {
        let check = |a: &str, b: &str, expect: &str| {
            let all = all();
            let error = pairs(a, b, &all).expect_err("no pair").to_string();
            assert!(error.contains(expect), "{error}");
            assert!(
                error.contains("of `io`: `x`, `y`; of `other`: `z`"),
                "{error}"
            );
        };
        check("x", "nothing", "no implementation is called `nothing`");
        check("x", "z", "do not implement one interface");
        check(
            "x",
            "x",
            "`x` and `x` are the same, `throughput/x`: name two",
        );
        check("x", "latency/x", "are the same, `latency/x`");
        check("alone", "alone", "do not implement one interface");
        check(
            "throughput/x",
            "latency/y",
            "do not implement one interface",
        );
    }
}
