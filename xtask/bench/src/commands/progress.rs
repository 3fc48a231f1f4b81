//! How far it is, on standard error.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar with the time that is left; lines where there is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    plain: bool,
    begun: Instant,
}

impl Progress {
    /// So many steps.
    pub(crate) fn new(steps: usize, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = match terminal && !quiet {
            true => ProgressBar::new(steps as u64),
            false => {
                let bar = ProgressBar::hidden();
                bar.set_length(steps as u64);
                bar
            }
        };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len}, {eta} left  {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            bar,
            plain: !terminal && !quiet,
            begun: Instant::now(),
        }
    }

    /// One more step, and what came of it.
    pub(crate) fn step(&self, what: &str) {
        self.bar.inc(1);
        self.bar.set_message(what.to_owned());
        if self.plain {
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or(0));
            eprintln!("[{done}/{all}, {} left] {what}", self.left(done, all));
        }
    }

    /// How long it takes until all are done, if they take as long as those that are.
    fn left(&self, done: u64, all: u64) -> String {
        let each = self.begun.elapsed().as_secs_f64() / done.max(1) as f64;
        let left = Duration::from_secs_f64(each * all.saturating_sub(done) as f64).as_secs();
        match left {
            0..120 => format!("{left} s"),
            _ => format!("{} min", left.div_ceil(60)),
        }
    }

    /// What is told and is no step.
    pub(crate) fn say(&self, what: &str) {
        if self.plain {
            eprintln!("{what}");
        } else {
            self.bar.println(what);
        }
    }

    /// So many steps more than was known before.
    pub(crate) fn more(&self, steps: usize) {
        self.bar.inc_length(steps as u64);
    }

    /// So many steps are not needed.
    pub(crate) fn skip(&self, steps: usize) {
        self.bar.inc(steps as u64);
    }

    /// It is over.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
