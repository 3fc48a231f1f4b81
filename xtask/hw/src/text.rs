//! Results as text for a terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use crate::{
    check::{Check, Checked, Checkup, Grade, Profile, Reason, Status, checks},
    probe::{self, Kind},
};

/// The columns of the id and the title.
const TITLE: usize = 18;

/// The results, the worst first; what passed and what was skipped is counted only, unless all of it is wanted. It is coloured
/// with escape sequences, which a printer takes out where they are not wanted.
pub fn checkup(checkup: &Checkup, is_verbose: bool) -> String {
    let mut text = format!("hw check, profile {}: {}\n", checkup.profile, checkup.place);
    for status in Status::WORST_FIRST {
        let folded = matches!(status, Status::Pass | Status::Skip) && !is_verbose;
        let mut group = "";
        for checked in checkup
            .checked
            .iter()
            .filter(|checked| checked.status == status && !folded)
        {
            if checked.group != group {
                group = &checked.group;
                let _ = writeln!(
                    text,
                    "\n{}{group}{}",
                    Style::new().bold(),
                    Style::new().bold().render_reset()
                );
            }
            line(&mut text, checked);
        }
    }
    text.push('\n');
    if !is_verbose {
        text.push_str(&folded(checkup));
    }
    text.push_str(&counts(checkup));
    text
}

fn line(text: &mut String, checked: &Checked) {
    let Checked {
        id, title, status, ..
    } = checked;
    let style = style(*status);
    let word = status.name().to_uppercase();
    let reason = checked
        .reason
        .map_or(String::new(), |reason| format!("{}: ", reason.name()));
    let _ = writeln!(
        text,
        "{style}{word:<7}{style:#} {id} {title:TITLE$} {reason}{}",
        checked.current
    );
    let mut more = |what: &str| {
        let _ = writeln!(text, "{:TITLE$}             {what}", "");
    };
    checked.details.iter().for_each(|detail| more(detail));
    if matches!(status, Status::Warn | Status::Fail) {
        more(&format!("should be: {}", checked.expected));
    }
    if let Some(fix) = &checked.fix {
        more(&format!("help: {fix}"));
    }
}

fn style(status: Status) -> Style {
    let colour = |colour: AnsiColor| colour.on_default();
    match status {
        Status::Fail => colour(AnsiColor::Red).bold(),
        Status::Warn => colour(AnsiColor::Yellow),
        Status::Unknown => colour(AnsiColor::Magenta),
        Status::Pass => colour(AnsiColor::Green),
        Status::Info => colour(AnsiColor::Cyan),
        Status::Skip => Style::new().dimmed(),
    }
}

/// `14 skipped: guest 9, not declared 5; --verbose shows them`.
fn folded(checkup: &Checkup) -> String {
    let mut reasons: Vec<(usize, Reason)> = Vec::new();
    for reason in checkup.checked.iter().filter_map(|checked| checked.reason) {
        match reasons.iter_mut().find(|(_, known)| *known == reason) {
            Some((count, _)) => *count += 1,
            None => reasons.push((1, reason)),
        }
    }
    reasons.sort_by_key(|(count, reason)| (std::cmp::Reverse(*count), *reason));
    if reasons.is_empty() {
        return String::new();
    }
    let listed: Vec<String> = reasons
        .iter()
        .map(|(count, reason)| format!("{} {count}", reason.name()))
        .collect();
    format!(
        "{} skipped: {}; `--verbose` shows them\n",
        checkup.count(Status::Skip),
        listed.join(", ")
    )
}

/// `1 fail, 3 warn, 2 unknown, 20 info, 40 pass, 51 skip`.
fn counts(checkup: &Checkup) -> String {
    let order = [
        Status::Fail,
        Status::Warn,
        Status::Unknown,
        Status::Info,
        Status::Pass,
        Status::Skip,
    ];
    let counts: Vec<String> = order
        .iter()
        .map(|status| format!("{} {status}", checkup.count(*status)))
        .collect();
    format!("{}\n", counts.join(", "))
}

/// What a check is for, how it looks, and what to do.
pub fn explain(check: &Check) -> String {
    let bold = Style::new().bold();
    let mut text = format!(
        "{bold}{} {}{bold:#} ({})\n\n",
        check.id,
        check.title,
        check.group()
    );
    let _ = writeln!(text, "why      {}", check.why);
    let _ = writeln!(text, "passes   {}", check.pass);
    for (n, path) in check.reads.iter().enumerate() {
        let is_path = ["proc/", "sys/", "etc/", "dev/"]
            .iter()
            .any(|root| path.starts_with(root));
        let slash = if is_path { "/" } else { "" };
        let _ = writeln!(
            text,
            "{:8} {slash}{path}",
            if n == 0 { "reads" } else { "" }
        );
    }
    let usual = grades(|profile| check.grade(profile));
    let worst = grades(|profile| check.worst(profile));
    let _ = writeln!(text, "else     {usual}");
    if worst != usual {
        let _ = writeln!(
            text,
            "at worst {worst}, where what is asked for cannot be had at all"
        );
    }
    if check.hidden {
        text.push_str("guests   hypervisors hide it\n");
    }
    if check.host {
        text.push_str("inside   in a container, the value is the host's and is changed there\n");
    }
    let fix = &check.fix;
    for write in &fix.writes {
        let _ = writeln!(text, "fix      {}", crate::script::command(write));
    }
    if !fix.say.is_empty() {
        let _ = writeln!(text, "fix      {} ({})", fix.say, fix.kind.name());
    }
    if !fix.risk.is_empty() {
        let _ = writeln!(text, "risk     {}", fix.risk);
    }
    text
}

/// What a measurement of `hw probe` is.
pub fn measurement(kind: Kind) -> String {
    let bold = Style::new().bold();
    let (id, title) = (kind.id(), kind.title());
    format!(
        "{bold}{id} {title}{bold:#} (measured by `hw probe`)\n\nhow      {}\n",
        kind.how()
    )
}

/// A line for each check of the group with this letter, or for each measurement if it is `A`; `None` if there is no such group.
pub fn group(letter: &str) -> Option<String> {
    let bold = Style::new().bold();
    if letter.eq_ignore_ascii_case("A") {
        let mut text = format!("{bold}measured by `hw probe`{bold:#}\n\n");
        for kind in probe::ALL {
            let _ = writeln!(text, "{:4} {}", kind.id(), kind.title());
        }
        return Some(text);
    }
    let is_in = |check: &&Check| check.id[..1].eq_ignore_ascii_case(letter);
    let mut all = checks().iter().filter(is_in).peekable();
    let mut text = format!("{bold}{}{bold:#}\n\n", all.peek()?.group());
    for check in all {
        let _ = writeln!(text, "{:4} {:TITLE$} {}", check.id, check.title, check.pass);
    }
    Some(text)
}

/// `dev info, ci warn`, and so on.
fn grades(of: impl Fn(Profile) -> Grade) -> String {
    let each = Profile::ALL.map(|profile| format!("{profile} {}", grade(of(profile))));
    each.join(", ")
}

fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Off => "does not look",
        Grade::Info => "info",
        Grade::Warn => "warn",
        Grade::Fail => "fail",
    }
}
