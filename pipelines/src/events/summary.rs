//! What a run says at its end: a table for people, one JSON object for programs.

use std::{collections::BTreeMap, fmt};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::{
    outlet::{Ended, latencies},
    tally::{Counts, Rejects},
    types::{Format, Kind, Severity},
};
use crate::ending::Ending;

/// How many services the table shows.
const SHOWN: usize = 20;

/// What came out of a run.
#[derive(Debug)]
pub struct Summary {
    /// Lines that came, and what stood for one.
    pub lines: u64,
    /// Blank ones.
    pub blank: u64,
    /// Events that repeated another within the window.
    pub repeated: u64,
    /// The other events, by what they are.
    pub counts: Counts,
    /// Events that no service wants.
    pub unrouted: u64,
    /// How often an event went to a service.
    pub deliveries: u64,
    /// What was rejected.
    pub rejects: Rejects,
    /// What the services did, by their numbers.
    pub services: Vec<Ended>,
}

impl Summary {
    /// Events, repetitions left out.
    pub fn events(&self) -> u64 {
        self.counts.kinds.iter().sum()
    }

    /// Events that services got.
    pub fn delivered(&self) -> u64 {
        self.sum(|service| service.counts.delivered)
    }

    /// Events that were dropped because a queue was full, as its service says.
    pub fn dropped(&self) -> u64 {
        self.sum(|service| service.ledger.dropped)
    }

    /// Events that a service took and could not bring to where they should go.
    pub fn missed(&self) -> u64 {
        self.sum(|service| service.counts.missed.values().sum())
    }

    fn sum(&self, of: impl Fn(&Ended) -> u64) -> u64 {
        self.services.iter().map(of).sum()
    }

    /// Whether every delivery is accounted for, by the services and by the queues before them.
    pub fn is_balanced(&self) -> bool {
        let full = ["service_full", "service_closed"];
        let rejected = full
            .iter()
            .filter_map(|code| self.rejects.by_reason.get(code));
        let lost = self.sum(|service| service.ledger.panicked);
        let ended = self.delivered() + self.dropped() + self.missed() + lost;
        self.deliveries == ended + rejected.sum::<u64>()
            && self
                .services
                .iter()
                .all(|service| service.ledger.is_balanced())
    }

    /// Whether all inputs could be read, and nothing went wrong behind the queues.
    pub fn is_good(&self) -> bool {
        self.rejects.unreadable == 0 && self.missed() == 0 && self.is_balanced()
    }

    /// How long events took to all services.
    pub fn latency(&self) -> Histogram<u64> {
        let mut all = latencies();
        for service in &self.services {
            // They have the same bounds.
            let _ = all.add(&service.counts.latency);
        }
        all
    }

    /// The object that `--json` prints.
    pub fn to_json(&self, ending: &Ending) -> Value {
        let latency = self.latency();
        ending.add_to(json!({
            "lines": self.lines,
            "blank": self.blank,
            "repeated": self.repeated,
            "events": self.events(),
            "by_kind": by_name(&Kind::ALL.map(Kind::name), &self.counts.kinds),
            "by_format": by_name(&Format::ALL.map(Format::name), &self.counts.formats),
            "by_severity": by_name(&SEVERITIES.map(Severity::name), &self.counts.severities),
            "rejected": self.rejects.by_reason,
            "unreadable_inputs": self.rejects.unreadable,
            "unrouted": self.unrouted,
            "deliveries": self.deliveries,
            "delivered": self.delivered(),
            "dropped": self.dropped(),
            "missed": self.missed(),
            "latency_us": {
                "p50": micros(&latency, 0.5),
                "p95": micros(&latency, 0.95),
                "p99": micros(&latency, 0.99),
                "max": latency.max() as f64 / 1e3,
            },
            "services": self.services.iter().map(service).collect::<BTreeMap<_, _>>(),
            "events_per_s": ending.rate(self.events()),
        }))
    }

    /// The tables, with how long it took and the run's own account of its items.
    pub fn text<'a>(&'a self, ending: &'a Ending) -> impl fmt::Display + 'a {
        Text {
            summary: self,
            ending,
        }
    }
}

const SEVERITIES: [Severity; 5] = [
    Severity::Debug,
    Severity::Info,
    Severity::Warning,
    Severity::Error,
    Severity::Critical,
];

fn by_name(names: &[&'static str], counts: &[u64]) -> BTreeMap<&'static str, u64> {
    names.iter().copied().zip(counts.iter().copied()).collect()
}

fn micros(latency: &Histogram<u64>, quantile: f64) -> f64 {
    latency.value_at_quantile(quantile) as f64 / 1e3
}

fn service(ended: &Ended) -> (&str, Value) {
    let object = json!({
        "delivered": ended.counts.delivered,
        "dropped": ended.ledger.dropped,
        "missed": ended.counts.missed,
        "digest": format!("{:016x}", ended.counts.digest),
    });
    (&ended.name, object)
}

struct Text<'s> {
    summary: &'s Summary,
    ending: &'s Ending,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { summary, ending } = self;
        writeln!(
            f,
            "{} events of {} lines in {:.3} s: {:.0} a second\n",
            summary.events(),
            summary.lines,
            ending.elapsed.as_secs_f64(),
            ending.rate(summary.events())
        )?;
        let counts = &summary.counts;
        table(f, "by kind", &Kind::ALL.map(Kind::name), &counts.kinds)?;
        table(
            f,
            "by format",
            &Format::ALL.map(Format::name),
            &counts.formats,
        )?;
        table(
            f,
            "by severity",
            &SEVERITIES.map(Severity::name),
            &counts.severities,
        )?;
        writeln!(f, "left out")?;
        row(f, "blank", summary.blank)?;
        row(f, "repeated", summary.repeated)?;
        row(f, "unrouted", summary.unrouted)?;
        let rejected: u64 = summary.rejects.by_reason.values().sum();
        writeln!(f, "\nrejected {rejected:>19}")?;
        for (reason, count) in &summary.rejects.by_reason {
            row(f, reason, *count)?;
        }
        if summary.rejects.unreadable > 0 {
            let inputs = summary.rejects.unreadable;
            writeln!(f, "\ninputs that could not be read: {inputs}")?;
        }
        services(f, summary)?;
        write!(f, "\n{}", ending.ledger)
    }
}

fn table(f: &mut fmt::Formatter<'_>, title: &str, names: &[&str], counts: &[u64]) -> fmt::Result {
    writeln!(f, "{title}")?;
    let rows = names.iter().zip(counts);
    for (name, count) in rows.filter(|(_, count)| **count > 0) {
        row(f, name, *count)?;
    }
    writeln!(f)
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, count: u64) -> fmt::Result {
    writeln!(f, "  {name:<16} {count:>9}")
}

fn services(f: &mut fmt::Formatter<'_>, summary: &Summary) -> fmt::Result {
    let latency = summary.latency();
    writeln!(
        f,
        "\n{} deliveries to {} services: {} delivered, {} dropped, {} missed; p50 {:.0} us, p95 {:.0} us, p99 {:.0} us",
        summary.deliveries,
        summary.services.len(),
        summary.delivered(),
        summary.dropped(),
        summary.missed(),
        micros(&latency, 0.5),
        micros(&latency, 0.95),
        micros(&latency, 0.99),
    )?;
    writeln!(
        f,
        "  {:<16} {:>9} {:>9} {:>9}  digest",
        "service", "delivered", "dropped", "missed"
    )?;
    for ended in summary.services.iter().take(SHOWN) {
        let missed: u64 = ended.counts.missed.values().sum();
        writeln!(
            f,
            "  {:<16} {:>9} {:>9} {missed:>9}  {:016x}",
            ended.name, ended.counts.delivered, ended.ledger.dropped, ended.counts.digest
        )?;
        for (why, count) in &ended.counts.missed {
            writeln!(f, "    {why:<34} {count:>9}")?;
        }
    }
    if summary.services.len() > SHOWN {
        writeln!(f, "  and {} more", summary.services.len() - SHOWN)?;
    }
    Ok(())
}
