//! Looking at pages in a real browser, without a window: pictures of them, and what is wrong with how they look.
//!
//! The page is shown in a frame of the width that is wanted, because Chromium makes no window below 500 pixels. In the copy that
//! is shown a script measures whether text is cut off, overlaps or is too small, and whether anything is wider than the
//! window; the picture tells whether there is anything on it.

use std::{
    env, fs,
    io::{self, Write as _},
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A browser that can be started: Chromium, or one that is built from it.
#[derive(Clone, Debug)]
pub struct Browser {
    program: PathBuf,
}

/// Why nobody could look at a page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// There is no browser.
    #[error(
        "found none of {names} in `PATH`\nhelp: install one (`apt-get install chromium`), or name it in `CHROMIUM`",
        names = NAMES.map(|name| format!("`{name}`")).join(", ")
    )]
    Missing,
    /// The browser did not do what it should.
    #[error("`{program}` {why}")]
    Failed {
        /// The browser.
        program: PathBuf,
        /// What it did.
        why: String,
    },
    /// A file could not be read or written.
    #[error("cannot use `{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Which colours whoever looks prefers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// What was seen.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Look {
    /// Height of the page in pixels.
    pub height: u32,
    /// Charts that were shown.
    pub charts: u32,
    /// What is wrong. Nothing, if the page looks as it should.
    pub problems: Vec<String>,
}

/// What was seen of a page in one window.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Seen {
    /// Where the picture is.
    pub picture: PathBuf,
    /// What was seen.
    pub look: Look,
}

/// Pixels of a screen's window, and of a telephone's.
const WIDTHS: [u32; 2] = [1280, 400];
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
/// A browser that takes longer does not end.
const PATIENCE: Duration = Duration::from_secs(120);
const SCRIPT: &str = include_str!("browser.js");

impl Browser {
    /// The browser that `CHROMIUM` names, or one of those that distributions have.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn find() -> Result<Browser, BrowserError> {
        if let Some(program) = env::var_os("CHROMIUM").filter(|name| !name.is_empty()) {
            return Ok(Browser {
                program: program.into(),
            });
        }
        let folders = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&folders)
            .flat_map(|folder| NAMES.map(|name| folder.join(name)))
            .find(|program| program.is_file())
            .map(|program| Browser { program })
            .ok_or(BrowserError::Missing)
    }

    /// The browser for a test; nothing, said loudly on standard error, where there is none that starts. One that `CHROMIUM` names is
    /// not tried before: who names one wants it used.
    pub fn find_or_skip() -> Option<Browser> {
        let found = Self::find().and_then(|browser| match env::var_os("CHROMIUM") {
            Some(_) => Ok(browser),
            None => browser.starts(),
        });
        // Not by `eprintln!`, which says nothing in a test that passes. Nobody can be told that standard error is closed.
        found
            .inspect_err(|error| {
                drop(writeln!(
                    io::stderr(),
                    "SKIPPED: nobody looks at pages: {error}"
                ))
            })
            .ok()
    }

    /// Some distributions have a program of this name that only tells how to install one.
    fn starts(self) -> Result<Self, BrowserError> {
        let tried = Command::new(&self.program).arg("--version").output();
        match tried.map_err(file(&self.program))?.status {
            status if status.success() => Ok(self),
            status => Err(self.failed(&format!("does not start: {status}"))),
        }
    }

    /// Shows the page on screens and telephones, in both themes, of which each has a process of the browser at the same time. The
    /// pictures get into the folder, with the name of the page, the width and the theme in theirs.
    ///
    /// # Errors
    ///
    /// As [`Self::look`].
    pub fn look_everywhere(&self, page: &Path, folder: &Path) -> Result<Vec<Seen>, BrowserError> {
        let name = page.file_stem().unwrap_or_default().to_string_lossy();
        let look = |width, (word, theme)| {
            let picture = folder.join(format!("{name}-{width}-{word}.png"));
            let look = self.look(page, width, theme, &picture)?;
            Ok(Seen { picture, look })
        };
        let both = |width| {
            thread::scope(|scope| {
                let dark = scope.spawn(move || look(width, ("dark", Theme::Dark)));
                let light = look(width, ("light", Theme::Light));
                let dark = dark.join().unwrap_or_else(|panic| resume_unwind(panic));
                [light, dark]
            })
        };
        WIDTHS.into_iter().flat_map(both).collect()
    }

    /// What is wrong with any of the pages, each with the picture that shows it.
    ///
    /// # Errors
    ///
    /// As [`Self::look`].
    pub fn faults(&self, pages: &[PathBuf], folder: &Path) -> Result<Vec<String>, BrowserError> {
        let mut faults = Vec::new();
        for page in pages {
            for seen in self.look_everywhere(page, folder)? {
                let picture = seen.picture.display();
                let problems = seen.look.problems.iter();
                faults.extend(problems.map(|problem| format!("{picture}: {problem}")));
            }
        }
        Ok(faults)
    }

    /// Shows the page in a window of this width, at least 200 pixels, writes what is seen to `picture` (a PNG), and tells what is
    /// wrong with it.
    ///
    /// # Errors
    ///
    /// If the page cannot be read, the picture cannot be written, or the browser fails.
    pub fn look(
        &self,
        page: &Path,
        width: u32,
        theme: Theme,
        picture: &Path,
    ) -> Result<Look, BrowserError> {
        let width = width.max(200);
        let html = fs::read_to_string(page).map_err(file(page))?;
        let folder = tempfile::tempdir().map_err(file(&env::temp_dir()))?;
        let shown = folder.path().join("page.html");
        fs::write(&shown, with_script(&html)).map_err(file(&shown))?;

        let measured = self.frame(folder.path(), width, 1000)?;
        let dom = self.run(
            folder.path(),
            theme,
            (width, 1000),
            &["--dump-dom".into(), measured],
        )?;
        let mut look =
            parse(&dom).ok_or_else(|| self.failed("did not show the page to its end"))?;

        let height = look.height.clamp(200, 16_000);
        let framed = self.frame(folder.path(), width, height)?;
        let shot = folder.path().join("picture.png");
        let screenshot = format!("--screenshot={}", shot.display());
        self.run(folder.path(), theme, (width, height), &[screenshot, framed])?;
        crop(&shot, width, picture, &mut look.problems)?;
        if look.charts == 0 && html.contains("<svg ") {
            look.problems.push("no chart is shown".into());
        }
        Ok(look)
    }

    /// A page with a frame of this size, in which the page is shown.
    fn frame(&self, folder: &Path, width: u32, height: u32) -> Result<String, BrowserError> {
        let path = folder.join("frame.html");
        let html = format!(
            "<!DOCTYPE html><meta name=\"color-scheme\" content=\"light dark\"><style>html,body{{margin:0}}\
             iframe{{border:0;display:block}}</style><pre id=look hidden></pre><script>\
             addEventListener('message', event => {{ look.textContent = ['LOOK', event.data.height, event.data.charts, \
             ...event.data.found].join('\\n') + '\\nEND' }})</script>\
             <iframe src=page.html width={width} height={height}></iframe>"
        );
        fs::write(&path, html).map_err(file(&path))?;
        Ok(format!("file://{}", path.display()))
    }

    fn run(
        &self,
        folder: &Path,
        theme: Theme,
        (width, height): (u32, u32),
        args: &[String],
    ) -> Result<String, BrowserError> {
        let mut command = Command::new(&self.program);
        // The sandbox needs rights that containers do not have; what is shown is a file of our own, without a network.
        command
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--virtual-time-budget=5000",
            ])
            .arg(format!(
                "--user-data-dir={}",
                folder.join("profile").display()
            ))
            .arg(format!("--window-size={},{height}", width.max(500)));
        if theme == Theme::Dark {
            command.arg("--blink-settings=preferredColorScheme=0");
        }
        let out = folder.join("out");
        let stdout = fs::File::create(&out).map_err(file(&out))?;
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::null());
        let mut child = command.spawn().map_err(file(&self.program))?;
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match child.try_wait().map_err(file(&self.program))? {
                Some(status) => break status,
                None if Instant::now() < deadline => thread::sleep(Duration::from_millis(20)),
                None => {
                    // It may have ended meanwhile; then there is nothing to end.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(self.failed("did not end"));
                }
            }
        };
        if !status.success() {
            return Err(self.failed(&format!("ended with {status}")));
        }
        fs::read_to_string(&out).map_err(file(&out))
    }

    fn failed(&self, why: &str) -> BrowserError {
        BrowserError::Failed {
            program: self.program.clone(),
            why: why.to_owned(),
        }
    }
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> BrowserError {
    let path = path.to_owned();
    |source| BrowserError::File { path, source }
}

/// The page with the script that measures, and without the policy that would refuse it.
fn with_script(html: &str) -> String {
    let open = html.replacen(
        "http-equiv=\"Content-Security-Policy\"",
        "name=\"was-policy\"",
        1,
    );
    format!("{open}<script>{SCRIPT}</script>")
}

/// What the script found, from the page around: `LOOK`, height, charts, problems, `END`, one in a line.
fn parse(dom: &str) -> Option<Look> {
    let (_, rest) = dom.split_once("LOOK\n")?;
    let (found, _) = rest.split_once("\nEND")?;
    let mut lines = found.lines();
    let height = lines.next()?.parse().ok()?;
    let charts = lines.next()?.parse().ok()?;
    let unescape = |line: &str| {
        line.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    };
    Some(Look {
        height,
        charts,
        problems: lines.map(unescape).collect(),
    })
}

/// Cuts the picture to the width of the frame, and says if there is nothing on it.
fn crop(
    from: &Path,
    width: u32,
    to: &Path,
    problems: &mut Vec<String>,
) -> Result<(), BrowserError> {
    let broken = |path: &Path, error: &dyn std::error::Error| BrowserError::File {
        path: path.to_owned(),
        source: io::Error::other(error.to_string()),
    };
    let source = io::BufReader::new(fs::File::open(from).map_err(file(from))?);
    let mut decoder = png::Decoder::new(source);
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|error| broken(from, &error))?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| broken(from, &io::Error::other("it is too large")))?;
    let mut pixels = vec![0; size];
    let info = reader
        .next_frame(&mut pixels)
        .map_err(|error| broken(from, &error))?;
    let each = info.color_type.samples();
    let kept = each * width.min(info.width) as usize;
    let cut: Vec<u8> = pixels
        .chunks_exact(info.line_size)
        .flat_map(|line| &line[..kept])
        .copied()
        .collect();
    if let Some(problem) = emptiness(&cut, each) {
        problems.push(problem);
    }
    let target = fs::File::create(to).map_err(file(to))?;
    let mut encoder = png::Encoder::new(
        io::BufWriter::new(target),
        width.min(info.width),
        info.height,
    );
    encoder.set_color(info.color_type);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| broken(to, &error))?;
    writer
        .write_image_data(&cut)
        .map_err(|error| broken(to, &error))?;
    writer.finish().map_err(|error| broken(to, &error))
}

/// Whether nearly all pixels have the colour of the first one, which is paper.
fn emptiness(pixels: &[u8], each: usize) -> Option<String> {
    let paper = pixels.get(..each)?;
    let drawn = pixels
        .chunks_exact(each)
        .filter(|pixel| *pixel != paper)
        .count();
    let all = pixels.len() / each;
    (drawn * 200 < all).then(|| format!("only {drawn} of {all} pixels are drawn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_found_is_read_from_the_page_around_it() {
        let dom =
            "<html><pre id=\"look\" hidden=\"\">LOOK\n812\n3\n`a &amp; b` is cut off\nEND</pre>";
        let look = parse(dom).expect("it is complete");
        assert_eq!(
            (look.height, look.charts, look.problems),
            (812, 3, vec!["`a & b` is cut off".to_owned()])
        );
        assert!(parse("<html><pre>LOOK\n812").is_none());
    }

    #[test]
    fn a_picture_of_paper_is_empty() {
        assert!(emptiness(&[255; 300], 3).is_some());
        let half: Vec<u8> = [[255, 255, 255], [0, 0, 0]].concat().repeat(50);
        assert_eq!(emptiness(&half, 3), None);
    }
}
