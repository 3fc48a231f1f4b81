//! Runs the checks: each by itself, so that nothing that one of them meets keeps another from looking.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Check, Checked, Checkup, Found, Grade, Look, Profile, Reason, Status, Verdict, Without, checks,
};
use crate::{declared::Declared, floor::Floor, host::Host, thresholds::Thresholds};

/// Which checks are wanted, and what for.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// What the machine is for.
    pub profile: Profile,
    /// Ids, or the letters of groups; all if there are none.
    pub only: Vec<String>,
    /// Ids, or the letters of groups.
    pub skip: Vec<String>,
    /// The numbers to compare with.
    pub thresholds: Thresholds,
}

impl Selection {
    /// The first of the given names that is neither an id nor a group.
    pub fn unknown(&self) -> Option<&str> {
        let named = |name: &&String| !checks().iter().any(|check| is_named(check, name));
        self.only
            .iter()
            .chain(&self.skip)
            .find(named)
            .map(String::as_str)
    }

    fn has(&self, check: &Check) -> bool {
        let named = |names: &[String]| names.iter().any(|name| is_named(check, name));
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

/// Is it the id of a check, or the letter of its group?
fn is_named(check: &Check, name: &str) -> bool {
    check.id.eq_ignore_ascii_case(name) || check.id[..1].eq_ignore_ascii_case(name)
}

/// Checks a machine, with what pipelines ask of it and what was measured of it.
pub fn check(
    host: &Host,
    declared: &Declared,
    floor: Option<&Floor>,
    selection: &Selection,
) -> Checkup {
    let (machine, place) = (host.machine(), host.place());
    let checked = checks().iter().map(|check| {
        let look = Look::new(
            (host, &machine, &place),
            (declared, floor),
            (&selection.thresholds, selection.profile),
        );
        let found = match selects(selection, check, place.is_linux) {
            Ok(()) => isolated(check, &look),
            Err(without) => Err(without),
        };
        judged(check, selection.profile, found, look)
    });
    Checkup {
        profile: selection.profile,
        place: match host.files().has("sys/devices/system/cpu") {
            true => format!("{machine}, {place}"),
            false => format!("cpus not known, {place}"),
        },
        checked: checked.collect(),
    }
}

fn selects(selection: &Selection, check: &Check, is_linux: bool) -> Result<(), Without> {
    let skip = |reason, why: &str| Err(Without::Skip(reason, why.to_owned()));
    if !selection.has(check) {
        return skip(Reason::NotSelected, "left out");
    }
    if check.grade(selection.profile) == Grade::Off {
        let why = format!("the profile {} does not look at it", selection.profile);
        return skip(Reason::NotSelected, &why);
    }
    if !is_linux {
        return skip(Reason::NotLinux, "only Linux tells it in files");
    }
    Ok(())
}

/// What a check finds; that it panics is not known to be good either.
fn isolated(check: &Check, look: &Look<'_>) -> Found {
    let run = AssertUnwindSafe(|| (check.run())(look));
    match catch_unwind(run) {
        Ok(found) => found,
        Err(_) => Err(Without::Unknown(
            "the check itself is broken: it panicked".to_owned(),
        )),
    }
}

/// How bad what was found is for a profile.
fn judged(check: &Check, profile: Profile, found: Found, look: Look<'_>) -> Checked {
    let guest = look.place.guest.is_some();
    let in_container = look.place.container.is_some();
    let mut checked = Checked {
        id: check.id.clone(),
        group: check.group().to_owned(),
        title: check.title.clone(),
        status: Status::Pass,
        reason: None,
        current: String::new(),
        expected: check.pass.clone(),
        why: check.why.clone(),
        details: Vec::new(),
        affects: Vec::new(),
        fix: None,
        evidence: look.evidence(),
    };
    match found {
        Ok(finding) => {
            checked.status = status(finding.verdict, check, profile);
            checked.current = finding.current;
            checked.details = finding.details;
            checked.affects = finding.affects;
            let bad = matches!(finding.verdict, Verdict::Unmet | Verdict::Impossible);
            let usual = || usual_fix(check, in_container);
            checked.fix = finding.help.or_else(usual).filter(|_| bad);
        }
        Err(Without::Skip(reason, why)) => {
            checked.status = Status::Skip;
            checked.current = why;
            let hides = guest && check.hidden && reason == Reason::NotPresent;
            checked.reason = Some(if hides { Reason::Guest } else { reason });
        }
        Err(Without::Unknown(why)) => {
            checked.status = Status::Unknown;
            checked.current = why;
        }
    }
    checked
}

fn status(verdict: Verdict, check: &Check, profile: Profile) -> Status {
    let grade = match verdict {
        Verdict::Met => return Status::Pass,
        Verdict::Noted => return Status::Info,
        Verdict::Unmet => check.grade(profile),
        Verdict::Impossible => check.worst(profile),
    };
    match grade {
        Grade::Fail => Status::Fail,
        Grade::Warn => Status::Warn,
        Grade::Info | Grade::Off => Status::Info,
    }
}

/// What the table says is to be done, in one line: where, and what to type.
pub(crate) fn usual_fix(check: &Check, in_container: bool) -> Option<String> {
    let fix = &check.fix;
    let writes: Vec<String> = fix
        .writes
        .iter()
        .filter(|write| !write.value.contains('{'))
        .map(crate::script::command)
        .collect();
    let text = match (writes.is_empty(), fix.say.is_empty()) {
        (true, true) => return None,
        (true, false) => fix.say.clone(),
        (false, _) => writes.join("; "),
    };
    // A container sees the host's files, and what it writes there is refused, or changes everybody's machine.
    let kind = match in_container && check.host {
        true => "host",
        false => fix.kind.name(),
    };
    Some(format!("{kind}: {text}"))
}
