//! What several checks read of control groups and of the kernel's command line.

use pipewright::machine::kernel::Levels;

use crate::check::{Look, Reason, Without, skip};

/// The values of a file at each level that has it, the nearest first.
pub(super) fn levels(
    look: &Look<'_>,
    controller: &str,
    v2: &str,
    v1: Option<&str>,
) -> Result<Vec<(String, String)>, Without> {
    let Levels { v2: new, v1: old } = look.groups(controller);
    let old = old
        .iter()
        .filter_map(|folder| Some(format!("{folder}/{}", v1?)));
    let paths = new.iter().map(|folder| format!("{folder}/{v2}")).chain(old);
    let mut values = Vec::new();
    for path in paths.filter(|path| look.has(path)) {
        let text = look.text(&path)?;
        values.push((path, text));
    }
    Ok(values)
}

/// The values of a file at each level, of which there has to be one.
pub(super) fn some_levels(
    look: &Look<'_>,
    controller: &str,
    v2: &str,
    v1: Option<&str>,
) -> Result<Vec<(String, String)>, Without> {
    let values = levels(look, controller, v2, v1)?;
    match values.is_empty() {
        true => {
            let other = v1.filter(|v1| *v1 != v2);
            let name = other.map_or(v2.to_owned(), |v1| format!("{v2}` or `{v1}"));
            skip(
                Reason::NotPresent,
                format!("no control group of this process has `{name}`"),
            )
        }
        false => Ok(values),
    }
}

/// The value of `name=` on the kernel's command line.
pub(super) fn boot(look: &Look<'_>, name: &str) -> Result<Option<String>, Without> {
    let line = look.peek("proc/cmdline")?;
    let value = line
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned());
    if let Some(value) = &value {
        look.saw(format_args!("/proc/cmdline {name}"), value);
    }
    Ok(value)
}
