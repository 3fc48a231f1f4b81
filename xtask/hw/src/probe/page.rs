//! A probe as a page: the heat map of hand-overs, the curves of jitter, the levels of memory, and all figures.

use std::collections::BTreeMap;

use pipewright_draw::{
    Axis, Bars, Colour, DrawError, HeatMap, Lines, Page, Table, Unit as DrawUnit, format,
};

use super::{
    judge,
    plateaus::Plateau,
    result::{Curve, Detail, Measurement, Outcome, Probe, Rating, Unit},
};

/// The page of a probe of this machine; `json` is the result that is put into it for programs.
///
/// # Errors
///
/// If a chart cannot be drawn.
pub fn page(
    probe: &Probe,
    machine: &BTreeMap<String, String>,
    json: &str,
) -> Result<Page, DrawError> {
    let mut page = Page::new("hardware probe");
    if let Some(grade) = judge::grade(probe) {
        let colour = match grade {
            judge::Grade::A | judge::Grade::B => Colour::Good,
            judge::Grade::C => Colour::Warn,
            judge::Grade::D => Colour::Bad,
        };
        page.banner(colour, &format!("grade {grade}: {}", meaning(grade)));
    }
    page.text(&format!("floor: {}", judge::floor_line(probe)));
    let took = format!("{:.0} s", probe.seconds);
    let cpus = probe
        .cpus
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(" ");
    let facts = machine
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    page.facts(facts.chain([("cpus measured", cpus.as_str()), ("took", took.as_str())]));
    summary(&mut page, probe);
    for one in &probe.measurements {
        section(&mut page, probe, one)?;
    }
    page.data("pipewright-hw", json);
    Ok(page)
}

fn meaning(grade: judge::Grade) -> &'static str {
    match grade {
        judge::Grade::A => "single per cents and microseconds can be told apart here",
        judge::Grade::B => "comparisons can be trusted here from 3 % on",
        judge::Grade::C => "only large differences can be told here: more than 3 %, up to 10 %",
        judge::Grade::D => "nothing that depends on time can be told here: even 10 % are noise",
    }
}

fn summary(page: &mut Page, probe: &Probe) {
    let mut table = Table::new(["", "measurement", "result"]);
    for one in &probe.measurements {
        match &one.outcome {
            Outcome::Skipped(why) => table.row([&one.id, &one.title, &format!("skipped: {why}")]),
            Outcome::Measured => {
                table.row([&one.id, &one.title, one.rating.word()]);
                table.colour(2, colour(one.rating));
            }
        }
    }
    page.table(&table);
}

fn colour(rating: Rating) -> Colour {
    match rating {
        Rating::Pass => Colour::Good,
        Rating::Info => Colour::Muted,
        Rating::Warn => Colour::Warn,
        Rating::Fail => Colour::Bad,
    }
}

fn section(page: &mut Page, probe: &Probe, one: &Measurement) -> Result<(), DrawError> {
    page.section(&format!("{} \u{b7} {}", one.id, one.title));
    if let Outcome::Skipped(why) = &one.outcome {
        page.text(&format!("Skipped: {why}."));
        return Ok(());
    }
    let plateaus = one.details.iter().find_map(|detail| match detail {
        Detail::Plateaus(plateaus) => Some(plateaus.as_slice()),
        _ => None,
    });
    for detail in &one.details {
        draw(page, probe, detail, plateaus.unwrap_or_default())?;
    }
    if one.id == "A9" {
        page.chart(&bandwidth(one))?;
    }
    page.list(&one.notes);
    table(page, one);
    Ok(())
}

fn table(page: &mut Page, one: &Measurement) {
    if one.rows.is_empty() {
        return;
    }
    let mut table =
        Table::new(["", "samples", "least", "median", "p99", "p99.9", "most"]).numbers(1..=6);
    for row in &one.rows {
        let numbers = row.written("\u{2013}");
        table.row(
            [row.name.clone(), row.summary.n.to_string()]
                .into_iter()
                .chain(numbers),
        );
    }
    page.table(&table);
}

fn draw(
    page: &mut Page,
    probe: &Probe,
    detail: &Detail,
    plateaus: &[Plateau],
) -> Result<(), DrawError> {
    match detail {
        Detail::Handoffs(matrix) => {
            let names: Vec<String> = probe.cpus.iter().map(u32::to_string).collect();
            page.chart(&map("One way from cpu to cpu", "cpu", &names, matrix))
        }
        Detail::Nodes(matrix) => {
            let names: Vec<String> = (0..matrix.len()).map(|node| node.to_string()).collect();
            page.chart(&map(
                "From the cpus of a memory node to the memory of another",
                "node",
                &names,
                matrix,
            ))
        }
        Detail::Gaps(curves) => {
            let x = Axis::new("length of a gap", DrawUnit::Nanoseconds).log();
            let y = Axis::new(
                "gaps in a second that are at least as long",
                DrawUnit::Number,
            )
            .log();
            let lines = curves.iter().fold(
                Lines::new("Jitter of each cpu, all at once", x, y),
                |lines, curve| lines.line(curve.name.clone(), curve.points.iter().copied()),
            );
            page.chart(&lines)
        }
        Detail::Latency(curves) => page.chart(&latency(curves, plateaus)),
        Detail::Plateaus(_) => Ok(()),
        Detail::Frequency(curves) => {
            let x = Axis::new("time", DrawUnit::Seconds);
            let y = Axis::new("GHz", DrawUnit::Number).from_zero();
            let lines = curves.iter().fold(
                Lines::new("Frequency while at work", x, y),
                |lines, curve| {
                    lines.line(
                        curve.name.clone(),
                        curve.points.iter().map(|(at, hertz)| (*at, hertz / 1e9)),
                    )
                },
            );
            page.chart(&lines)
        }
        Detail::Canary(took) => {
            let x = Axis::new("round", DrawUnit::Count);
            let y = Axis::new("time of a round", DrawUnit::Nanoseconds).from_zero();
            let points = took
                .iter()
                .enumerate()
                .map(|(round, ns)| (round as f64 + 1.0, *ns));
            page.chart(
                &Lines::new("The same work, round by round", x, y)
                    .height(220)
                    .marked("", points),
            )
        }
        Detail::Contention(curves) => {
            let x = Axis::new("cpus", DrawUnit::Count);
            let y = Axis::new("one addition", DrawUnit::Nanoseconds).from_zero();
            let lines = curves.iter().fold(
                Lines::new("Additions to one shared number", x, y),
                |lines, curve| lines.marked("", curve.points.iter().copied()),
            );
            page.chart(&lines.height(220))
        }
    }
}

fn map(title: &str, what: &str, names: &[String], matrix: &[Vec<Option<f64>>]) -> HeatMap {
    let map = HeatMap::new(title, DrawUnit::Nanoseconds)
        .axes(format!("{what} (rows: from, columns: to)"), names);
    names.iter().zip(matrix).fold(map, |map, (name, row)| {
        map.row(
            format!("{what} {name}"),
            row.iter().map(|ns| ns.unwrap_or(f64::NAN)),
        )
    })
}

fn latency(curves: &[Curve], plateaus: &[Plateau]) -> Lines {
    let x = Axis::new("size of what is used", DrawUnit::Bytes).log();
    let y = Axis::new("one access", DrawUnit::Nanoseconds).log();
    let lines = Lines::new("Memory latency, with the levels of memory shaded", x, y);
    let lines = curves.iter().fold(lines, |lines, curve| {
        lines.marked(curve.name.clone(), curve.points.iter().copied())
    });
    plateaus
        .iter()
        .enumerate()
        .fold(lines, |lines, (level, plateau)| {
            let Plateau { from, to, ns } = *plateau;
            lines
                .span(from, to, Colour::Series(2 + level))
                .instant(from, format::nanoseconds(ns))
        })
}

fn bandwidth(one: &Measurement) -> Bars {
    let rows = one
        .rows
        .iter()
        .filter(|row| row.unit == Unit::BytesPerSecond);
    rows.fold(
        Bars::new(
            "The best pass",
            Axis::new("bytes a second", DrawUnit::BytesPerSecond),
        ),
        |bars, row| bars.bar(row.name.clone(), row.summary.max),
    )
}
