//! A report as Markdown: a line, a table, and the rest folded. It is for a comment on a change, which must not be long.

use super::{advice, again, verdicts::cells};
use crate::{
    commands::show,
    results::{Saved, SavedMetric, SavedScenario},
};

/// Bytes of the tables, and of what is folded: comments of GitHub have 65,536 characters at most.
const TABLE: usize = 20_000;
const TARGETS: usize = 8_000;
const FOLDED: usize = 20_000;

/// The result for a comment on a change.
pub(super) fn markdown(saved: &Saved) -> String {
    let mut text = format!("<!-- pipewright bench -->\n**{}**", saved.verdict);
    for limit in &saved.limits {
        text.push_str(&format!("; {limit}"));
    }
    text.push_str(
        "\n\n| scenario | metric | A | B | change | verdict |\n|---|---|---|---|---|---|\n",
    );
    let all = saved.scenarios.iter();
    let rows = all.flat_map(|scenario| scenario.metrics.iter().map(move |one| row(scenario, one)));
    text.push_str(&fitting(rows, TABLE, "more rows are in the result"));
    let all = saved.scenarios.iter();
    let targets = fitting(
        all.flat_map(targets),
        TARGETS,
        "more targets are in the result",
    );
    if !targets.is_empty() {
        text.push_str("\n| scenario | target | measured | result |\n|---|---|---|---|\n");
        text.push_str(&targets);
    }
    let advice = advice::all(saved);
    let advice = advice
        .iter()
        .map(|advice| format!("* {} ({})\n", advice.text, advice.evidence.join("; ")));
    let advice = fitting(advice, FOLDED / 2, "more are in the page");
    if !advice.is_empty() {
        text.push_str(&format!(
            "\n<details><summary>what to do</summary>\n\n{advice}\n</details>\n"
        ));
    }
    let printed = show::text(saved);
    let printed = printed.lines().map(|line| format!("{line}\n"));
    text.push_str(&format!(
        "\n<details><summary>as it was printed</summary>\n\n```text\n{}```\n\n`{}`\n\n</details>\n",
        fitting(printed, FOLDED, "more lines are in the result"),
        again(saved)
    ));
    text
}

fn row(scenario: &SavedScenario, saved: &SavedMetric) -> String {
    let compared = saved.change.is_some();
    let cells = cells(saved, compared);
    let cell = |at: usize| cells.get(at).map_or("", String::as_str);
    let row = match compared {
        true => [cell(0), cell(1), cell(2), cell(3), cell(6)],
        false => [cell(0), cell(1), "", "", ""],
    };
    format!("| {} | {} |\n", scenario.id, row.join(" | "))
}

/// A row for each target.
fn targets(scenario: &SavedScenario) -> Vec<String> {
    let row = |target: &str, measured: &str, result: &str| {
        format!("| {} | {target} | {measured} | {result} |\n", scenario.id)
    };
    let found = scenario.targets.iter();
    let found = found.map(|one| row(&one.target, &one.measured(), one.result.word()));
    let unknown = scenario.unknown_targets.iter();
    let unknown = unknown.map(|one| row(&one.target, "", &format!("unknown: {}", one.reason)));
    found.chain(unknown).collect()
}

/// The lines that fit into so many bytes, and how many do not.
fn fitting(lines: impl Iterator<Item = String>, bytes: usize, rest: &str) -> String {
    let mut text = String::new();
    let mut left = 0;
    for line in lines {
        match left == 0 && text.len() + line.len() <= bytes {
            true => text.push_str(&line),
            false => left += 1,
        }
    }
    if left > 0 {
        text.push_str(&format!("{left} {rest}\n"));
    }
    text
}
