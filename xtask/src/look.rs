//! `cargo xtask look`: reports in a real browser, on telephones and screens, in both themes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pipewright_draw::Browser;

use crate::{Outcome, say};

/// Writes pictures of the pages to the folder, and tells what is cut off, overlaps, is too small or empty.
pub(crate) fn run(pages: &[PathBuf], folder: &Path) -> Outcome {
    let browser =
        Browser::find().map_err(|error| format!("nobody can look at pages here: {error}"))?;
    fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    let mut good = true;
    for page in pages {
        let seen = browser.look_everywhere(page, folder);
        for seen in seen.map_err(|error| error.to_string())? {
            say::line(format!(
                "{}: {} charts, {} pixels high",
                seen.picture.display(),
                seen.look.charts,
                seen.look.height
            ))?;
            for problem in &seen.look.problems {
                say::line(format!("  {problem}"))?;
            }
            good &= seen.look.problems.is_empty();
        }
    }
    Ok(good)
}
