//! Tables for people; in a form that can be pasted into a Markdown file.

use comfy_table::{Cell, CellAlignment, Table, presets::ASCII_MARKDOWN};

use super::{
    catalogue::Measure,
    contender::Kind,
    rounds::{NoValue, Outcome, Row},
    stats::{Spread, shown},
    verdict::{Judged, best},
};

/// The rows of a case, the best of the first measure first.
pub(crate) fn rows(outcome: &Outcome<'_>) -> String {
    let mut table = Table::new();
    table
        .load_preset(ASCII_MARKDOWN)
        .set_header(header(outcome));
    for row in sorted(outcome) {
        table.add_row(cells(outcome, row));
    }
    let mut text = format!(
        "\n## {}\n\n{}\n\n{table}\n",
        outcome.case.name, outcome.case.about
    );
    for row in &outcome.rows {
        match &row.result {
            Ok(_) => {}
            Err(NoValue::Skipped(why)) => {
                text.push_str(&format!("\n* {}: skipped: {why}", row.name))
            }
            Err(NoValue::Wrong(why)) => text.push_str(&format!("\n* {}: WRONG: {why}", row.name)),
        }
    }
    text
}

fn header(outcome: &Outcome<'_>) -> Vec<String> {
    let measures = &outcome.case.measures;
    let value =
        |measure: &Measure| format!("{} ({}), median [min - max]", measure.name, measure.unit);
    let names: Vec<&str> = measures
        .iter()
        .map(|measure| measure.name.as_str())
        .collect();
    let each = match names.as_slice() {
        [_] => String::new(),
        names => format!(" ({})", names.join(" / ")),
    };
    let mut header = vec!["contender".to_owned(), "kind".to_owned()];
    header.extend(measures.iter().map(value));
    header.extend(["best peer", "the limit"].map(|other| format!("against {other}{each}")));
    header
}

fn sorted<'o>(outcome: &'o Outcome<'_>) -> Vec<&'o Row> {
    let better = outcome.case.measures[0].better;
    let median = |row: &Row| row.values(0).map(|values| Spread::of(values).median);
    let mut rows: Vec<&Row> = outcome.rows.iter().collect();
    rows.sort_by(|a, b| match (median(a), median(b)) {
        (Some(a), Some(b)) => better.speed(b, a).total_cmp(&1.0),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    rows
}

fn cells(outcome: &Outcome<'_>, row: &Row) -> Vec<Cell> {
    let measures = || outcome.case.measures.iter().enumerate();
    let spread = |at| row.values(at).map(Spread::of);
    let value = |(at, _): (usize, &Measure)| match spread(at) {
        None => "-".to_owned(),
        Some(Spread {
            median,
            least,
            most,
        }) => {
            format!("{} [{} - {}]", shown(median), shown(least), shown(most))
        }
    };
    let ratios = |kind| {
        let ratio = |(at, measure): (usize, &Measure)| {
            let speed = measure
                .better
                .speed(spread(at)?.median, against(outcome, at, kind)?);
            Some(format!("{speed:.2}x"))
        };
        let ratios = measures().map(|measure| ratio(measure).unwrap_or_else(|| "-".to_owned()));
        ratios.collect::<Vec<_>>().join(" / ")
    };
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let mut cells = vec![Cell::new(&row.name), Cell::new(row.kind.name())];
    cells.extend(measures().map(value).map(right));
    cells.extend([Kind::Peer, Kind::Limit].map(ratios).map(right));
    cells
}

/// The best median of the rows of a kind.
pub(crate) fn against(outcome: &Outcome<'_>, measure: usize, kind: Kind) -> Option<f64> {
    let mut rows = outcome.rows.iter().filter(|row| row.kind == kind);
    let best = best(&mut rows, measure, outcome.case.measures[measure].better)?;
    Some(Spread::of(best.values(measure)?).median)
}

/// The goals of all cases.
pub(crate) fn goals(judged: &[(&str, Vec<Judged>)]) -> String {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header([
        "case",
        "row",
        "goal",
        "reached, ratio of medians [rounds]",
        "verdict",
    ]);
    for (case, goals) in judged {
        for goal in goals {
            let reached = goal.verdict.to_string();
            table.add_row([
                case,
                goal.row.as_str(),
                &goal.goal,
                &reached,
                goal.verdict.word(),
            ]);
        }
    }
    table.to_string()
}
