//! Scripts that tune a machine and that take it back, as text: nothing here runs them.
//!
//! Only what can be written while the machine runs is in them as commands, each with the value that was read now as its way
//! back. What needs a boot parameter, a unit or a hand stands above them as a comment.

use std::fmt::Write as _;

use crate::{
    check::{Check, Checkup, FixKind, Status, Write, find, usual_fix},
    host::{Host, expand},
    parse::{chosen, listed, to_mask},
};

/// Two scripts for `sh`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scripts {
    /// Changes what the checks found wanting.
    pub tune: String,
    /// Writes the values back that were read when it was made.
    pub untune: String,
}

/// One file, and what it says and shall say.
#[derive(Debug)]
struct Change {
    path: String,
    now: String,
    then: String,
}

/// The scripts for what a check of this machine found wanting. `hot` are the cpus that are to be kept free, if any.
pub fn scripts(host: &Host, checkup: &Checkup, hot: &[u32]) -> Scripts {
    let container = host.place().container;
    let within = container.as_ref().map_or(String::new(), |container| {
        format!(
            "# It was made in a container ({}), and what it writes is the host's: run it there.\n",
            one_line(container)
        )
    });
    let head = |what: &str, set: &str| {
        let profile = checkup.profile;
        format!(
            "#!/bin/sh\n# {what}, for the profile {profile}. Read it before you run it, as root.\n{within}set {set}\n"
        )
    };
    let mut tune = head("Tunes this machine", "-eu");
    // What cannot be written back must not keep the rest from it.
    let mut untune = head(
        "Writes back what this machine had before it was tuned",
        "-u",
    );
    let mut by_hand = String::new();
    for checked in checkup
        .checked
        .iter()
        .filter(|checked| checked.fix.is_some())
    {
        let Some(check) = find(&checked.id).filter(|_| checked.status != Status::Pass) else {
            continue;
        };
        // What the check itself says to do is done instead of what the table says.
        let is_usual = checked.fix == usual_fix(check, container.is_some());
        let writes = check.fix.writes.iter().filter(|_| is_usual);
        let changes: Vec<Change> = writes.flat_map(|write| changes(host, write, hot)).collect();
        if changes.is_empty() {
            let own = checked.fix.clone().filter(|_| !is_usual);
            manual(&mut by_hand, check, &checked.current, own);
            continue;
        }
        let _ = writeln!(
            tune,
            "\n# {} {}: {}",
            check.id,
            check.title,
            one_line(&checked.current)
        );
        let _ = writeln!(tune, "# {}; risk: {}", check.why, check.fix.risk);
        let _ = writeln!(untune, "\n# {} {}", check.id, check.title);
        for change in changes {
            let _ = writeln!(tune, "{}", echo(&change.path, &change.then));
            let _ = writeln!(untune, "{}", echo(&change.path, &change.now));
        }
        keep(&mut tune, check);
    }
    if !by_hand.is_empty() {
        let _ = write!(
            tune,
            "\n# What no script can do while the machine runs:\n{by_hand}"
        );
    }
    Scripts { tune, untune }
}

/// What it takes to write a value into all files of a pattern that say something else.
fn changes(host: &Host, write: &Write, hot: &[u32]) -> Vec<Change> {
    let Some(then) = value(host, write, hot) else {
        return Vec::new();
    };
    let change = |path: String| {
        let text = host.files().text(&path)?;
        // Of `always [madvise] never`, the word in brackets is what would be written.
        let now = chosen(&text).unwrap_or(&text).trim().to_owned();
        let plain = now
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-,._:".contains(c));
        let then = then.clone();
        (plain && !now.is_empty() && now != then).then_some(Change { path, now, then })
    };
    expand(host.files(), &write.path)
        .into_iter()
        .filter_map(change)
        .collect()
}

/// What is to be written; `None` if that depends on pinned stages and there are none.
fn value(host: &Host, write: &Write, hot: &[u32]) -> Option<String> {
    if !write.value.contains('{') {
        return Some(write.value.clone());
    }
    let machine = host.machine();
    let online = machine
        .cpus()
        .iter()
        .filter(|cpu| cpu.online)
        .map(|cpu| cpu.id);
    let others: Vec<u32> = online.filter(|cpu| !hot.contains(cpu)).collect();
    if hot.is_empty() || others.is_empty() {
        return None;
    }
    let value = write.value.replace("{others mask}", &to_mask(&others));
    Some(value.replace("{others}", &listed(&others)))
}

/// The command that writes a value.
fn echo(path: &str, value: &str) -> String {
    match path.strip_prefix("proc/sys/") {
        Some(name) if !name.contains('.') => {
            format!("sysctl -w {}={value}", name.replace('/', "."))
        }
        _ => format!("echo {value} > /{path}"),
    }
}

/// The command of a line of the table, in which a path may stand for several.
pub(crate) fn command(write: &Write) -> String {
    echo(&write.path, &write.value)
}

/// How a change outlives the next start.
fn keep(tune: &mut String, check: &Check) {
    for write in check
        .fix
        .writes
        .iter()
        .filter(|write| !write.value.contains('{'))
    {
        if let Some(name) = write.path.strip_prefix("proc/sys/") {
            let _ = writeln!(
                tune,
                "# for good, in /etc/sysctl.d/90-pipewright.conf: {} = {}",
                name.replace('/', "."),
                write.value
            );
        }
    }
    if !check.fix.say.is_empty() {
        let _ = writeln!(tune, "# {}", check.fix.say);
    }
}

/// What is to be done by hand: what the check itself says, else what the table says.
fn manual(by_hand: &mut String, check: &Check, current: &str, own: Option<String>) {
    let Check { fix, .. } = check;
    let usual = || {
        let says = fix.kind != FixKind::None && !fix.say.is_empty();
        says.then(|| format!("{}: {}", fix.kind.name(), fix.say))
    };
    let Some(what) = own.or_else(usual) else {
        return;
    };
    let _ = writeln!(
        by_hand,
        "# {} {}: {}",
        check.id,
        check.title,
        one_line(current)
    );
    let _ = writeln!(by_hand, "#     {}", one_line(&what));
    if !fix.risk.is_empty() {
        let _ = writeln!(by_hand, "#     risk: {}", fix.risk);
    }
}

/// A comment ends with its line, whatever a file of the machine says.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
