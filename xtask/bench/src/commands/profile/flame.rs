//! Folded stacks, and the graphs and tables that are made of them. `inferno` folds and draws.

use std::{collections::BTreeMap, fmt};

use inferno::{
    collapse::{Collapse, perf},
    differential, flamegraph,
};
use serde::Serialize;

use crate::error::Error;

/// The stacks that `perf script` prints, a line for each different one: its functions from the outermost, and how many samples.
pub(super) fn fold(script: &str) -> Result<String, Error> {
    let mut folded = Vec::new();
    perf::Folder::from(perf::Options::default())
        .collapse(script.as_bytes(), &mut folded)
        .map_err(|error| {
            Error::Tool(format!("what `perf script` prints cannot be read: {error}"))
        })?;
    let folded = String::from_utf8_lossy(&folded).into_owned();
    match folded.is_empty() {
        false => Ok(folded),
        true => Err(Error::Tool(
            "there is no sample: use a longer `--during`".to_owned(),
        )),
    }
}

fn options(what: &str) -> flamegraph::Options<'static> {
    let mut options = flamegraph::Options::default();
    options.title = "Where the time goes".to_owned();
    options.subtitle = Some(what.to_owned());
    // The same stacks give the same picture.
    options.deterministic = true;
    options
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Tool(format!("the flame graph cannot be drawn: {error}"))
}

/// A flame graph as SVG.
pub(super) fn graph(folded: &str, what: &str) -> Result<Vec<u8>, Error> {
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options(what), folded.lines(), &mut svg).map_err(failed)?;
    Ok(svg)
}

/// The graph of what comes after, coloured by how its shares differ from those before.
pub(super) fn difference(before: &str, after: &str, what: &str) -> Result<Vec<u8>, Error> {
    let shares = differential::Options {
        normalize: true,
        ..differential::Options::default()
    };
    let mut both = Vec::new();
    differential::from_readers(shares, before.as_bytes(), after.as_bytes(), &mut both)
        .map_err(failed)?;
    let both = String::from_utf8(both).map_err(failed)?;
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options(what), both.lines(), &mut svg).map_err(failed)?;
    Ok(svg)
}

/// Functions of the table.
const FUNCTIONS: usize = 12;

/// Where the samples are.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    samples: u64,
    /// The functions in which most of them are.
    functions: Vec<Row>,
}

/// A function, and which per cent of the samples are in itself, and in it and what it calls.
#[derive(Debug, Serialize)]
struct Row {
    function: String,
    itself: f64,
    in_all: f64,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let samples = self.samples;
        write!(
            f,
            "{samples} samples\n{:>8} {:>8}  function",
            "itself", "in all"
        )?;
        self.functions.iter().try_for_each(|row| {
            let Row {
                function,
                itself,
                in_all,
            } = row;
            write!(f, "\n{itself:>6.1} % {in_all:>6.1} %  {function}")
        })
    }
}

/// The functions in which most of the samples are.
pub(super) fn table(folded: &str) -> Table {
    let mut all: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut total = 0;
    for (stack, count) in folded.lines().filter_map(stack) {
        total += count;
        let mut functions: Vec<&str> = stack.split(';').collect();
        if let Some(last) = functions.last() {
            all.entry(last).or_default()[0] += count;
        }
        // What calls itself counts once.
        functions.sort_unstable();
        functions.dedup();
        for function in functions {
            all.entry(function).or_default()[1] += count;
        }
    }
    let share = |count: u64| 100.0 * count as f64 / total.max(1) as f64;
    let mut rows: Vec<(&str, [u64; 2])> = all.into_iter().collect();
    rows.sort_by_key(|(_, [own, _])| std::cmp::Reverse(*own));
    let most = rows.into_iter().take(FUNCTIONS).filter(|row| row.1[0] > 0);
    let row = |(function, [own, with]): (&str, [u64; 2])| Row {
        function: function.to_owned(),
        itself: share(own),
        in_all: share(with),
    };
    Table {
        samples: total,
        functions: most.map(row).collect(),
    }
}

/// The stack and its count.
fn stack(line: &str) -> Option<(&str, u64)> {
    let (stack, count) = line.rsplit_once(' ')?;
    Some((stack, count.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three samples as `perf script` prints them.
    const SCRIPT: &str = "\
pw-worker-0 4711 100.000001: cpu-clock:u:
\t    55d0 pipewright_trials::events::flow::price+0x10 (/tmp/trial)
\t    55e0 pipewright::worker::work+0x20 (/tmp/trial)

pw-worker-0 4711 100.001004: cpu-clock:u:
\t    55d8 pipewright_trials::events::flow::price+0x18 (/tmp/trial)
\t    55e0 pipewright::worker::work+0x20 (/tmp/trial)

pw-worker-0 4711 100.002007: cpu-clock:u:
\t    56d0 pipewright_trials::events::flow::enrich+0x10 (/tmp/trial)
\t    55e0 pipewright::worker::work+0x20 (/tmp/trial)

";

    #[test]
    fn stages_are_seen_by_their_names() {
        let folded = fold(SCRIPT).expect("it is what perf prints");
        assert_eq!(
            folded,
            "pw-worker-0;pipewright::worker::work;pipewright_trials::events::flow::enrich 1\n\
             pw-worker-0;pipewright::worker::work;pipewright_trials::events::flow::price 2\n"
        );
        let graph = graph(&folded, "throughput/events").expect("it can be drawn");
        let graph = String::from_utf8(graph).expect("it is text");
        for name in [
            "flow::price (2 samples, 66.67%)",
            "flow::enrich",
            "throughput/events",
        ] {
            assert!(graph.contains(name), "{name}");
        }
        let table = table(&folded).to_string();
        assert!(table.starts_with("3 samples\n"), "{table}");
        assert!(
            table.contains("  66.7 %   66.7 %  pipewright_trials::events::flow::price"),
            "{table}"
        );
        assert!(
            !table.contains("worker::work"),
            "it does nothing itself: {table}"
        );
    }

    #[test]
    fn a_difference_is_of_shares_and_not_of_counts() {
        let check = |before: &str, expect: &str| {
            let graph = difference(before, "a;price 30\na;enrich 10\n", "x").expect("it is drawn");
            let graph = String::from_utf8(graph).expect("it is text");
            assert!(graph.contains(expect), "{graph}");
        };
        // Ten times as many samples of the same.
        check(
            "a;price 300\na;enrich 100\n",
            "price (30 samples, 75.00%; 0.00%)",
        );
        check(
            "a;price 20\na;enrich 20\n",
            "price (30 samples, 75.00%; +25.00%)",
        );
    }

    #[test]
    fn without_samples_there_is_no_graph() {
        let error = fold("").expect_err("there is nothing").to_string();
        assert!(error.contains("no sample"), "{error}");
    }
}
