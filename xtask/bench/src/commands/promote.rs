//! `bench promote`: makes a saved result the baseline of its class of machines, which `bench compare baseline RESULT` reads.

use std::path::{Path, PathBuf};

use super::{history::home, show};
use crate::{
    error::{Error, code},
    results::Saved,
    targets::Met,
    verdict::Verdict,
};

/// What stands for the baseline where a file is named.
pub(crate) const WORD: &str = "baseline";

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The result
    result: PathBuf,
    /// Where baselines lie [default: .pipewright]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Also if something speaks against it
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Do not tell where it is saved
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

/// Where the baseline of a class lies.
pub(crate) fn place(folder: &Path, class: &str) -> PathBuf {
    folder.join("baselines").join(format!("{class}.json"))
}

/// Where that lies what was named, if it is the word for the baseline of a class and no file.
pub(crate) fn named(path: &Path, class: &str, folder: &Path) -> Option<PathBuf> {
    (path.as_os_str() == WORD && !path.exists()).then(|| place(folder, class))
}

/// `bench promote`.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let saved = Saved::load(&args.result)?;
    let place = place(&home(args.folder.as_deref()), &saved.env.class);
    let before = match place.exists() {
        // What cannot be read any more stands in nobody's way.
        true => Saved::load(&place).ok(),
        false => None,
    };
    let against = against(&saved, before.as_ref());
    for why in &against {
        eprintln!("{}: {why}", if args.force { "warning" } else { "error" });
    }
    if !against.is_empty() && !args.force {
        return Err(Error::Usage(
            "it did not become the baseline; `--force` does it nevertheless".to_owned(),
        ));
    }
    saved.save(&place)?;
    if args.json {
        show::json(&serde_json::json!({
            "class": saved.env.class,
            "run_id": saved.run_id,
            "before": before.map(|before| before.run_id),
            "against": against,
            "saved": place,
        }))?;
        return Ok(code::PASS);
    }
    let Saved { env, run_id, .. } = &saved;
    show::print(&format!("baseline of the class {}: {run_id}", env.class))?;
    if !args.quiet {
        show::print(&format!("saved: {}", place.display()))?;
    }
    Ok(code::PASS)
}

/// What speaks against a baseline.
fn against(saved: &Saved, before: Option<&Saved>) -> Vec<String> {
    let mut found = Vec::new();
    let mut say = |when: bool, why: &str| {
        if when {
            found.push(why.to_owned());
        }
    };
    let scenarios = &saved.scenarios;
    let mut changes = scenarios
        .iter()
        .flat_map(|one| &one.metrics)
        .filter(|metric| metric.gate)
        .filter_map(|metric| metric.change.as_ref());
    let mut targets = scenarios.iter().flat_map(|one| &one.targets);
    say(saved.partial, "the run was interrupted");
    say(scenarios.is_empty(), "it has no scenario");
    say(
        saved.code.values().any(|code| code.dirty),
        "it was measured with changes that are not committed",
    );
    say(
        scenarios.iter().any(|one| one.refused.is_some()),
        "a scenario was refused, because its trials were disturbed",
    );
    say(
        saved
            .limits
            .iter()
            .any(|limit| limit.starts_with(UNGUARDED)),
        "trials that the machine disturbed were counted",
    );
    say(
        changes.any(|change| change.verdict == Verdict::Regressed),
        "a metric that gates has regressed",
    );
    say(
        targets.any(|found| found.result == Met::Failed),
        "a target is missed",
    );
    let time = |saved: &Saved| saved.started.parse::<jiff::Timestamp>().ok();
    say(
        before.is_some_and(|before| time(saved) < time(before)),
        "it is older than the baseline that is there",
    );
    found
}

/// How the limit begins that says so.
pub(crate) const UNGUARDED: &str = "trials that the machine disturbed";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::run as saved;

    #[test]
    fn what_speaks_against_a_baseline_is_told() {
        let check = |change: &dyn Fn(&mut Saved), expect: &str| {
            let mut one = saved(5, 1000.0);
            change(&mut one);
            let found = against(&one, Some(&saved(4, 1000.0)));
            assert!(found.len() == 1 && found[0].contains(expect), "{found:?}");
        };
        assert_eq!(against(&saved(5, 1.0), Some(&saved(4, 1.0))), [""; 0]);
        check(&|saved| saved.partial = true, "interrupted");
        check(&|saved| saved.scenarios.clear(), "no scenario");
        check(
            &|saved| saved.code.values_mut().for_each(|code| code.dirty = true),
            "not committed",
        );
        check(
            &|saved| saved.scenarios[0].refused = Some("steal".to_owned()),
            "refused",
        );
        check(
            &|saved| saved.limits.push(format!("{UNGUARDED} were counted")),
            "were counted",
        );
        check(
            &|saved| saved.started = "2025-01-01T00:00:00Z".to_owned(),
            "older",
        );
    }
}
