//! What a run says: a table for people, one JSON object for programs, and how it is while it goes on.

use std::{collections::BTreeMap, fmt};

use pipewright::{GuardMetrics, Health, Metrics, Report, StageMetrics};
use serde_json::{Map, Value, json};

use super::{
    audit::Tally,
    env::Env,
    flow::gateway::Pipeline,
    reload::Reloads,
    remote::Remote,
    stages::{ask, lookup},
    types::By,
};
use crate::ending::Ending;

/// What came out of a run.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The answers.
    pub tally: Tally,
    /// The policies' files.
    pub reloads: Reloads,
    /// Requests that HTTP has refused before they got here, or that got no answer, by the code of what they were told.
    pub http: BTreeMap<&'static str, u64>,
    /// What the remote decision point was asked.
    remote: Asked,
}

/// What became of questions to the remote decision point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    sent: u64,
    failed: u64,
    diverted: u64,
    opened: u64,
    /// Why there was no answer, the last time.
    missed: Option<String>,
}

impl Asked {
    fn of(env: &Env, metrics: &Metrics<Pipeline>) -> Self {
        let stage: &StageMetrics = metrics.stage::<ask>();
        let guard: Option<&GuardMetrics> = stage.guard.as_ref();
        Self {
            sent: stage.sent,
            failed: stage.failed,
            diverted: guard.map_or(0, |guard| guard.diverted),
            opened: guard.map_or(0, |guard| guard.breaker.changes),
            missed: env.remote.as_ref().and_then(Remote::last_missed),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "answered": self.sent,
            "failed": self.failed,
            "diverted": self.diverted,
            "breaker_changes": self.opened,
            "last_failure": self.missed,
        })
    }
}

impl Summary {
    /// Of a run that has ended.
    pub fn of(env: &Env, reloads: Reloads, report: &Report<Pipeline>) -> Self {
        Self {
            tally: env.tally(),
            reloads,
            http: BTreeMap::new(),
            remote: Asked::of(env, report.metrics()),
        }
    }

    /// The object that `--json` prints.
    pub fn to_json(&self, ending: &Ending) -> Value {
        let mut all = counts(&self.tally, &self.reloads);
        let rate = ending.rate(self.tally.answers);
        all.insert("answers_per_s".to_owned(), json!(rate));
        all.insert("http".to_owned(), json!(self.http));
        all.insert("remote".to_owned(), self.remote.to_json());
        ending.add_to(Value::Object(all))
    }

    /// The tables, with how long it took and the run's own account of its items.
    pub fn text<'a>(&'a self, ending: &'a Ending) -> impl fmt::Display + 'a {
        Text {
            summary: self,
            ending,
        }
    }
}

struct Text<'s> {
    summary: &'s Summary,
    ending: &'s Ending,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { summary, ending } = self;
        let Summary {
            tally,
            reloads,
            http,
            remote,
        } = summary;
        let answers = tally.answers;
        let seconds = ending.elapsed.as_secs_f64();
        let plural = if answers == 1 { "request" } else { "requests" };
        writeln!(
            f,
            "{answers} {plural} in {seconds:.3} s, {:.0} a second",
            ending.rate(answers)
        )?;
        writeln!(f, "  {:<20} {:>12}", "allowed", tally.allowed)?;
        writeln!(f, "  {:<20} {:>12}", "denied", answers - tally.allowed)?;
        for (code, count) in &tally.codes {
            writeln!(f, "    {:<18} {count:>12}", code.name())?;
        }
        for (by, count) in &tally.by {
            writeln!(f, "  {:<20} {count:>12}", format!("by {}", by.name()))?;
        }
        if *remote != Asked::default() {
            let Asked {
                sent,
                failed,
                diverted,
                opened,
                missed,
            } = remote;
            writeln!(
                f,
                "  remote: {sent} answered, {failed} failed, {diverted} not asked, {opened} changes of the breaker"
            )?;
            if let Some(why) = missed {
                writeln!(f, "    the last failure: {why}")?;
            }
        }
        for (code, count) in http {
            writeln!(f, "  {:<20} {count:>12}", format!("http {code}"))?;
        }
        if reloads.loaded + reloads.refused > 0 {
            writeln!(
                f,
                "  policies: {} loaded, {} refused",
                reloads.loaded, reloads.refused
            )?;
        }
        if tally.audited + tally.failed_writes > 0 {
            let (audited, failed, rotated) = (tally.audited, tally.failed_writes, tally.rotated);
            writeln!(
                f,
                "  audit: {audited} lines, {rotated} rotated, {failed} writes failed"
            )?;
        }
        write!(f, "{}", ending.ledger)
    }
}

/// How it is, also where the run knows of nothing.
fn told(env: &Env, health: &Health) -> String {
    match env.tally().failing {
        Some(why) if *health == Health::Healthy => {
            format!("degraded: the audit cannot be written, and everything is denied: {why}")
        }
        _ => health.to_string(),
    }
}

/// How a run is while it goes on.
pub fn status(env: &Env, metrics: &Metrics<Pipeline>, health: &Health, reloads: &Reloads) -> Value {
    let mut all = counts(&env.tally(), reloads);
    let found = metrics.stage::<lookup>();
    let cache = json!({
        "entries": env.cache.len(),
        "bytes": env.cache.bytes(),
        "looked_up": found.received,
    });
    all.extend([
        ("health".to_owned(), json!(told(env, health))),
        ("policy".to_owned(), json!(env.policies.current().revision)),
        ("cache".to_owned(), cache),
        ("remote".to_owned(), Asked::of(env, metrics).to_json()),
    ]);
    Value::Object(all)
}

fn counts(tally: &Tally, reloads: &Reloads) -> Map<String, Value> {
    let codes: Map<_, _> = tally
        .codes
        .iter()
        .map(|(code, count)| (code.name().to_owned(), json!(count)))
        .collect();
    let by: Map<_, _> = tally
        .by
        .iter()
        .map(|(by, count)| (by.name().to_owned(), json!(count)))
        .collect();
    let all = [
        ("requests", json!(tally.answers)),
        ("allowed", json!(tally.allowed)),
        ("denied", json!(tally.answers - tally.allowed)),
        ("codes", Value::Object(codes)),
        ("by", Value::Object(by)),
        (
            "audit",
            json!({
                "lines": tally.audited,
                "failed_writes": tally.failed_writes,
                "rotated": tally.rotated,
                "failing": tally.failing,
            }),
        ),
        (
            "policies",
            json!({"loaded": reloads.loaded, "refused": reloads.refused, "wrong": reloads.wrong}),
        ),
    ];
    all.map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
}

impl By {
    /// The word in summaries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Engine => "engine",
            Self::Remote => "remote",
            Self::Gateway => "gateway",
        }
    }
}
