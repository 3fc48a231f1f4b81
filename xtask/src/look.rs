//! `cargo xtask look`: reports in a real browser, on telephones and screens, in both themes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pipewright_draw::{Browser, Theme};

use crate::{Outcome, say};

/// Pixels of a screen's window, and of a telephone's.
const WIDTHS: [u32; 2] = [1280, 400];
const THEMES: [(&str, Theme); 2] = [("light", Theme::Light), ("dark", Theme::Dark)];

/// Writes pictures of the pages to the folder, and tells what is cut off, overlaps, is too small or empty.
pub(crate) fn run(pages: &[PathBuf], folder: &Path) -> Outcome {
    let browser =
        Browser::find().map_err(|error| format!("nobody can look at pages here: {error}"))?;
    fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    let mut good = true;
    for page in pages {
        let name = page.file_stem().unwrap_or_default().to_string_lossy();
        for width in WIDTHS {
            for (theme, colours) in THEMES {
                let picture = folder.join(format!("{name}-{width}-{theme}.png"));
                let look = browser
                    .look(page, width, colours, &picture)
                    .map_err(|error| error.to_string())?;
                say::line(format!(
                    "{}: {} charts, {} pixels high",
                    picture.display(),
                    look.charts,
                    look.height
                ))?;
                for problem in &look.problems {
                    say::line(format!("  {problem}"))?;
                }
                good &= look.problems.is_empty();
            }
        }
    }
    Ok(good)
}
