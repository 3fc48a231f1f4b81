//! `bench report`: a saved result as one HTML file and as Markdown.

mod advice;
mod course;
mod found;
mod latency;
mod markdown;
mod past;
mod rules;
mod stages;
mod verdicts;

#[cfg(test)]
mod asked;
#[cfg(test)]
mod golden;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use pipewright_draw::{Colour, DrawError, Page};

use super::{history::home, show};
use crate::{
    error::{Error, code},
    history::History,
    results::{Saved, SavedScenario, replace},
};

/// What the command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The result
    result: PathBuf,
    /// The HTML file [default: `report.html` beside the result]
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The Markdown file [default: `report.md` beside the result]
    #[arg(long, value_name = "FILE")]
    md: Option<PathBuf>,
    /// Where the history lies that is drawn with it [default: .pipewright]
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Print JSON: what was written, and the verdict
    #[arg(long)]
    json: bool,
    /// Do not tell what was written
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
}

/// `bench report`: writes `report.html` and `report.md` beside the result, or where it is told to.
pub(crate) fn run(args: &Args) -> Result<u8, Error> {
    let path = args.result.as_path();
    let saved = Saved::load(path)?;
    let history = History::read(&home(args.folder.as_deref()), &saved.env.class)?;
    let raw = fs::read_to_string(path).map_err(|error| Error::file("read", path, &error))?;
    let page = page(&saved, &history, path, &raw)
        .map_err(|error| Error::Tool(format!("the report cannot be drawn: {error}")))?;
    let html = args
        .html
        .clone()
        .unwrap_or_else(|| path.with_file_name("report.html"));
    let md = args
        .md
        .clone()
        .unwrap_or_else(|| path.with_file_name("report.md"));
    if html == md {
        return Err(Error::Usage(format!(
            "`--html` and `--md` are both `{}`: give two files",
            html.display()
        )));
    }
    for (place, text) in [(&html, page.html()), (&md, markdown::markdown(&saved))] {
        replace(place, |file| file.write_all(text.as_bytes()))
            .map_err(|error| Error::file("write", place, &error))?;
        if !args.json && !args.quiet {
            show::print(&format!("written: {}", place.display()))?;
        }
    }
    if args.json {
        show::json(&serde_json::json!({
            "run_id": saved.run_id,
            "verdict": saved.verdict,
            "html": html,
            "md": md,
        }))?;
    }
    Ok(code::PASS)
}

/// What to type to measure it again.
fn again(saved: &Saved) -> String {
    let words: Vec<String> = saved.command.iter().map(|word| quoted(word)).collect();
    format!("cargo xtask bench {}", words.join(" "))
}

/// A word as shells take it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-+=.,:/@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

fn page(saved: &Saved, history: &History, path: &Path, raw: &str) -> Result<Page, DrawError> {
    let mut page = Page::new(format!("bench {}", saved.run_id));
    head(&mut page, saved);
    verdicts::targets(&mut page, saved);
    verdicts::forest(&mut page, saved)?;
    advice::advice(&mut page, saved);
    for one in &saved.scenarios {
        scenario(&mut page, saved, one, history)?;
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

/// The verdict, and what was measured where.
fn head(page: &mut Page, saved: &Saved) {
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
    let built = saved.code.iter().filter(|(_, code)| !code.build.is_empty());
    let built = built.map(|(side, code)| {
        let fields = code.build.iter();
        let fields: Vec<String> = fields
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        (format!("{side:?} built with"), fields.join(", "))
    });
    let head = [
        ("started".to_owned(), saved.started.clone()),
        ("mode".to_owned(), saved.mode.clone()),
        ("machine class".to_owned(), saved.env.class.clone()),
    ];
    page.facts(head.into_iter().chain(sides).chain(built));
    page.list(&saved.limits);
}

fn scenario(
    page: &mut Page,
    saved: &Saved,
    scenario: &SavedScenario,
    history: &History,
) -> Result<(), DrawError> {
    page.section(&scenario.id);
    if let Some(why) = &scenario.refused {
        page.banner(Colour::Warn, why);
    }
    if !scenario.metrics.is_empty() {
        page.table(&verdicts::values(scenario));
    }
    if !scenario.latencies.is_empty() {
        page.chart(&latency::percentiles(scenario))?;
    }
    course::course(page, scenario)?;
    for (side, timeline) in &scenario.details.timeline {
        if let Some(map) = latency::heat_map(*side, timeline) {
            page.chart(&map)?;
        }
    }
    if let Some(curve) = latency::curve(scenario) {
        page.chart(&curve)?;
        page.text("Shaded: between the highest rate that can go on like this and the lowest that cannot. The knee has the most throughput for its latency.");
    }
    stages::stages(page, scenario)?;
    course::memory(page, scenario)?;
    found::found(page, scenario)?;
    past::past(page, &saved.mode, scenario, history)?;
    verdicts::trials(page, scenario)
}
