//! Prints what each mechanism costs against its budget: `cargo xtask budgets`, or
//! `cargo run --release -p pipewright-benches --bin budgets`.
//!
//! It calibrates first, then measures each budget several times and prints the median with the least and the greatest. Exits
//! with 1 if a budget is missed. It runs on the system's allocator, which counts.

#![forbid(unsafe_code)]

use std::{alloc::System, path::PathBuf, process::ExitCode};

use clap::Parser;
use pipewright_benches::budgets::{
    GROUPS, Group, Machine, ON_REQUEST, Plan, Row, TABLE, Verdict, json, print_head, print_row,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What each mechanism costs against its budget
#[derive(Parser)]
struct Args {
    /// Only these, such as `B5` or `load`; `compile` runs only when it is named, because it takes minutes
    #[arg(value_name = "ID", value_parser = known)]
    ids: Vec<String>,
    /// A tenth of the work, fewer times
    #[arg(long)]
    quick: bool,
    /// Times that each budget is measured [default: 7, or 3 if quick]
    #[arg(long)]
    rounds: Option<usize>,
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let plan = Plan {
        rounds: args.rounds.unwrap_or(if args.quick { 3 } else { 7 }).max(1),
        quick: args.quick,
        allocations: counted,
    };
    let machine = Machine::here();
    println!(
        "{}, {} cpus, kernel {}; {} rounds{}",
        machine.processor,
        machine.cpus,
        machine.kernel,
        plan.rounds,
        if plan.quick { ", quick" } else { "" }
    );
    print_head();
    let rows: Vec<Row> = chosen(&args.ids)
        .flat_map(|group| rows(group, &plan))
        .collect();
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let missed = count(Verdict::Missed);
    println!(
        "{} met, {missed} missed, {} not built, {} not known",
        count(Verdict::Met),
        count(Verdict::NotBuilt),
        count(Verdict::NotKnown)
    );
    if let Some(file) = args.json {
        let written = json(&machine, plan.rounds, plan.quick, &rows)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(&file, text + "\n"));
        if let Err(error) = written {
            eprintln!("error: cannot write `{}`: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    if missed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The named groups, or all but those that take long; the calibration always.
fn chosen(ids: &[String]) -> impl Iterator<Item = &'static Group> {
    GROUPS.iter().filter(move |(id, _)| {
        let named = ids.iter().any(|named| named == id);
        *id == "B0" || named || (ids.is_empty() && !ON_REQUEST.contains(id))
    })
}

/// Measures the budgets of a group, and prints each.
fn rows((id, measure): &Group, plan: &Plan) -> Vec<Row> {
    let readings = measure(plan);
    let budgets = TABLE.iter().filter(|budget| budget.id() == *id);
    let rows: Vec<Row> = budgets.map(|budget| Row::new(*budget, &readings)).collect();
    rows.iter().for_each(print_row);
    rows
}

fn known(id: &str) -> Result<String, String> {
    let ids: Vec<&str> = GROUPS.iter().map(|(id, _)| *id).collect();
    let found = ids.iter().find(|known| known.eq_ignore_ascii_case(id));
    found.map_or_else(
        || {
            Err(format!(
                "there is none of this name; there are {}",
                ids.join(", ")
            ))
        },
        |id| Ok((*id).to_owned()),
    )
}

fn counted() -> usize {
    let stats = ALLOCATOR.stats();
    stats.allocations + stats.reallocations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_any_case_and_others_are_refused() {
        assert_eq!(known("b5"), Ok("B5".to_owned()));
        assert_eq!(known("load"), Ok("load".to_owned()));
        let error = known("B99").expect_err("there is none");
        assert!(
            error.starts_with("there is none of this name; there are B0, B1, "),
            "{error}"
        );
        assert!(GROUPS.iter().all(|(id, _)| error.contains(id)), "{error}");
    }

    #[test]
    fn what_takes_minutes_runs_only_when_it_is_named() {
        let check = |named: &[&str], expect: &[&str]| {
            let named: Vec<String> = named.iter().map(|id| (*id).to_owned()).collect();
            let ids: Vec<&str> = chosen(&named).map(|(id, _)| *id).collect();
            assert_eq!(ids, expect);
        };
        check(&["compile"], &["B0", "compile"]);
        check(&["B7", "B1"], &["B0", "B1", "B7"]);
        assert!(chosen(&[]).all(|(id, _)| *id != "compile"));
        assert_eq!(chosen(&[]).count(), GROUPS.len() - 1);
    }
}
