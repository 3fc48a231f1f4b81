//! `bench report`: a saved result as one HTML file and as Markdown.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use pipewright_draw::{Axis, Colour, DrawError, Forest, Interval, Lines, Page, Table, Unit};

use super::show;
use crate::{
    error::{Error, code},
    metrics::{self, Scale},
    results::{Saved, SavedMetric, SavedScenario, replace},
    session::Side,
    targets::Met,
    verdict::Verdict,
};

/// `bench report`: writes `report.html` and `report.md` beside the result, or where it is told to.
pub(crate) fn run(path: &Path, html: Option<PathBuf>, md: Option<PathBuf>) -> Result<u8, Error> {
    let saved = Saved::load(path)?;
    let raw = fs::read_to_string(path).map_err(|error| Error::file("read", path, &error))?;
    let page = page(&saved, path, &raw)
        .map_err(|error| Error::Tool(format!("the report cannot be drawn: {error}")))?;
    let html = html.unwrap_or_else(|| path.with_file_name("report.html"));
    let md = md.unwrap_or_else(|| path.with_file_name("report.md"));
    for (place, text) in [(&html, page.html()), (&md, markdown(&saved))] {
        replace(place, |file| file.write_all(text.as_bytes()))
            .map_err(|error| Error::file("write", place, &error))?;
        println!("written: {}", place.display());
    }
    Ok(code::PASS)
}

/// What to type to measure it again.
fn again(saved: &Saved) -> String {
    let mode = match saved.mode.as_str() {
        "full" => " --full",
        _ => "",
    };
    let base = match saved.code.get(&Side::A) {
        Some(code) if saved.code.len() > 1 => format!(" --base {}", code.revision),
        _ => String::new(),
    };
    format!("cargo xtask bench {}{base}{mode}", saved.command.join(" "))
}

fn colour(verdict: &Verdict) -> Colour {
    match verdict {
        Verdict::Regressed => Colour::Bad,
        Verdict::Improved => Colour::Good,
        Verdict::Equivalent => Colour::Plain,
        Verdict::Inconclusive { .. } | Verdict::Refused { .. } => Colour::Warn,
    }
}

fn page(saved: &Saved, path: &Path, raw: &str) -> Result<Page, DrawError> {
    let mut page = Page::new(format!("bench {}", saved.run_id));
    let banner = match saved.verdict.as_str() {
        "regressed" | "a target is missed" => Colour::Bad,
        "pass" | "equivalent" | "improved" => Colour::Good,
        _ => Colour::Warn,
    };
    page.banner(banner, &saved.verdict);
    if saved.partial {
        page.banner(Colour::Warn, "partial: the run was interrupted");
    }
    let sides = saved.code.iter().map(|(side, code)| {
        let dirty = if code.dirty {
            ", with changes that are not committed"
        } else {
            ""
        };
        (format!("{side:?}"), format!("{}{dirty}", code.revision))
    });
    let head = [
        ("started".to_owned(), saved.started.clone()),
        ("mode".to_owned(), saved.mode.clone()),
        ("machine class".to_owned(), saved.env.class.clone()),
    ];
    page.facts(head.into_iter().chain(sides));
    page.list(&saved.limits);
    targets(&mut page, saved);
    forest(&mut page, saved)?;
    for scenario in &saved.scenarios {
        page.section(&scenario.id);
        if let Some(why) = &scenario.refused {
            page.banner(Colour::Warn, why);
        }
        page.table(&values(scenario));
        if !scenario.latencies.is_empty() {
            page.chart(&percentiles(scenario))?;
        }
        trials(&mut page, scenario)?;
    }
    page.section("The machine");
    page.facts(
        saved
            .env
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    page.section("Again");
    page.code(&again(saved));
    page.text(&format!("The result was read from {}.", path.display()));
    page.data("result", raw);
    Ok(page)
}

fn targets(page: &mut Page, saved: &Saved) {
    let found: Vec<_> = saved
        .scenarios
        .iter()
        .flat_map(|scenario| scenario.targets.iter().map(move |found| (scenario, found)))
        .collect();
    if found.is_empty() {
        return;
    }
    page.section("Targets");
    let mut table = Table::new(["scenario", "target", "why", "result"]);
    for (scenario, found) in found {
        table.row([
            scenario.id.as_str(),
            found.target.as_str(),
            found.why.as_str(),
            found.result.word(),
        ]);
        table.colour(
            3,
            match found.result {
                Met::Pass => Colour::Good,
                Met::Failed => Colour::Bad,
                Met::Marginal | Met::Infeasible => Colour::Warn,
            },
        );
    }
    page.table(&table);
}

/// What changed, with bands and what could have been found.
fn forest(page: &mut Page, saved: &Saved) -> Result<(), DrawError> {
    let mut forest = Forest::new("What changed", Axis::new("B against A", Unit::Change), 1.0);
    let mut any = false;
    let all = saved.scenarios.iter().flat_map(|scenario| {
        scenario
            .metrics
            .iter()
            .map(move |metric| (scenario, metric))
    });
    for (scenario, metric) in all.filter(|(_, metric)| metric.scale == Scale::Ratio) {
        let Some((change, [low, high])) = metric
            .change
            .as_ref()
            .and_then(|change| Some((change, change.interval?)))
        else {
            continue;
        };
        let mut interval = Interval::new(
            format!("{} {}", scenario.id, metric.name),
            1.0 + change.estimate,
            (1.0 + low, 1.0 + high),
        )
        .band(1.0 / (1.0 + change.band), 1.0 + change.band)
        .verdict(change.verdict.word(), colour(&change.verdict));
        if let Some(mde) = change.mde.filter(|mde| *mde < 1.0) {
            interval = interval.detectable(1.0 - mde, 1.0 + mde);
        }
        forest = forest.interval(interval);
        any = true;
    }
    match any {
        true => page.chart(&forest),
        false => Ok(()),
    }
}

/// The values of a scenario as a table.
fn values(scenario: &SavedScenario) -> Table {
    let compared = scenario
        .metrics
        .iter()
        .any(|metric| metric.change.is_some());
    let mut table = match compared {
        true => Table::new(["metric", "A", "B", "change", "interval", "finds", "verdict"]),
        false => Table::new(["metric", "median", "median deviation", "trials"]),
    };
    for saved in &scenario.metrics {
        table.row(cells(saved, compared));
        if let Some(change) = &saved.change {
            table.colour(6, colour(&change.verdict));
        }
    }
    table
}

fn cells(saved: &SavedMetric, compared: bool) -> Vec<String> {
    let Some(metric) = metrics::find(&saved.name) else {
        return vec![saved.name.clone()];
    };
    let gate = if saved.gate { " (gates)" } else { "" };
    let name = format!("{}{gate}", saved.name);
    let of = |side: Side| saved.sides.get(&side);
    let value =
        |side: Side| of(side).map_or_else(String::new, |values| metric.value(values.median));
    let Some(change) = saved.change.as_ref().filter(|_| compared) else {
        let mad = of(Side::A).map_or_else(String::new, |values| metric.value(values.mad));
        let n = of(Side::A).map_or(0, |values| values.values.len());
        return vec![name, value(Side::A), mad, n.to_string()];
    };
    let interval = change.interval.map_or_else(
        || "too few blocks".to_owned(),
        |[low, high]| format!("{} to {}", metric.shown(low), metric.shown(high)),
    );
    let finds = change.mde.map_or_else(String::new, |mde| {
        metric.shown(mde).trim_start_matches('+').to_owned()
    });
    vec![
        name,
        value(Side::A),
        value(Side::B),
        metric.shown(change.estimate),
        interval,
        finds,
        change.verdict.word().to_owned(),
    ]
}

/// Latency by percentile.
fn percentiles(scenario: &SavedScenario) -> Lines {
    let x = Axis::tail("items");
    let y = Axis::new("latency", Unit::Nanoseconds).log();
    let mut lines = Lines::new("Latency by percentile", x, y);
    for (side, counts) in &scenario.latencies {
        let total: u64 = counts.iter().map(|(_, count)| count).sum();
        let mut below = 0;
        let points: Vec<(f64, f64)> = counts
            .iter()
            .map(|(length, count)| {
                below += count;
                (below as f64 / total as f64, *length as f64)
            })
            // The last one has nothing beyond it: it is at no percentile.
            .filter(|(share, _)| *share < 1.0)
            .collect();
        lines = lines.line(format!("{side:?}"), points);
    }
    lines
}

/// The values in the order in which they were measured, of what gates: a drift can be seen.
fn trials(page: &mut Page, scenario: &SavedScenario) -> Result<(), DrawError> {
    for saved in scenario.metrics.iter().filter(|metric| metric.gate) {
        let unit = match saved.unit.as_str() {
            "ns" => Unit::Nanoseconds,
            "bytes" => Unit::Bytes,
            "items/s" => Unit::PerSecond,
            _ => Unit::Number,
        };
        let title = format!("{} in the order of the trials", saved.name);
        let mut lines = Lines::new(
            title,
            Axis::new("trial", Unit::Number),
            Axis::new(saved.name.as_str(), unit),
        );
        for (side, values) in &saved.sides {
            let points = values.values.iter().enumerate();
            let points: Vec<(f64, f64)> = points
                .map(|(at, value)| ((at + 1) as f64, *value))
                .collect();
            lines = lines.marked(format!("{side:?}"), points);
        }
        page.chart(&lines)?;
    }
    Ok(())
}

/// The result for a comment on a change: a line, a table, and the rest folded.
fn markdown(saved: &Saved) -> String {
    let mut text = format!("<!-- pipewright bench -->\n**{}**", saved.verdict);
    for limit in &saved.limits {
        text.push_str(&format!("; {limit}"));
    }
    text.push_str(
        "\n\n| scenario | metric | A | B | change | verdict |\n|---|---|---|---|---|---|\n",
    );
    for scenario in &saved.scenarios {
        for saved in &scenario.metrics {
            let compared = saved.change.is_some();
            let cells = cells(saved, compared);
            let cell = |at: usize| cells.get(at).map_or("", String::as_str);
            let row = match compared {
                true => [cell(0), cell(1), cell(2), cell(3), cell(6)],
                false => [cell(0), cell(1), "", "", ""],
            };
            text.push_str(&format!("| {} | {} |\n", scenario.id, row.join(" | ")));
        }
    }
    text.push_str(&format!(
        "\n<details><summary>as it was printed</summary>\n\n```text\n{}\n```\n\n`{}`\n\n</details>\n",
        show::text(saved),
        again(saved)
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        machine::Machine,
        results::{Change, METHOD, SCHEMA, Values},
        targets::Found,
    };

    fn saved() -> Saved {
        let metric = metrics::find("throughput").expect("it is a metric");
        let values = |value: f64| Values::of(vec![value; 8]).expect("there are values");
        let mut one = SavedMetric::of(
            metric,
            true,
            [(Side::A, values(1e6)), (Side::B, values(9e5))].into(),
        );
        one.change = Some(Change {
            estimate: -0.1,
            interval: Some([-0.12, -0.08]),
            confidence: 0.96,
            method: METHOD.to_owned(),
            blocks: 8,
            mde: Some(0.02),
            band: 0.03,
            p: 0.008,
            suspect: false,
            verdict: Verdict::Regressed,
        });
        Saved {
            schema: SCHEMA.to_owned(),
            run_id: "20260101T000000Z-abc".to_owned(),
            started: "2026-01-01T00:00:00Z".to_owned(),
            mode: "quick".to_owned(),
            command: vec!["ab".to_owned()],
            partial: true,
            code: [].into(),
            env: Machine {
                class: "c1a55".to_owned(),
                fields: [("cpu_model".to_owned(), "Fast <9000>".to_owned())].into(),
            },
            limits: vec!["2 processors".to_owned()],
            scenarios: vec![SavedScenario {
                id: "throughput/fused".to_owned(),
                seed: 1,
                blocks: 8,
                disturbed: [].into(),
                refused: None,
                metrics: vec![one],
                latencies: [(Side::A, vec![(1000, 50), (2000, 40), (9000, 10)])].into(),
                targets: vec![Found {
                    target: "throughput >= 1.00 M/s".to_owned(),
                    why: String::new(),
                    estimate: 9e5,
                    interval: None,
                    floor: None,
                    result: Met::Failed,
                }],
            }],
            verdict: "regressed".to_owned(),
        }
    }

    #[test]
    fn the_page_has_what_was_found_and_needs_no_network() {
        let page = page(&saved(), Path::new("run.json"), "{\"a\":\"</script>\"}")
            .expect("it can be drawn");
        let html = page.html();
        for text in [
            "regressed",
            "partial",
            "throughput/fused",
            "c1a55",
            "What changed",
            "Latency by percentile",
            "FAILED",
        ] {
            assert!(html.contains(text), "{text}");
        }
        assert!(html.contains("Fast &lt;9000&gt;"));
        for foreign in ["src=\"http", "href=\"http", "@import", "url(http"] {
            assert!(!html.contains(foreign), "{foreign}");
        }
    }

    #[test]
    fn the_markdown_is_a_line_and_a_table() {
        let text = markdown(&saved());
        let expect = "<!-- pipewright bench -->\n**regressed**; 2 processors\n\n\
            | scenario | metric | A | B | change | verdict |\n|---|---|---|---|---|---|\n\
            | throughput/fused | throughput (gates) | 1.00 M/s | 900.0 k/s | -10.0 % | regressed |\n";
        assert!(text.starts_with(expect), "{text}");
        assert!(text.len() < 60_000);
    }
}
